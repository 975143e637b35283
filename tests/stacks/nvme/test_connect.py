"""Connect, properties, the controller's life and the end of queues."""

from __future__ import annotations

import pytest

from stacks.nvme.target import Command, Subsystem
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import (
    ENABLE,
    HOST_ID,
    HOST_NQN,
    NQN,
    SHUT_DOWN_NORMAL,
    SQE_WORDS,
    CoreHost,
    connect_data,
    connected,
    fabrics,
    make_port,
    sqe,
)
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FabricsType, IoOpcode
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode

IN_DATA = 1 << 16


@pytest.fixture
def host() -> CoreHost:
    return CoreHost(make_port())


def test_an_admin_queue_gets_a_controller(host: CoreHost) -> None:
    answer = host.connect()
    assert (answer.status, answer.dw0, answer.sqhd) == (0, 1, 1)
    assert CoreHost(host.port).connect().dw0 == 2


@pytest.mark.parametrize(
    ("options", "status", "dw0"),
    [
        ({"nqn": NQN + "x"}, StatusCode.CONNECT_INVALID_PARAMETERS, 256 | IN_DATA),
        ({"host_nqn": ""}, StatusCode.CONNECT_INVALID_PARAMETERS, 512 | IN_DATA),
        ({"host_nqn": "nqn." + "x" * 220}, StatusCode.CONNECT_INVALID_PARAMETERS, 512 | IN_DATA),
        ({"cntlid": 1}, StatusCode.CONNECT_INVALID_PARAMETERS, 16 | IN_DATA),
        ({"cntlid": 0xFFFE}, StatusCode.CONNECT_INVALID_PARAMETERS, 16 | IN_DATA),
        ({"cntlid": 0xFFF0}, StatusCode.CONNECT_INVALID_PARAMETERS, 16 | IN_DATA),
        ({"entries": 1}, StatusCode.CONNECT_INVALID_PARAMETERS, 44),
        ({"entries": 1000}, StatusCode.CONNECT_INVALID_PARAMETERS, 44),
        ({"recfmt": 1}, StatusCode.CONNECT_INCOMPATIBLE_FORMAT, 0),
        ({"qid": 1, "cntlid": 77}, StatusCode.CONNECT_INVALID_PARAMETERS, 16 | IN_DATA),
    ],
)
def test_a_wrong_connect_is_told_where_it_is_wrong(
    host: CoreHost, options: dict[str, str | int], status: StatusCode, dw0: int
) -> None:
    answer = host.connect(**options)  # type: ignore[arg-type]
    assert (answer.status, answer.dw0) == (status, dw0)
    assert host.connect().status == 0


@pytest.mark.parametrize(
    "name", [b"\0" * 256, b"x" * 256, b"nqn.\xff\xfe.a", b"  \0 "], ids=["empty", "endless", "no UTF-8", "blank"]
)
def test_a_host_name_that_is_no_text_is_an_invalid_parameter(host: CoreHost, name: bytes) -> None:
    data = connect_data()
    answer = host.do(
        fabrics(FabricsType.CONNECT, cdw11=31), data=data[:512] + name.ljust(256, b"\0") + data[768:]
    )
    assert (answer.status, answer.dw0) == (StatusCode.CONNECT_INVALID_PARAMETERS, 512 | IN_DATA)
    assert host.port.target.controllers == []


def test_a_refused_connect_leaves_nothing_behind_and_is_no_invalid_field(host: CoreHost) -> None:
    for options in ({"nqn": NQN + "x"}, {"host_nqn": ""}, {"cntlid": 1}, {"entries": 1}, {"kato_ms": 0xFFFFFFFF}):
        assert host.connect(**options).status not in (0, StatusCode.INVALID_FIELD)  # type: ignore[arg-type]
    assert host.port.target.controllers == []
    assert host.port.target.subsystems[NQN].controllers_made == 0
    assert host.connect().status == 0


def test_a_queue_that_announced_another_qid_is_refused() -> None:
    host = CoreHost(make_port(), expected_qid=3)
    answer = host.connect()
    assert (answer.status, answer.dw0) == (StatusCode.CONNECT_INVALID_PARAMETERS, 42)


def test_a_host_that_is_not_on_the_list_is_refused(host: CoreHost) -> None:
    subsystem = host.port.target.subsystems[NQN]
    subsystem.allowed_hosts = {"nqn.2014-08.org.nvmexpress:uuid:other"}
    answer = host.connect()
    assert (answer.status, answer.dw0) == (StatusCode.CONNECT_INVALID_HOST, 512 | IN_DATA)
    subsystem.allowed_hosts = {HOST_NQN}
    assert host.connect().status == 0


