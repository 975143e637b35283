"""What a plan does to real traffic between two devices, in both directions, with the shortcuts and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stacks.rdma import FaultPlan, FaultRule, WcStatus, WrOpcode
from stacks.rdma.faults import FaultReport, parse_rule
from tests.stacks.rdma.rig import HOSTS_V6, Rig
from transports.simulation import Packet
from wire.roce import Bth

each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
MESSAGE = bytes(range(256)) * 40
"""Ten packets at a path MTU of 1024."""


class FaultyRig(Rig):
    """Two devices, one of them with a plan, and what went over the wire."""

    def __init__(self, *rules: str | FaultRule, on_left: bool = True, seed: int = 0, **options: object) -> None:
        super().__init__(**{"tells_identification": True, **options})  # type: ignore[arg-type]
        self.faulty = self.left if on_left else self.right
        plan = FaultPlan(tuple(parse_rule(rule) if isinstance(rule, str) else rule for rule in rules), seed)
        self.injector = self.faulty.device.attach(plan)
        self.sent: list[Packet] = []
        self.network.trace = lambda _, what, packet: self.sent.append(packet.copy()) if what == "sent" else None

    def write(self, content: bytes = MESSAGE) -> None:
        """Left writes `content` to right, which must arrive."""
        self.left.memory[: len(content)] = content
        self.left.send(1, WrOpcode.RDMA_WRITE, 0, len(content), remote_address=self.right.mr.address,
                       rkey=self.right.mr.rkey)  # fmt: skip
        self.run_until_completed(self.left, 1)
        assert self.left.completions[-1].status is WcStatus.SUCCESS
        self.run()

    @property
    def report(self) -> FaultReport:
        return self.injector.report()

    def psns_sent(self, host: int = 0) -> Iterator[int]:
        """The PSNs that went out from one side, counted from its first."""
        first = self.psn_of(self.left)
        source = self.ends[host].device.address
        return ((Bth.decode(packet.payload).psn - first) & 0xFFFFFF for packet in self.sent if packet.source == source)


@each_way
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_dropped_packet_is_missed_and_sent_again(shortcuts: bool, on_left: bool) -> None:
    rig = FaultyRig("drop:opcode=write,psn=+4,nth=1", on_left=on_left, shortcuts=shortcuts)
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    (hit,) = rig.report.hits
    assert (hit.direction.value, hit.opcode) == ("tx" if on_left else "rx", "RC_WRITE_MIDDLE")
    assert (hit.psn, hit.dest_qp) == ((rig.psn_of(rig.left) + 4) & 0xFFFFFF, rig.right.qp.number)
    assert hit.qp == rig.faulty.qp.number
    # What follows the gap has the ICRCs of where it now stands: all 32 bits are checked here.
    assert rig.right.device.counters.rcvd_icrc_err == 0
    assert rig.right.device.counters.out_of_seq_request > 0
    assert rig.left.device.counters.rcvd_seq_err == 1


@each_way
@pytest.mark.parametrize("hosts", [None, HOSTS_V6], ids=["ipv4", "ipv6"])
def test_a_dropped_first_packet_leaves_the_others_valid(shortcuts: bool, hosts: tuple[str, str] | None) -> None:
    rig = FaultyRig("drop:psn=+0,nth=1", shortcuts=shortcuts, **({"hosts": hosts} if hosts else {}))
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    assert rig.right.device.counters.rcvd_icrc_err == 0


@each_way
def test_a_dropped_nak_is_replaced_by_a_timeout(shortcuts: bool) -> None:
    rig = FaultyRig("drop:opcode=write,psn=+4,nth=1", "drop:opcode=nak,direction=rx", shortcuts=shortcuts)
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    assert [hit.opcode for hit in rig.report.hits] == ["RC_WRITE_MIDDLE", "RC_NAK"]
    assert rig.left.device.counters.rcvd_seq_err == 0


@each_way
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_duplicate_comes_as_often_as_the_rule_says(shortcuts: bool, on_left: bool) -> None:
    rig = FaultyRig("duplicate:opcode=write,psn=+3,copies=2", on_left=on_left, shortcuts=shortcuts)
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    assert rig.right.device.counters.duplicate_request == 2
    assert rig.right.device.counters.rcvd_icrc_err == 0


@each_way
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_reordered_packet_comes_behind_as_many_as_the_rule_says(shortcuts: bool, on_left: bool) -> None:
    rig = FaultyRig("reorder:opcode=write,psn=+2,nth=1,packets=3,delay=1s", on_left=on_left, shortcuts=shortcuts)
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    if on_left:
        assert list(rig.psns_sent())[:7] == [0, 1, 3, 4, 5, 2, 6]
    assert rig.right.device.counters.rcvd_ahead_pkts >= 3


@each_way
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_reordered_packet_that_nothing_overtakes_goes_when_its_time_is_over(shortcuts: bool, on_left: bool) -> None:
    rig = FaultyRig("reorder:opcode=write,packets=3,delay=2ms", on_left=on_left, shortcuts=shortcuts, timeout=14)
    rig.write(MESSAGE[:100])
    assert rig.right.memory[:100] == MESSAGE[:100]
    assert len(list(rig.psns_sent())) == 1
    assert rig.left.device.counters.completer_retry_err == 0


@each_way
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_corrupt_packet_with_a_wrong_icrc_is_not_taken(shortcuts: bool, on_left: bool) -> None:
    rig = FaultyRig("corrupt:opcode=write,psn=+4,nth=1", on_left=on_left, shortcuts=shortcuts)
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    assert rig.right.device.counters.rcvd_icrc_err == 1


@each_way
@pytest.mark.parametrize("tells", [True, False], ids=["frames", "socket"])
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_corrupt_packet_with_a_right_icrc_is_believed(shortcuts: bool, on_left: bool, tells: bool) -> None:
    rig = FaultyRig("corrupt:opcode=write,psn=+4,byte=12,bit=7,icrc=right", on_left=on_left, shortcuts=shortcuts,
                    tells_identification=tells)  # fmt: skip
    rig.write()
    assert rig.right.memory[4 * 1024] == MESSAGE[4 * 1024] ^ 0x80
    assert rig.right.device.counters.rcvd_icrc_err == 0
    assert rig.report.hits[0].detail == "bit 7 of byte 12, ICRC right"


def test_a_byte_may_be_counted_from_the_end_and_may_not_be_there() -> None:
    rig = FaultyRig("corrupt:opcode=write,psn=+1,nth=1,byte=-1,bit=0", "corrupt:opcode=ack,byte=1000")
    rig.write()
    assert rig.report.hits[0].detail == "bit 0 of byte 1039, ICRC wrong"
    assert rig.report.hits[1].detail == "has no byte 1000"


@each_way
@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_delayed_packet_waits_as_long_as_the_rule_says(shortcuts: bool, on_left: bool) -> None:
    plain, rig = FaultyRig(), FaultyRig("delay:opcode=write,delay=300us", on_left=on_left, shortcuts=shortcuts)
    times = []
    for each in (plain, rig):
        each.left.send(1, WrOpcode.RDMA_WRITE, 0, 100, remote_address=each.right.mr.address, rkey=each.right.mr.rkey)
        each.run_until_completed(each.left, 1)
        times.append(each.simulation.now)
    assert times[1] - times[0] == 300_000


@pytest.mark.parametrize("on_left", [True, False], ids=["sender", "receiver"])
def test_a_marked_packet_carries_congestion_experienced_and_a_good_icrc(on_left: bool) -> None:
    rig = FaultyRig("mark:opcode=write,psn=+2", on_left=on_left)
    rig.write()
    assert rig.right.memory[: len(MESSAGE)] == MESSAGE
    if on_left:
        assert [packet.ecn for packet in rig.sent if packet.source == rig.left.device.address] == [0, 0, 3] + 7 * [0]
    assert rig.right.device.counters.rcvd_icrc_err == 0


def test_rules_act_one_after_the_other_on_what_is_left() -> None:
    rig = FaultyRig("duplicate:opcode=write,psn=+2", "mark:opcode=write,psn=+2", "drop:opcode=write,psn=+3,nth=1",
                    "mark:opcode=write,psn=+3,nth=1")  # fmt: skip
    rig.write()
    assert [packet.ecn for packet in rig.sent if packet.ecn] == [3, 3, 3]
    assert [(hit.rule, hit.action.value) for hit in rig.report.hits][:3] == [(1, "duplicate"), (2, "mark"), (3, "drop")]


def test_a_plan_without_rules_changes_nothing() -> None:
    plain, rig = Rig(), FaultyRig(tells_identification=False)
    for each in (plain, rig):
        each.left.send(1, WrOpcode.RDMA_WRITE, 0, 5000, remote_address=each.right.mr.address, rkey=each.right.mr.rkey)
        each.run_until_completed(each.left, 1)
    assert plain.simulation.now == rig.simulation.now
    assert plain.left.device.counters.snapshot() == rig.left.device.counters.snapshot()
