"""Connect, properties, the controller's life and the end of queues."""

from __future__ import annotations

import pytest

from stacks.nvme.target import ControllerState
from tests.stacks.nvme.core_rig import (
    ENABLE,
    HOST_NQN,
    NQN,
    SHUT_DOWN_NORMAL,
    CoreHost,
    connected,
    fabrics,
    make_port,
    sqe,
)
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, FabricsType, IoOpcode
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import StatusCode

SECOND = 10**9
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
        ({"cntlid": 1}, StatusCode.CONNECT_INVALID_PARAMETERS, 16 | IN_DATA),
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


@pytest.mark.parametrize(("offset", "size"), [(PropertyOffset.CAP, 4), (PropertyOffset.CC, 8), (4, 4), (0x20, 4)])
def test_a_property_of_another_size_or_place_is_an_invalid_field(host: CoreHost, offset: int, size: int) -> None:
    host.connect()
    assert host.read_property(offset, size=size).status == StatusCode.INVALID_FIELD
    assert host.set_property(PropertyOffset.CSTS, 1).status == StatusCode.INVALID_FIELD


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


def test_a_qid_is_connected_once_and_within_the_limit(host: CoreHost) -> None:
    cntlid = host.start()
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid).status == 0
    assert CoreHost(host.port).connect(qid=1, cntlid=cntlid).status == StatusCode.COMMAND_SEQUENCE_ERROR
    assert CoreHost(host.port).connect(qid=129, cntlid=cntlid).dw0 == 42


def test_without_sq_flow_control_sqhd_is_ffff(host: CoreHost) -> None:
    assert host.connect(cattr=4).sqhd == 0xFFFF


def test_disconnect_ends_an_io_queue_after_its_answer() -> None:
    _, io = connected(make_port())
    assert io.do(fabrics(FabricsType.DISCONNECT)).status == 0
    assert io.port.poll_closing() == [io.queue]


@pytest.mark.parametrize("kind", [0, 4, 5, 6, 9, 0x7F])
def test_other_fabrics_commands_have_no_place_on_an_io_queue(kind: int) -> None:
    _, io = connected(make_port())
    assert io.do(fabrics(kind)).status == StatusCode.INVALID_OPCODE


def test_disconnect_has_no_place_on_an_admin_queue(host: CoreHost) -> None:
    host.connect()
    assert host.do(fabrics(FabricsType.DISCONNECT)).status == StatusCode.INVALID_OPCODE


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


def test_silence_for_the_keep_alive_time_fails_the_controller() -> None:
    port = make_port()
    admin = CoreHost(port)
    admin.start(kato_ms=5000)
    target = port.target
    target.handle_timeout(5 * SECOND)
    assert target.keep_alive_expirations == 0
    target.handle_timeout(10 * SECOND)
    assert target.keep_alive_expirations == 1
    assert target.controllers[0].state is ControllerState.FAILED
    assert port.poll_closing() == [admin.queue]


def test_any_command_keeps_a_controller_alive() -> None:
    port = make_port()
    admin = CoreHost(port)
    cntlid = admin.start(kato_ms=5000)
    io = CoreHost(port)
    io.connect(qid=1, cntlid=cntlid)
    for round_number in range(1, 20):
        io.io(IoOpcode.READ, 0, 1, expect=4096)
        port.target.handle_timeout(round_number * 5 * SECOND)
    assert port.target.keep_alive_expirations == 0


def test_a_keep_alive_time_is_rounded_up_to_whole_seconds() -> None:
    port = make_port()
    CoreHost(port).start(kato_ms=1)
    assert port.target.poll_deadline() == SECOND


def test_without_a_keep_alive_time_nothing_expires() -> None:
    port = make_port()
    CoreHost(port).start()
    assert port.target.poll_deadline() is None


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