def test_nothing_but_connect_is_taken_on_a_fresh_queue(host: CoreHost) -> None:
    assert host.read_property(0, size=8).status == StatusCode.INVALID_OPCODE
    assert host.identify(1).status == StatusCode.INVALID_OPCODE


def test_a_second_connect_is_out_of_sequence(host: CoreHost) -> None:
    host.connect()
    assert host.connect().status == StatusCode.COMMAND_SEQUENCE_ERROR


def test_properties_are_what_they_should_be(host: CoreHost) -> None:
    host.connect()
    capabilities = host.read_property(PropertyOffset.CAP, size=8)
    assert capabilities.dw0 & 0xFFFF == 255
    assert capabilities.dw1 == 0x8000820
    assert host.read_property(PropertyOffset.CRTO).dw0 == capabilities.dw0 >> 24
    assert host.read_property(PropertyOffset.VS).dw0 == 0x20000
    assert host.read_property(PropertyOffset.CC).dw0 == 0
    assert host.read_property(PropertyOffset.CSTS).dw0 == 0


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (PropertyOffset.CAP, 4),
        (PropertyOffset.VS, 8),
        (PropertyOffset.CC, 8),
        (PropertyOffset.CSTS, 8),
        (PropertyOffset.CRTO, 8),
        (PropertyOffset.NSSR, 4),
        (4, 4),
        (0x0C, 4),
        (0x24, 4),
        (0x1000, 4),
        (0xFFFFFFFF, 8),
    ],
)
def test_a_property_of_another_size_or_place_is_an_invalid_field(host: CoreHost, offset: int, size: int) -> None:
    host.connect()
    assert host.read_property(offset, size=size).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize("offset", [0, 8, 0x1C, 0x20, 0x24, 0x68, 0x1000])
def test_only_cc_can_be_set(host: CoreHost, offset: int) -> None:
    host.connect()
    assert host.set_property(offset, 0x4E564D65).status == StatusCode.INVALID_FIELD
    wide = fabrics(FabricsType.PROPERTY_SET, cdw10=1, cdw11=PropertyOffset.CC, cdw12=ENABLE)
    assert host.do(wide).status == StatusCode.INVALID_FIELD
    assert host.read_property(PropertyOffset.CSTS).dw0 == 0


def test_a_controller_is_enabled_shut_down_and_enabled_again(host: CoreHost) -> None:
    host.start()
    assert host.read_property(PropertyOffset.CSTS).dw0 == 1
    host.set_property(PropertyOffset.CC, SHUT_DOWN_NORMAL)
    assert host.read_property(PropertyOffset.CSTS).dw0 & 0xC == 8
    assert host.identify(1).status == StatusCode.COMMAND_SEQUENCE_ERROR
    host.set_property(PropertyOffset.CC, 0)
    assert host.read_property(PropertyOffset.CSTS).dw0 == 0
    host.set_property(PropertyOffset.CC, ENABLE)
    assert host.identify(1).status == 0


@pytest.mark.parametrize("configuration", [0x00000001, ENABLE | 1 << 7, ENABLE | 1 << 4, ENABLE | 1 << 11])
def test_a_configuration_that_is_not_supported_is_fatal(host: CoreHost, configuration: int) -> None:
    host.connect()
    host.set_property(PropertyOffset.CC, configuration)
    assert host.read_property(PropertyOffset.CSTS).dw0 == 2


def test_admin_commands_wait_for_the_controller_to_be_enabled(host: CoreHost) -> None:
    host.connect()
    assert host.identify(1).status == StatusCode.COMMAND_SEQUENCE_ERROR
    assert host.do(sqe(AdminOpcode.KEEP_ALIVE)).status == StatusCode.COMMAND_SEQUENCE_ERROR


def test_an_io_queue_needs_an_enabled_controller(host: CoreHost) -> None:
    cntlid = host.connect().dw0
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid).status == StatusCode.COMMAND_SEQUENCE_ERROR


def test_an_io_queue_belongs_to_its_host(host: CoreHost) -> None:
    cntlid = host.start()
    answer = CoreHost(host.port).connect(qid=1, cntlid=cntlid, host_nqn="nqn.2014-08.org.nvmexpress:uuid:thief")
    assert (answer.status, answer.dw0) == (StatusCode.CONNECT_INVALID_PARAMETERS, 512 | IN_DATA)


@pytest.mark.parametrize(
    ("host_id", "status"),
    [
        (HOST_ID, 0),
        (bytes(16), 0),
        (HOST_ID[::-1], StatusCode.CONNECT_INVALID_PARAMETERS),
    ],
    ids=["the same", "none", "another"],
)
def test_an_io_queue_has_the_host_id_of_its_admin_queue_or_none(host: CoreHost, host_id: bytes, status: int) -> None:
    answer = CoreHost(host.port).connect(qid=1, cntlid=host.start(), host_id=host_id)
    assert (answer.status, answer.dw0) == (status, IN_DATA if status else 1)


