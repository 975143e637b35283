"""Cases 14 to 17 of the draft's appendix: very low, rising and falling bandwidth, and a policer."""

from __future__ import annotations

from dataclasses import replace

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from stacks.model import ReceiverConfig
from tests.stacks.congestion.bbr3.cases_probe_up import lose_in_probe
from tests.stacks.congestion.bbr3.path import SECOND_NS
from tests.stacks.congestion.bbr3.rig import Point, Rig
from transports.link import ConstantRate


def correctly_managing_sub_packet_bdps(point: Point) -> str:
    """A packet is 15/8 of the BDP, as 1500 bytes are at 64 kbit/s and 100 ms; elsewhere it stands for a train.

    The receiver acknowledges every other packet, and otherwise waits for a second, or for three packets' time.
    """
    point = replace(point, packet_bytes=point.bdp_bytes * 15 // 8)
    config = ReceiverConfig(ack_delay_ns=3 * point.packet_ns)
    rig = Rig(point, receiver=config)
    bbr = rig.bbr
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    assert point.bdp_bytes < point.packet_bytes
    windows: list[int] = []
    paced: list[int] = []

    def after(ack: Ack, now: int) -> None:  # noqa: ARG001
        windows.append(bbr.window_bytes)
        if bbr.phase is State.CRUISE:
            paced.append(bbr.rate_bps)

    rig.on_ack = after
    start_ns, busy_ns, first_round = rig.timeline.now, rig.port.busy_ns, bbr.round_count
    rig.until(lambda: bbr.round_count >= first_round + 20, rounds=400)
    assert min(windows) >= 4 * point.packet_bytes
    assert all(abs(rate - point.rate_bps * 99 // 100) <= point.rate_bps // 50 for rate in paced)
    busy = (rig.port.busy_ns - busy_ns) / (rig.timeline.now - start_ns)
    assert busy > 0.97
    return f"cwnd {min(windows) / point.packet_bytes:.1f} packets, paced at {paced[-1] / point.rate_bps:.3f}, link {busy:.1%} busy"


def increasing_bandwidth_10x_and_ensuring_full_bandwidth_is_reached(point: Point) -> str:
    """From a tenth of the point's rate to all of it, once loss in a probe has set inflight_longterm."""
    slow = replace(point, rate_bps=point.rate_bps // 10)
    rig = Rig(slow, buffer_bdp=40)
    bbr = rig.bbr
    rig.reach_up()
    rig.until(lambda: bbr.full_bw_count == 1)
    lose_in_probe(rig)
    rig.until_state(State.DOWN)
    rig.gate.drop = None
    rig.port.rate = ConstantRate(point.rate_bps)
    rig.port.queue.limit_bytes = 4 * point.bdp_bytes + 40 * point.packet_bytes  # type: ignore[attr-defined]
    return "todo"


def decreasing_bandwidth_10x_and_ensuring_max_bandwidth_adapts_down(point: Point) -> str:
    """From the point's rate to a tenth of it in ProbeBW_CRUISE, with a buffer of half a BDP of the rate before."""
    rig = Rig(point, buffer_bdp=0.5)
    bbr = rig.bbr
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    slow = point.rate_bps // 10
    rig.port.rate = ConstantRate(slow)
    first_cycle, first_round = bbr.cycle_count, bbr.round_count
    rig.until(lambda: bbr.bw_shortterm < point.rate_bps // 2, rounds=400)
    rounds = bbr.round_count - first_round
    assert rig.port.queue.dropped_packets
    rig.until(lambda: bbr.cycle_count == first_cycle + 2, rounds=4000)
    rig.until(lambda: bbr.max_bw <= slow * 102 // 100, rounds=400)
    return f"half after {rounds} rounds, max_bw {bbr.max_bw / slow - 1:+.2%} after {bbr.cycle_count - first_cycle} cycles"


def handling_token_bucket_policers(point: Point) -> str:
    """The path is ten times as fast as the policer, which has the point's rate and a bucket of half a BDP."""
    fast = replace(point, rate_bps=point.rate_bps)
    rig = Rig(fast)
    bbr = rig.bbr
    rig.port.rate = ConstantRate(10 * point.rate_bps)
    rig.policer.police(point.rate_bps, max(point.bdp_bytes // 2, 10 * point.packet_bytes))
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    rig.until(lambda: bbr.bw_shortterm < 1 << 61 and bbr.inflight_shortterm < 1 << 61, rounds=400)
    dropped, passed = rig.policer.dropped_packets, rig.policer.passed_packets
    now, delivered, first_round = rig.timeline.now, rig.delivery.delivered_bytes, bbr.round_count
    rig.until(lambda: bbr.round_count > first_round + 200, rounds=400)
    dropped, passed = rig.policer.dropped_packets - dropped, rig.policer.passed_packets - passed
    rate = (rig.delivery.delivered_bytes - delivered) * 8 * SECOND_NS / (rig.timeline.now - now) / point.rate_bps
    return f"loss {dropped / (dropped + passed):.2%}, {rate:.2f} of the token rate"
