"""Cases 14 to 17 of the draft's appendix: very low, rising and falling bandwidth, and a policer."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from stacks.model import ReceiverConfig
from tests.stacks.congestion.bbr3.cases_probe_up import lose_in_probe
from tests.stacks.congestion.bbr3.path import SECOND_NS
from tests.stacks.congestion.bbr3.rig import PROBE_RTT_INTERVAL_NS, Point, Rig, Transition
from transports.link import ConstantRate


def correctly_managing_sub_packet_bdps(point: Point) -> str:
    """A packet is 15/8 of the BDP, as 1500 bytes are at 64 kbit/s and 100 ms; elsewhere it stands for a train.

    The receiver acknowledges every other packet, and otherwise waits for three packets' time. The BDP that BBR sees has
    the packets' own time in it, so that four packets are the floor in ProbeRTT first of all.

    At a round trip of 1 s a packet takes 1.875 s, and a round of four more than ProbeRTTInterval: ProbeRTT comes in
    every round, no three rounds between two of them count, and Startup does not end. Floor and link are the same.
    """
    point = replace(point, packet_bytes=point.bdp_bytes * 15 // 8)
    rig = Rig(point, receiver=ReceiverConfig(ack_delay_ns=3 * point.packet_ns))
    bbr = rig.bbr
    assert point.bdp_bytes < point.packet_bytes
    is_endless = 4 * point.packet_ns > PROBE_RTT_INTERVAL_NS
    rig.bulk()
    if is_endless:
        rig.until_state(State.PROBE_RTT)
    else:
        rig.until_state(State.CRUISE, rounds=400)
    windows: list[int] = []
    paced: list[int] = []

    def after(ack: Ack, now: int) -> None:
        windows.append(bbr.window_bytes)
        if bbr.phase is State.CRUISE:
            paced.append(bbr.rate_bps)

    rig.on_ack = after
    start_ns, busy_ns, first_round = rig.timeline.now, rig.port.busy_ns, bbr.round_count
    rig.until(lambda: bbr.round_count >= first_round + 20, rounds=400)
    busy = (rig.port.busy_ns - busy_ns) / (rig.timeline.now - start_ns)
    rig.wait_for_probe_rtt()
    assert min(windows) == bbr.window_bytes == 4 * point.packet_bytes
    assert bbr.bdp // 2 < bbr.window_bytes
    assert busy > 0.97
    assert is_endless or abs(bbr.max_bw - point.rate_bps) <= point.rate_bps // 50
    assert bool(paced) is not is_endless
    assert all(abs(rate - point.rate_bps * 99 // 100) <= point.rate_bps // 50 for rate in paced)
    pace = f"paced at {paced[-1] / point.rate_bps:.3f}" if paced else "Startup and ProbeRTT by turns"
    return f"floor {min(windows) / point.packet_bytes:.1f} packets, {pace}, link {busy:.1%} busy"


def increasing_bandwidth_10x_and_ensuring_full_bandwidth_is_reached(point: Point) -> str:
    """Ten times the bandwidth, once loss in ProbeBW_UP has set inflight_longterm.

    The probe after that is precautionary, the next one stays in ProbeBW_UP. Rounds enough: the slope needs log2 of the
    new BDP in packets, a pacing gain of 1.25 needs log 10 / log 1.25, 10.4, and three more to begin and end. (A gain of
    1.25 less the margin of 1 % may look like a plateau where the slope also was in the way: then in two probes.)

    At a round trip of 1 s every ProbeBW_UP ends in ProbeRTT after five rounds at most, so that inflight_longterm grows
    by 1 + 2 + 4 + 8 + 16 packets at most, and the next begins with 1 again: not full bandwidth in O(log BDP) rounds.
    Each packet is acknowledged there: the round trip of one packet, after ProbeRTT saw those of two, is a shorter one
    that puts off the next ProbeRTT, and would let one probe in many last longer.
    """
    slow, fast = decade(point)
    rig = Rig(slow, receiver=ReceiverConfig(ack_packets=1 if point.is_long else 2))
    bbr = rig.bbr
    rig.reach_up()
    rig.until(lambda: bbr.full_bw_count == 1)
    lose_in_probe(rig)
    assert rig.until_state(State.DOWN).event is Event.INFLIGHT_TOO_HIGH
    rig.gate.drop = None
    assert bbr.inflight_longterm < 1 << 61
    rig.port.rate = ConstantRate(fast.rate_bps)
    rig.queue.limit_bytes = 4 * fast.bdp_bytes + 40 * fast.packet_bytes
    rig.until(lambda: bbr.phase is State.UP and not bbr.prev_probe_too_high)
    slopes: list[tuple[int, int, int]] = []
    cwnd, rounds = [0], [0]

    def before(ack: Ack, now: int) -> None:
        cwnd[0] = bbr.window_bytes

    def after(ack: Ack, now: int) -> None:
        rounds[0] += bbr.round_start and bbr.phase is State.UP
        is_new = not slopes or slopes[-1][0] != bbr.bw_probe_up_rounds
        if bbr.phase is State.UP and is_new:
            slopes.append((bbr.bw_probe_up_rounds, bbr.probe_up_acked_per_inc, cwnd[0]))

    bbr.before_ack, rig.on_ack = before, after
    first_bw, count = bbr.max_bw, len(rig.transitions)
    if point.is_long:
        return _grow_between_probe_rtts(rig, fast, slopes)
    rig.until(lambda: abs(bbr.max_bw - fast.rate_bps) <= fast.rate_bps // 50)
    probes = 1 + sum(step.new is State.UP for step in rig.transitions[count:])
    assert probes <= 2
    assert rounds[0] <= probes * (math.log2(fast.bdp_bytes / fast.packet_bytes) + 10.4 + 3)
    assert len(slopes) >= 4
    assert all(later in (earlier + 1, 1) for (earlier, _, _), (later, _, _) in pairwise(slopes))
    # A packet more for every cwnd / 2^(n-1) that is acknowledged: twice as many each round.
    assert all(per_inc == max(window >> (number - 1), fast.packet_bytes) for number, per_inc, window in slopes[1:])
    growth = f"{first_bw / fast.rate_bps:.2f} to {bbr.max_bw / fast.rate_bps:.2f}"
    return f"{growth} in {rounds[0]} rounds, slope 2^{slopes[-1][0] - 1}"


def _grow_between_probe_rtts(rig: Rig, fast: Point, slopes: list[tuple[int, int, int]]) -> str:
    bbr = rig.bbr
    ends: list[Transition] = []
    growths: list[int] = []
    # The faster link makes round trips shorter: while they still get shorter, ProbeRTT is put off.
    rig.until(lambda: bbr.phase is not State.UP)
    rig.until_state(State.UP)
    slopes.clear()
    for _ in range(8):
        longterm = bbr.inflight_longterm
        rig.until(lambda: bbr.phase is not State.UP)
        growths.append(bbr.inflight_longterm - longterm)
        ends.append(next(step for step in reversed(rig.transitions) if step.old is State.UP))
        rig.until_state(State.UP)
    assert all(step.event is Event.PROBE_RTT_EXPIRED for step in ends)
    assert max(number for number, _, _ in slopes) <= 1 + 5
    assert all(0 <= growth <= 31 * fast.packet_bytes for growth in growths)
    assert sum(growths) > 0
    assert bbr.max_bw < fast.rate_bps // 2
    most = max(growths) // fast.packet_bytes
    return f"{most} packets a probe at most, max_bw {bbr.max_bw / fast.rate_bps:.2f} after 8"


def decreasing_bandwidth_10x_and_ensuring_max_bandwidth_adapts_down(point: Point) -> str:
    """A tenth of bandwidth and buffer, in ProbeBW_CRUISE: a tenth of the first BDP, twelve packets at least.

    Each round with loss takes bw_shortterm down to Beta of it, or to what was delivered: two rounds to a half. CRUISE
    may begin before the round is over after which the cycle counts, so that the filter's two cycles end in the third.

    At a round trip of 1 s the two to three seconds of ProbeBW_CRUISE have one such round, to Beta. And a bulk flow's
    probes end in ProbeRTT, not in ProbeBW_DOWN, so that the max_bw filter never advances: there, the application pauses
    for longer than ProbeRTTInterval before each probe.
    """
    slow, fast = decade(point)
    rig = Rig(fast)
    bbr = rig.bbr
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    assert abs(bbr.max_bw - fast.rate_bps) <= fast.rate_bps // 50
    rig.port.rate = ConstantRate(slow.rate_bps)
    rig.queue.limit_bytes = max(fast.bdp_bytes // 10, 12 * fast.packet_bytes)
    dropped, first_round, first_cycle = rig.port.queue.dropped_packets, bbr.round_count, bbr.cycle_count
    bounds = [fast.rate_bps]

    def after(ack: Ack, now: int) -> None:
        if bbr.bw_shortterm < bounds[-1]:
            bounds.append(bbr.bw_shortterm)

    rig.on_ack = after
    enough = fast.rate_bps * 7 // 10 if point.is_long else fast.rate_bps // 2
    rig.until(lambda: bounds[-1] <= enough, rounds=100)
    rounds = bbr.round_count - first_round
    assert rig.port.queue.dropped_packets > dropped
    assert all(later >= earlier * 70 // 100 for earlier, later in pairwise(bounds))
    assert rounds <= 6
    while point.is_long and bbr.cycle_count < first_cycle + 3 and bbr.max_bw > slow.rate_bps * 102 // 100:
        rig.idle(PROBE_RTT_INTERVAL_NS)
        rig.until_state(State.UP)
        rig.until(lambda: bbr.phase is not State.UP)
        rig.run(3 * point.rtt_ns)
    rig.until(lambda: abs(bbr.max_bw - slow.rate_bps) <= slow.rate_bps // 50, rounds=1000)
    cycles = bbr.cycle_count - first_cycle
    assert cycles <= 3
    bound = f"bw_shortterm {bounds[-1] / fast.rate_bps:.2f} after {rounds} rounds"
    return f"{bound}; max_bw {bbr.max_bw / slow.rate_bps - 1:+.2%} after {cycles} cycles"


def handling_token_bucket_policers(point: Point) -> str:
    """The path is ten times as fast as the policer, which has the point's rate and a bucket of half a BDP.

    Packets are an eighth of the BDP at most: more than two would let the floor of four packets a round trip alone
    exceed the token rate. Every probe loses packets: less than a round trip's worth of them in a cycle, which lasts as
    many rounds as the BDP has packets, 63, or two seconds, whichever is least; and 5 % at most.
    """
    point = replace(point, packet_bytes=min(point.packet_bytes, point.bdp_bytes // 8))
    rig = Rig(point)
    bbr = rig.bbr
    rig.port.rate = ConstantRate(10 * point.rate_bps)
    rig.policer.police(point.rate_bps, point.bdp_bytes // 2)
    rig.bulk()
    rig.until_state(State.CRUISE, rounds=400)
    rig.until(lambda: bbr.bw_shortterm < 1 << 61 and bbr.inflight_shortterm < 1 << 61, rounds=400)
    assert rig.policer.dropped_packets
    reaction = bbr.bw_shortterm / point.rate_bps
    # What the first burst of tokens made max_bw is forgotten after two cycles.
    cycle = bbr.cycle_count
    rig.until(lambda: point.is_long or bbr.cycle_count > cycle + 2, rounds=400)
    dropped, passed = rig.policer.dropped_packets, rig.policer.passed_packets
    now, delivered, first_round = rig.timeline.now, rig.delivery.delivered_bytes, bbr.round_count
    rig.until(lambda: bbr.round_count > first_round + 60, rounds=400)
    dropped, passed = rig.policer.dropped_packets - dropped, rig.policer.passed_packets - passed
    rate = (rig.delivery.delivered_bytes - delivered) * 8 * SECOND_NS / (rig.timeline.now - now) / point.rate_bps
    loss = dropped / (dropped + passed)
    cycle_rounds = min(point.bdp_bytes / point.packet_bytes, 63, 2 * SECOND_NS / point.rtt_ns)
    assert loss < min(1 / cycle_rounds, 0.05)
    assert 0.8 <= rate <= 1.02
    return f"bw_shortterm {reaction:.2f}; then loss {loss:.2%}, {rate:.2f} of the token rate"


def decade(point: Point) -> tuple[Point, Point]:
    """The point and a tenth of its rate, or ten times its rate and the point: 64 kbit/s is the least in the draft."""
    if point.rate_bps < 640_000:
        return point, replace(point, rate_bps=10 * point.rate_bps)
    return replace(point, rate_bps=point.rate_bps // 10), point