def test_a_host_without_an_id_gets_a_controller(host: CoreHost) -> None:
    cntlid = host.connect(host_id=bytes(16)).dw0
    host.set_property(PropertyOffset.CC, ENABLE)
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid, host_id=bytes(16)).status == 0
    assert CoreHost(host.port).connect(qid=2, cntlid=cntlid).status == StatusCode.CONNECT_INVALID_PARAMETERS


def test_a_host_that_comes_back_gets_a_controller_beside_its_old_one(host: CoreHost) -> None:
    old = host.start()
    again = CoreHost(host.port)
    new = again.start()
    assert old != new
    old_io, new_io = CoreHost(host.port), CoreHost(host.port)
    assert new_io.connect(qid=1, cntlid=new).status == 0
    assert old_io.connect(qid=1, cntlid=old).status == 0
    host.queue.closed()
    old_io.queue.closed()
    assert new_io.io(IoOpcode.READ, 0, 1, expect=4096).status == 0
    assert [each.cntlid for each in host.port.target.controllers] == [new]


def test_an_io_queue_of_a_failed_controller_is_refused(host: CoreHost) -> None:
    cntlid = host.start()
    host.port.target.controllers[0].fail()
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid).status == StatusCode.COMMAND_SEQUENCE_ERROR


def test_controller_ids_come_from_the_range_and_return_late() -> None:
    subsystem = Subsystem("nqn.2026-11.io.baremetal:few", cntlids=range(0x10, 0x13))
    host = CoreHost(make_port())
    host.port.target.add_subsystem(subsystem)

    def come() -> tuple[CoreHost, int, int]:
        one = CoreHost(host.port)
        answer = one.connect(nqn=subsystem.nqn)
        return one, answer.status, answer.dw0

    first, *found = come()
    assert found == [0, 0x10]
    assert [come()[2] for _ in range(2)] == [0x11, 0x12]
    assert come()[1] == StatusCode.CONNECT_CONTROLLER_BUSY
    first.queue.closed()
    assert come()[2] == 0x10


def test_a_subsystem_has_no_more_controllers_than_it_may() -> None:
    subsystem = Subsystem("nqn.2026-11.io.baremetal:few", controllers_max=1)
    host = CoreHost(make_port())
    host.port.target.add_subsystem(subsystem)
    assert host.connect(nqn=subsystem.nqn).status == 0
    busy = CoreHost(host.port).connect(nqn=subsystem.nqn)
    assert busy.status == StatusCode.CONNECT_CONTROLLER_BUSY
    assert not busy.word >> 15
    host.queue.closed()
    assert CoreHost(host.port).connect(nqn=subsystem.nqn).dw0 == 2


@pytest.mark.parametrize("cntlids", [range(0), range(3), range(0xFFEF, 0xFFF1)])
def test_controller_ids_that_cannot_be_are_refused(cntlids: range) -> None:
    with pytest.raises(LocalError, match="controller IDs"):
        Subsystem(NQN, cntlids=cntlids)


def test_a_qid_is_connected_once_and_within_the_limit(host: CoreHost) -> None:
    cntlid = host.start()
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid).status == 0
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid).status == StatusCode.COMMAND_SEQUENCE_ERROR
    assert CoreHost(host.port).connect(qid=129, cntlid=cntlid).dw0 == 42


def test_without_sq_flow_control_sqhd_is_ffff(host: CoreHost) -> None:
    assert host.connect(cattr=4).sqhd == 0xFFFF
    assert host.set_property(PropertyOffset.CC, ENABLE).sqhd == 0xFFFF
    io = CoreHost(host.port)
    assert io.connect(qid=1, cntlid=1).sqhd == 1, "each queue has its own"
    assert io.io(IoOpcode.READ, 0, 1, expect=4096).sqhd == 2


def test_what_else_cattr_says_changes_nothing(host: CoreHost) -> None:
    assert host.connect(cattr=0b11111011).sqhd == 1


def test_disconnect_ends_an_io_queue_after_its_answer() -> None:
    _, io = connected(make_port())
    assert io.do(fabrics(FabricsType.DISCONNECT)).status == 0
    assert io.port.poll_closing() == [io.queue]


