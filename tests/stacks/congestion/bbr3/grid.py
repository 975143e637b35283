"""The full grid of rates and round trips, and its cells in which a case cannot hold: why, and what does instead."""

from __future__ import annotations

from collections.abc import Callable

from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.cases_drain import reach_drain
from tests.stacks.congestion.bbr3.rig import Point, Rig

RATES = (64_000, 1_000_000, 20_000_000, 500_000_000, 10_000_000_000)
RTTS_MS = (1, 10, 100, 1000)


def cell(rate_bps: int, rtt_ms: int) -> Point:
    """A packet is a hundredth of the BDP, 100 to 1500 bytes; above 400 of 1500 bytes, a train of so many less."""
    bdp_bytes = rate_bps * rtt_ms // 8000
    packet_bytes = max(min(1500, bdp_bytes // 100), bdp_bytes // 400, 100)
    return Point(rate_bps, rtt_ms * 1_000_000, packet_bytes)


GRID = tuple(cell(rate_bps, rtt_ms) for rate_bps in RATES for rtt_ms in RTTS_MS)


def floor_bound(point: Point) -> str:
    """Four packets, or a quantum, are ten BDPs or nearly: they are what is in flight, and the link is busy.

    Case 4: inflight cannot stay above Inflight(1.0), which is the floor, in a window that is the floor. 9: for the same
    reason there is nothing to drain. 13: cwnd is the floor, not twice the BDP and extra_acked. 15: inflight_longterm,
    four packets at least, is above ten BDPs and limits nothing. 16: four packets in flight lose what they lose,
    whatever bw_shortterm is. 17: four packets a round trip are above the token rate. 20: a packet takes longer than the
    round trip, so that an application slow enough for Startup to go on is idle between any two.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    assert point.bdp_bytes * 5 // 4 <= 4 * point.packet_bytes
    assert rig.inflight() == max(4 * point.packet_bytes, bbr.offload_budget)
    start_ns, busy_ns, first_round = rig.timeline.now, rig.port.busy_ns, bbr.round_count
    windows: list[int] = []
    rig.on_ack = lambda ack, now: windows.append(bbr.window_bytes)
    rig.until(lambda: bbr.round_count > first_round + 100)
    assert min(windows) >= 4 * point.packet_bytes
    assert abs(bbr.max_bw - point.rate_bps) <= point.rate_bps // 50
    busy = (rig.port.busy_ns - busy_ns) / (rig.timeline.now - start_ns)
    assert busy > 0.97
    return f"the floor: {min(windows) / point.packet_bytes:.1f} packets, link {busy:.1%} busy"


def quantum_bound(point: Point) -> str:
    """At 1 ms, a quantum of a millisecond is about a BDP: Drain ends as soon as a quantum more is gone."""
    rig = Rig(point)
    reach_drain(rig)
    if rig.bbr.phase is State.DRAIN:
        rig.until_state(State.DOWN)
    step = next(step for step in rig.transitions if step.old is State.DRAIN)
    assert step.event is Event.DRAINED
    assert step.inflight_bytes <= rig.inflight(step.variables)
    assert 2 * step.variables["offload_budget"] >= 9 * point.bdp_bytes // 10
    return "drained to a quantum"


INSTEAD: dict[tuple[str, int], Callable[[Point], str]] = {
    **{("64kbit-1ms", number): floor_bound for number in (4, 9, 15, 16, 17, 20)},
    **{("64kbit-10ms", number): floor_bound for number in (4, 9, 13)},
    **{("1Mbit-1ms", number): floor_bound for number in (4, 9, 13, 15, 16, 17)},
    **{(name, 4): quantum_bound for name in ("20Mbit-1ms", "500Mbit-1ms")},
}
