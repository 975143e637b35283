"""PRR: RFC 9937's proportion and bounds, for any pattern of losses."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from stacks.congestion import Prr
from tests.stacks.model.rig import Rig, random_fate

PACKET = 1000


def recover(flight: int, lost: int, ssthresh: int, acks: list[int], *, is_safe: bool) -> list[tuple[int, int, int]]:
    """Packets: after each acknowledgement of `acks` packets: delivered, sent, in flight after sending."""
    prr = Prr(PACKET)
    prr.start(flight * PACKET)
    delivered = sent = 0
    in_flight = flight - lost
    seen = []
    for count in acks:
        count = min(count, flight - lost - delivered)
        if not count:
            break
        delivered += count
        in_flight -= count
        window = prr.window_bytes(count * PACKET, in_flight * PACKET, ssthresh * PACKET, is_safe=is_safe)
        allowed = window // PACKET - in_flight
        assert allowed >= 0
        sent += allowed
        in_flight += allowed
        prr.sent_bytes += allowed * PACKET
        seen.append((delivered, sent, in_flight))
    return seen


def test_half_of_what_arrives_leaves_while_the_window_halves() -> None:
    """RFC 9937 7, figure 1: 20 in flight, one lost, ssthresh 10: a packet for every second acknowledgement."""
    seen = recover(20, 1, 10, [1] * 19, is_safe=True)
    assert all(abs(2 * sent - delivered) <= 2 for delivered, sent, _ in seen)
    assert seen[0][1] == 1  # the fast retransmit
    assert seen[-1][2] == 10


def test_a_burst_of_losses_is_answered_by_as_much_as_arrives() -> None:
    """RFC 9937 7, figure 2's case: 20 in flight, 16 lost: 4 arrive, and no more than that and one each leaves."""
    conservative = recover(20, 16, 10, [1] * 4, is_safe=False)
    assert conservative[-1][:2] == (4, 4)
    slow_start = recover(20, 16, 10, [1] * 4, is_safe=True)
    assert slow_start[-1][:2] == (4, 8)


@given(
    flight=st.integers(2, 200),
    lost=st.integers(1, 200),
    beta=st.sampled_from([(1, 2), (7, 10)]),
    acks=st.lists(st.integers(1, 5), min_size=1, max_size=200),
    is_safe=st.booleans(),
)
def test_the_bounds_hold_whatever_is_lost(
    flight: int, lost: int, beta: tuple[int, int], acks: list[int], is_safe: bool
) -> None:
    lost = min(lost, flight - 1)
    ssthresh = max(flight * beta[0] // beta[1], 2)
    for number, (delivered, sent, in_flight) in enumerate(recover(flight, lost, ssthresh, acks, is_safe=is_safe), 1):
        # Never more than arrived (RFC 9937's strong packet conservation), the fast retransmit apart; with the
        # slow-start bound, and one for each acknowledgement.
        assert sent <= max(delivered + (number if is_safe else 0), 1)
        # Sending never takes the flight above ssthresh: it only comes down to it.
        assert in_flight <= max(ssthresh, flight - lost - delivered + -(-delivered * ssthresh // flight), 1)
        if not lost:
            assert in_flight >= ssthresh


def test_a_recovery_ends_at_ssthresh_and_without_silence() -> None:
    """In a flow: over the round trip of a reduction packets leave evenly, not in a burst after half a round."""
    rig = Rig("reno", limit_packets=60, forward=random_fate(9, loss=0))
    rig.flow.write(1 << 30)
    while rig.controller.state != "congestion avoidance":
        rig.run_ms(1)
    while rig.controller.state != "recovery":
        rig.run_ms(1)
    start = rig.timeline.now
    while rig.controller.state == "recovery":
        rig.run_ms(1)
    end = rig.timeline.now
    assert rig.controller.window_bytes == rig.controller.variables()["ssthresh"]
    times = [packet.sent_ns for packet in rig.sent if start <= packet.sent_ns <= end]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) < (end - start) // 5