def test_the_answer_to_disconnect_is_the_last() -> None:
    _, io = connected(make_port())
    target = io.port.target
    reads = [io.send(sqe(IoOpcode.READ, nsid=1), expect=4096) for _ in range(2)]
    hanging = target.poll_store_requests()
    last = io.send(fabrics(FabricsType.DISCONNECT))
    late = io.send(sqe(IoOpcode.READ, nsid=1), expect=4096)
    again = io.send(fabrics(FabricsType.DISCONNECT))
    order = [command.cid for command in io.port.completions]
    assert order == [late, again]
    assert io.port.poll_closing() == []
    for request in hanging:
        target.handle_store_completions([request], 0)
    assert [command.cid for command in io.port.completions] == [late, again, *reads, last]
    assert [command.sqhd for command in io.port.completions] == [2, 3, 4, 5, 6]
    io.pump()
    assert [io.answers[cid].status for cid in (*reads, last)] == [0, 0, 0]
    assert {io.answers[cid].status for cid in (late, again)} == {StatusCode.COMMAND_SEQUENCE_ERROR}
    assert io.port.poll_closing() == [io.queue]


def test_disconnect_aborts_what_waits_for_the_hosts_data() -> None:
    _, io = connected(make_port())
    waiting = Command()
    waiting.words = SQE_WORDS(sqe(IoOpcode.WRITE, nsid=1).encode(), 0)
    waiting.data_bytes = 4096
    io.queue.handle_capsule(waiting)
    (fetching,) = io.port.poll_fetches()
    last = io.send(fabrics(FabricsType.DISCONNECT))
    assert io.port.completions == []
    io.port.handle_fetched(fetching)
    io.pump()
    assert io.answers[0].status == StatusCode.ABORTED_SQ_DELETION
    assert io.answers[last].status == 0
    assert io.port.poll_closing() == [io.queue]


@pytest.mark.parametrize("is_lost", [True, False], ids=["the connection", "the controller"])
def test_a_queue_that_is_disconnecting_may_lose(is_lost: bool) -> None:
    admin, io = connected(make_port())
    free = io.port.pool.free_buffers
    io.send(sqe(IoOpcode.READ, nsid=1), expect=4096)
    hanging = io.port.target.poll_store_requests()
    last = io.send(fabrics(FabricsType.DISCONNECT))
    if is_lost:
        io.queue.closed()
    else:
        admin.port.target.controllers[0].fail()
        assert io.queue in io.port.poll_closing()
    io.port.target.handle_store_completions(hanging, 0)
    io.pump()
    assert io.queue.is_idle
    assert (last in io.answers) is not is_lost
    assert io.port.pool.free_buffers == free


def test_disconnect_of_another_format_is_refused() -> None:
    _, io = connected(make_port())
    assert io.do(fabrics(FabricsType.DISCONNECT, cdw10=1)).status == StatusCode.CONNECT_INCOMPATIBLE_FORMAT
    assert io.io(IoOpcode.READ, 0, 1, expect=4096).status == 0


@pytest.mark.parametrize("kind", [0, 4, 5, 6, 9, 0x7F])
def test_other_fabrics_commands_have_no_place_on_an_io_queue(kind: int) -> None:
    _, io = connected(make_port())
    assert io.do(fabrics(kind)).status == StatusCode.INVALID_OPCODE


def test_disconnect_has_no_place_on_an_admin_queue(host: CoreHost) -> None:
    host.connect()
    assert host.do(fabrics(FabricsType.DISCONNECT)).status == StatusCode.INVALID_QUEUE_TYPE


def test_the_end_of_the_admin_queue_ends_the_controller() -> None:
    admin, io = connected(make_port())
    admin.queue.closed()
    assert admin.port.target.controllers == []
    assert admin.port.poll_closing() == [io.queue]
    io.queue.closed()
    assert CoreHost(admin.port).connect(qid=1, cntlid=1).status == StatusCode.CONNECT_INVALID_PARAMETERS


def test_disabling_ends_the_io_queues_but_not_the_admin_queue() -> None:
    admin, io = connected(make_port())
    admin.set_property(PropertyOffset.CC, 0)
    assert admin.port.poll_closing() == [io.queue]
    io.queue.closed()
    admin.set_property(PropertyOffset.CC, ENABLE)
    assert CoreHost(admin.port).connect(qid=1, cntlid=1).status == 0


def test_a_discovery_controller_has_a_log_and_little_else() -> None:
    host = CoreHost(make_port())
    assert host.connect(nqn=DISCOVERY_NQN).status == 0
    host.set_property(PropertyOffset.CC, ENABLE)
    page = host.identify(1)
    assert page.data[111] == 2
    log = host.log_page(0x70, 1024 * 3).data
    assert int.from_bytes(log[8:16], "little") == 2
    assert NQN.encode() in log
    assert host.identify(0, nsid=1).status == StatusCode.INVALID_FIELD
    assert host.log_page(2, 512).status == StatusCode.INVALID_LOG_PAGE
    assert CoreHost(host.port).connect(qid=1, cntlid=page.data[78]).status != 0


def test_the_discovery_generation_counts_changes_of_what_there_is() -> None:
    port = make_port()
    before = port.target.discovery_generation
    port.target.remove_subsystem(NQN)
    assert port.target.discovery_generation == before + 1
