"""Cases 12 and 13 of the draft's appendix: acknowledgements that arrive in batches, as over a cellular link."""

from __future__ import annotations

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from tests.stacks.congestion.bbr3.path import SECOND_NS
from tests.stacks.congestion.bbr3.rig import Point, Rig


class ExtraAcked:
    """extra_acked by 5.5.9, with a filter that keeps every sample: what BBR's is compared with."""

    def __init__(self, rig: Rig) -> None:
        self.value = 0
        self._rig = rig
        self._start_ns, self._delivered = rig.bbr.extra_acked_interval_start, rig.bbr.extra_acked_delivered
        self._samples: dict[int, int] = {}
        self._bw = self._cwnd = 0
        self._was_full = False
        rig.bbr.before_ack = self._before
        self._handle_sent = rig.bbr.handle_sent
        rig.sender.controller.handle_sent = self._sent  # type: ignore[method-assign]

    def _before(self, ack: Ack, now: int) -> None:
        bbr = self._rig.bbr
        self._bw, self._cwnd, self._was_full = bbr.bw, bbr.window_bytes, bbr.full_bw_reached

    def _sent(self, length_bytes: int, now: int) -> None:
        if not self._rig.delivery.inflight_bytes and self._rig.delivery.app_limited:
            self._start_ns = now  # HandleRestartFromIdle
        self._handle_sent(length_bytes, now)

    def update(self, ack: Ack, now: int) -> None:
        """Of an acknowledgement that BBR has seen."""
        bbr = self._rig.bbr
        expected = self._bw * (now - self._start_ns) // (8 * SECOND_NS)
        if self._delivered <= expected:
            self._start_ns, self._delivered, expected = now, 0, 0
        self._delivered += ack.acked_bytes
        extra = min(self._delivered - expected, self._cwnd)
        self._samples[bbr.round_count] = max(extra, self._samples.get(bbr.round_count, 0))
        # One round in Startup; CheckFullBWReached comes after the filter.
        oldest = bbr.round_count - (9 if self._was_full else 0)
        self.value = max(extra for number, extra in self._samples.items() if number >= oldest)


def achieving_expected_startup_bandwidth_on_a_link_with_aggregation(point: Point) -> str:
    """Acknowledgements arrive every half round trip, or every four packets if that is longer."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.batcher.period_ns = max(point.rtt_ns // 2, 4 * point.packet_ns)
    oracle = ExtraAcked(rig)
    seen: list[int] = []
    rates: list[int] = []
    doubled: list[int] = []

    def after(ack: Ack, now: int) -> None:
        oracle.update(ack, now)
        if bbr.phase is not State.STARTUP:
            return
        seen.append(bbr.extra_acked - oracle.value)
        rates.append(ack.delivery_rate_bps)
        if bbr.round_start and not ack.is_app_limited:
            doubled.append(bbr.max_bw)

    rig.on_ack = after
    cwnd = [0]
    rig.bulk()

    def is_done() -> bool:
        cwnd[0] = max(cwnd[0], bbr.window_bytes)
        return bbr.phase is State.DRAIN

    rig.until(is_done)
    assert rig.transitions[-1].event is Event.FULL_PIPE
    assert not any(seen)
    assert cwnd[0] > 2 * point.bdp_bytes
    # Where a batch is not a whole number of packets, a sample of a round trip may have a packet too many.
    allowed = point.rate_bps // 50
    if rig.batcher.period_ns % point.packet_ns:
        allowed = max(allowed, point.rate_bps * point.packet_bytes // point.bdp_bytes)
    assert abs(bbr.max_bw - point.rate_bps) <= allowed
    assert max(rates) <= point.rate_bps + allowed
    # Until it is near the link's rate, it doubles within two rounds: batches make rounds uneven.
    below = [bw for bw in doubled if bw < point.rate_bps // 2]
    assert all(later >= 2 * earlier for earlier, later in zip(below, doubled[2:], strict=False))
    return f"max_bw {bbr.max_bw / point.rate_bps - 1:+.2%}, cwnd {cwnd[0] / point.bdp_bytes:.2f} BDP"


def achieving_expected_cruise_bandwidth_on_a_link_with_aggregation(point: Point) -> str:
    """From ProbeBW_CRUISE on acknowledgements arrive every half round trip, or every four packets if that is longer."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    rig.batcher.period_ns = period_ns = max(point.rtt_ns // 2, 4 * point.packet_ns)
    oracle = ExtraAcked(rig)
    first_round = bbr.round_count
    different: list[int] = []
    cruising = [0, 0, 0]
    last = [0, 0]

    def after(ack: Ack, now: int) -> None:
        oracle.update(ack, now)
        # Samples from before are forgotten after ten rounds.
        if bbr.round_count > first_round + 10 and bbr.extra_acked != oracle.value:
            different.append(bbr.extra_acked)
        # What the link does between two batches in CRUISE, once the batches have shown.
        if bbr.phase is State.CRUISE and last[0] and bbr.round_count > first_round + 2:
            cruising[0] += now - last[0]
            cruising[1] += rig.port.busy_ns - last[1]
            limit = bbr.max_inflight
            assert limit == max(2 * bbr.bdp + bbr.extra_acked, rig.inflight(gain=200))
            cruising[2] += bbr.window_bytes == limit
        last[:] = [now, rig.port.busy_ns] if bbr.phase is State.CRUISE else [0, 0]

    rig.on_ack = after
    rig.until(lambda: bbr.round_count > first_round + 25, rounds=300)
    assert not different
    assert cruising[2]
    expected = point.rate_bps * period_ns // (8 * SECOND_NS)
    assert bbr.extra_acked >= expected * 9 // 10 - 2 * point.packet_bytes
    utilisation = cruising[1] / cruising[0]
    assert utilisation >= 0.97
    return f"extra_acked {bbr.extra_acked / point.bdp_bytes:.2f} BDP, link {utilisation:.1%} busy in CRUISE"
