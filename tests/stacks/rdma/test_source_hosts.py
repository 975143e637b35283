"""Bursts whose ICRCs are right but whose sender is not the peer, and bursts whose last, shorter packet is damaged."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.stacks.rdma.hand import ACK, FIRST_PSN, HandRig
from transports.datagram import Address, Burst
from wire.roce import Opcode
from wire.roce.flow_icrc import FlowIcrc

PEER, STRANGER = ("192.0.2.1", 4791), ("192.0.2.77", 4791)
LONG, SHORT = b"long" * 16, b"tail"
RECEIVE_BYTES = len(LONG)
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def hear(
    rig: HandRig,
    source: Address,
    *payloads: bytes,
    damaged: int | None = None,
    numbers: Sequence[int] = range(100),
    identification: int | None = None,
) -> None:
    """Give the device a burst of SENDs from `source`, one packet each, in good order.

    damaged: index of the one with a wrong ICRC. numbers: Identifications that their ICRCs take in. identification: what
    the transport says that the first one has.
    """
    flow, device = FlowIcrc(source, rig.end.device.address), rig.end.device
    packets = []
    for number, payload in enumerate(payloads):
        body = rig.packet(Opcode.RC_SEND_ONLY, payload=payload, psn=rig.psn)[:-4]
        rig.psn += 1
        icrc = flow.icrc(body + bytes(4), numbers[number]) ^ (number == damaged)
        packets.append(body + icrc.to_bytes(4, "little"))
    burst = Burst(memoryview(b"".join(packets)), len(packets[0]), source, device.address, identification=identification)
    device.handle_burst(burst, rig.simulation.now)
    rig.end.host.wake()


def rig_with_receives(count: int, *, shortcuts: bool) -> HandRig:
    """A queue pair with `count` receives, one behind the other in its memory."""
    rig = HandRig(shortcuts=shortcuts)
    for number in range(count):
        rig.end.recv(number, number * RECEIVE_BYTES, RECEIVE_BYTES)
    return rig


BURSTS = {"one packet": [LONG], "a run": [LONG] * 3, "a run with a short tail": [LONG] * 3 + [SHORT]}


@each_way
@pytest.mark.parametrize("payloads", BURSTS.values(), ids=BURSTS)
def test_packets_of_another_host_are_counted_and_not_delivered(payloads: list[bytes], shortcuts: bool) -> None:
    rig = rig_with_receives(len(payloads), shortcuts=shortcuts)
    before = bytes(rig.end.memory)
    hear(rig, STRANGER, *payloads)
    assert rig.completed() == []
    assert rig.received() == []
    assert rig.end.memory == before
    counters = rig.end.device.counters
    assert (counters.rcvd_source_err, counters.rcvd_pkts) == (len(payloads), 0)
    # Nothing of it counts as received: the peer's own packets are still the ones expected.
    rig.psn = FIRST_PSN
    hear(rig, PEER, *payloads)
    assert rig.completed() == [(number, "SUCCESS") for number in range(len(payloads))]
    assert (counters.rcvd_source_err, counters.rcvd_pkts) == (len(payloads), len(payloads))


@each_way
def test_a_damaged_short_tail_is_counted_once_and_written_nowhere(shortcuts: bool) -> None:
    rig = rig_with_receives(4, shortcuts=shortcuts)
    hear(rig, PEER, LONG, LONG, LONG, SHORT, damaged=3)
    counters = rig.end.device.counters
    assert (counters.rcvd_icrc_err, counters.rcvd_pkts) == (1, 3)
    assert rig.completed() == [(number, "SUCCESS") for number in range(3)]
    assert rig.end.memory[: 4 * RECEIVE_BYTES] == LONG * 3 + bytes(RECEIVE_BYTES)
    assert rig.answers() == [(ACK, FIRST_PSN + 2 & 0xFFFFFF)]


@each_way
def test_a_good_short_tail_is_received_with_the_run_before_it(shortcuts: bool) -> None:
    rig = rig_with_receives(4, shortcuts=shortcuts)
    hear(rig, PEER, LONG, LONG, LONG, SHORT)
    counters = rig.end.device.counters
    assert (counters.rcvd_icrc_err, counters.rcvd_pkts, counters.rdma_recvs) == (0, 4, 4)
    assert rig.completed() == [(number, "SUCCESS") for number in range(4)]
    assert rig.end.memory[: 4 * RECEIVE_BYTES] == LONG * 3 + SHORT.ljust(RECEIVE_BYTES, b"\0")
    assert rig.answers() == [(ACK, FIRST_PSN + 3 & 0xFFFFFF)]


@each_way
def test_a_damaged_packet_before_a_good_short_tail_opens_a_gap(shortcuts: bool) -> None:
    rig = rig_with_receives(4, shortcuts=shortcuts)
    hear(rig, PEER, LONG, LONG, LONG, SHORT, damaged=1)
    counters = rig.end.device.counters
    assert (counters.rcvd_icrc_err, counters.rcvd_pkts, counters.rcvd_ahead_pkts) == (1, 3, 2)
    assert rig.completed() == [(0, "SUCCESS")]
    assert rig.end.memory[RECEIVE_BYTES : 4 * RECEIVE_BYTES] == bytes(3 * RECEIVE_BYTES)


@each_way
@pytest.mark.parametrize(("last", "is_right"), [(10, True), (7, False)])
def test_a_short_tail_belongs_to_the_identification_behind_the_run(last: int, is_right: bool, shortcuts: bool) -> None:
    rig = rig_with_receives(4, shortcuts=shortcuts)
    hear(rig, PEER, LONG, LONG, LONG, SHORT, numbers=[7, 8, 9, last], identification=7)
    counters = rig.end.device.counters
    assert (counters.rcvd_pkts, counters.rcvd_icrc_err) == ((4, 0) if is_right else (3, 1))
    assert len(rig.completed()) == counters.rcvd_pkts
