"""The TCP binding's own rules, between ends of ours: agreeing, data in and outside of capsules, and many at once."""

from __future__ import annotations

import itertools

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.host import HostConfig
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_raw import Relay
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND, TARGET
from tests.wire.nvme.tcp_pdus import Pdu
from wire.nvme.kinds import TcpDigest, TcpPduFlag, TcpPduKind

DATA = bytes(range(256)) * 16 * 40
BOTH = int(TcpDigest.HEADER | TcpDigest.DATA)
DIGESTS = (0, int(TcpDigest.HEADER), int(TcpDigest.DATA), BOTH)


class Watched:
    """A rig whose connections are looked at; host, target: the PDUs of each side, with their connection's number."""

    def __init__(self, *stores: MemoryStore, **options: object) -> None:
        self.rig = TcpRig(*stores, **options)  # type: ignore[arg-type]
        self.host: list[tuple[int, Pdu]] = []
        self.target: list[tuple[int, Pdu]] = []
        self.relay = Relay(self.rig, change=self._from_target, change_host=self._from_host)
        self.connection = self.rig.connect(HostConfig(nqn=NQN, keep_alive_ms=0), address=self.relay.address)
        assert self.connection.is_live, self.connection.failure
        self.namespace = self.connection.namespace()

    def clear(self) -> None:
        """Forget what passed."""
        self.host.clear()
        self.target.clear()

    def kinds(self, side: list[tuple[int, Pdu]]) -> list[TcpPduKind]:
        """What passed on the I/O queue."""
        return [each.kind for number, each in side if number == 1]

    def _from_target(self, number: int, each: Pdu) -> bytes:
        self.target.append((number, each))
        return each.raw

    def _from_host(self, number: int, each: Pdu) -> bytes:
        self.host.append((number, each))
        return each.raw


COMMAND, COMPLETION, HOST_DATA, CONTROLLER_DATA, R2T = (
    TcpPduKind.COMMAND,
    TcpPduKind.COMPLETION,
    TcpPduKind.HOST_DATA,
    TcpPduKind.CONTROLLER_DATA,
    TcpPduKind.READY_TO_TRANSFER,
)


@pytest.mark.parametrize("digests", DIGESTS)
def test_what_is_agreed_on_is_used_in_every_pdu(digests: int) -> None:
    watched = Watched(initiator=TcpInitiatorConfig(digests=digests))
    rig, namespace = watched.rig, watched.namespace
    assert rig.do(namespace.write(0, memoryview(DATA))) == 0
    assert rig.do(namespace.write(3, memoryview(DATA)[:4096])) == 0
    assert rig.read(namespace, 0, 3) == DATA[: 3 * 4096]
    for _, each in (*watched.host, *watched.target):
        if each.kind <= TcpPduKind.INITIALIZE_RESPONSE:
            continue
        assert (each.header_digest is not None) == bool(digests & TcpDigest.HEADER)
        assert (each.data_digest is not None) == bool(digests & TcpDigest.DATA and each.data)
        assert each.is_header_intact
        assert each.is_data_intact
    assert {COMMAND, HOST_DATA} <= set(watched.kinds(watched.host))
    assert {COMPLETION, R2T, CONTROLLER_DATA} <= set(watched.kinds(watched.target))


@pytest.mark.parametrize(("asked", "allowed"), [(a, b) for a, b in itertools.product(DIGESTS, DIGESTS) if a & ~b])
def test_digests_that_a_target_denies_are_not_silently_done_without(asked: int, allowed: int) -> None:
    rig = TcpRig(initiator=TcpInitiatorConfig(digests=asked), target=TcpTargetConfig(digests=allowed))
    names = {1: "header digest", 2: "data digest", 3: "digests"}
    assert rig.connect().failure == (
        f"the target at {TARGET}:4420: it does without the {names[asked & ~allowed]} asked for"
    )
    rig.run_for(SECOND)
    assert rig.tcp_target.queue_count == 0


def test_a_small_write_travels_inside_its_capsule() -> None:
    watched = Watched()
    watched.clear()
    assert watched.rig.do(watched.namespace.write(0, memoryview(DATA)[:8192])) == 0
    [(_, capsule)] = watched.host
    assert (capsule.kind, capsule.data) == (COMMAND, DATA[:8192])
    assert watched.kinds(watched.target) == [COMPLETION]


@pytest.mark.parametrize(
    ("in_capsule", "most", "length", "is_inside"),
    [
        (8192, 16384, 8192, True),
        (8192, 16384, 12288, False),
        (4096, 16384, 8192, False),
        (4096, 16384, 4096, True),
        (0, 16384, 4096, False),
        (32768, 16384, 16384, True),
        (32768, 16384, 20480, False),
        (32768, 0, 4096, False),
    ],
)
def test_how_much_goes_inside_is_the_least_of_what_both_want(
    in_capsule: int, most: int, length: int, is_inside: bool
) -> None:
    watched = Watched(
        initiator=TcpInitiatorConfig(in_capsule_max=most), target=TcpTargetConfig(in_capsule_bytes=in_capsule)
    )
    watched.clear()
    assert watched.rig.do(watched.namespace.write(0, memoryview(DATA)[:length])) == 0
    assert (HOST_DATA not in watched.kinds(watched.host)) == is_inside
    assert watched.rig.read(watched.namespace, 0, length // 4096) == DATA[:length]


def test_a_large_write_is_asked_for_once_and_comes_in_pieces_of_maxh2cdata() -> None:
    watched = Watched(target=TcpTargetConfig(host_data_bytes=20480))
    watched.clear()
    assert watched.rig.do(watched.namespace.write(0, memoryview(DATA))) == 0
    assert watched.kinds(watched.target) == [R2T, COMPLETION]
    request = watched.target[0][1]
    pieces = [each for _, each in watched.host if each.kind is HOST_DATA]
    assert [len(each.data) for each in pieces] == [20480] * 8
    assert [each.field("offset") for each in pieces] == list(range(0, len(DATA), 20480))
    assert [bool(each.flags & TcpPduFlag.LAST) for each in pieces] == [False] * 7 + [True]
    assert {each.field("ttag") for each in pieces} == {request.field("ttag")}
    assert watched.rig.read(watched.namespace, 0, 40) == DATA


@pytest.mark.parametrize("host_data_bytes", [4096, 4100, 8188, 65536, 1 << 20])
@pytest.mark.parametrize("alignment", [0, 1, 15, 31])
@pytest.mark.parametrize("digests", [0, BOTH])
def test_data_towards_the_target_comes_as_the_target_wants_it(
    host_data_bytes: int, alignment: int, digests: int
) -> None:
    config = TcpTargetConfig(host_data_bytes=host_data_bytes, alignment=alignment)
    watched = Watched(target=config, initiator=TcpInitiatorConfig(digests=digests))
    assert watched.rig.do(watched.namespace.write(1, memoryview(DATA))) == 0
    assert watched.rig.do(watched.namespace.write(0, memoryview(DATA)[:4096])) == 0
    unit = (alignment + 1) * 4
    with_data = [each for _, each in watched.host if each.data]
    assert {each.pdo % unit for each in with_data} == {0}
    assert all(len(each.padding) < unit for each in with_data)
    assert all(not any(each.padding) for each in with_data)
    assert watched.rig.read(watched.namespace, 0, 41) == DATA[:4096] + DATA


def test_a_read_without_sq_flow_control_ends_with_its_data() -> None:
    watched = Watched()
    watched.clear()
    assert watched.rig.read(watched.namespace, 0, 4) == bytes(16384)
    [(_, data)] = watched.target
    assert (data.kind, data.flags) == (CONTROLLER_DATA, TcpPduFlag.LAST | TcpPduFlag.SUCCESS)


def test_a_read_with_sq_flow_control_has_an_answer_of_its_own() -> None:
    watched = Watched(initiator=TcpInitiatorConfig(has_sq_flow_control=True))
    watched.clear()
    for _ in range(200):
        assert watched.rig.read(watched.namespace, 0, 1) == bytes(4096)
    assert watched.kinds(watched.target) == [CONTROLLER_DATA, COMPLETION] * 200
    assert {each.flags for _, each in watched.target if each.kind is CONTROLLER_DATA} == {TcpPduFlag.LAST}
    heads = [each.field("cqe_sqhd") for _, each in watched.target if each.kind is COMPLETION]
    # Connect was the first.
    assert heads == [number % 128 for number in range(2, 202)]


def test_without_sq_flow_control_no_answer_tells_a_head() -> None:
    watched = Watched()
    for _ in range(3):
        assert watched.rig.do(watched.namespace.write(0, memoryview(DATA)[:4096])) == 0
    answers = [each for _, each in watched.target if each.kind is COMPLETION]
    assert {each.field("cqe_sqhd") for each in answers} == {0xFFFF}
    assert [each.field("cqe_sqid") for number, each in watched.target if each.kind is COMPLETION and number] == [1] * 4


def test_a_failed_read_has_a_status_and_no_data() -> None:
    watched = Watched()
    watched.rig.subsystem.remove_namespace(1)
    watched.clear()
    assert watched.rig.do(watched.namespace.read(0, memoryview(bytearray(4096)))) != 0
    assert watched.kinds(watched.target) == [COMPLETION]


def test_io_beyond_mdts_is_split() -> None:
    rig = TcpRig(MemoryStore(4 << 20), target=TcpTargetConfig(shelves=((8 << 10, 64), (64 << 10, 8))))
    namespace = rig.namespace()
    assert rig.initiator.hosts[0].max_transfer_bytes == 64 << 10
    data = DATA * 10
    assert rig.do(namespace.write(1, memoryview(data))) == 0
    assert rig.read(namespace, 1, 400) == data


def test_more_io_than_entries_waits_its_turn() -> None:
    rig = TcpRig(MemoryStore(4 << 20))
    namespace = rig.namespace(queue_entries=8)
    data = [memoryview(bytes([number]) * 16384) for number in range(100)]
    rig.finish(*(namespace.write(number * 4, each) for number, each in enumerate(data)))
    for number in range(0, 100, 9):
        assert rig.read(namespace, number * 4, 4) == data[number]


def test_several_io_queues_share_the_work() -> None:
    rig = TcpRig()
    namespace = rig.namespace(io_queues=4)
    rig.finish(*(namespace.write(block, memoryview(DATA)[:4096]) for block in range(64)))
    assert len(rig.initiator.hosts[0].io_queues) == 4
    assert rig.tcp_target.queue_count == 5
    assert rig.read(namespace, 63, 1) == DATA[:4096]


def test_many_hosts_are_served_side_by_side() -> None:
    rig = TcpRig()
    hosts = [rig.connect(HostConfig(nqn=NQN, host_nqn=f"nqn.2026-11.io.baremetal:host{n}")) for n in range(5)]
    for number, host in enumerate(hosts):
        assert rig.do(host.namespace().write(number, memoryview(DATA)[:4096])) == 0
    assert len(rig.target.controllers) == 5
    assert rig.read(hosts[0].namespace(), 4, 1) == DATA[:4096]
