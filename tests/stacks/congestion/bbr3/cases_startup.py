"""Cases 1, 2, 7 and 20 of the draft's appendix: how Startup ends, and how it does not."""

from __future__ import annotations

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from stacks.model import ReceiverConfig
from tests.stacks.congestion.bbr3.path import SECOND_NS
from tests.stacks.congestion.bbr3.rig import PROBE_RTT_INTERVAL_NS, Point, Rig

PROBE_RTT_STEPS = [(State.STARTUP, State.PROBE_RTT), (State.PROBE_RTT, State.STARTUP)]


def exiting_startup_on_bandwidth_plateau(point: Point) -> str:
    """A bulk flow, and a buffer of 4 BDP that never overflows.

    Where a round takes more than a second or so, ProbeRTT comes due before three flat rounds are over. It returns to
    Startup (case 20), and the count goes on; its own rounds are application-limited and do not count.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rounds: list[tuple[int, int, int]] = []
    full_bw = [0]

    def before(ack: Ack, now: int) -> None:
        full_bw[0] = bbr.full_bw

    def after(ack: Ack, now: int) -> None:
        if bbr.round_start and not ack.is_app_limited:
            rounds.append((ack.delivery_rate_bps, full_bw[0], bbr.full_bw_count))

    bbr.before_ack, rig.on_ack = before, after
    rig.bulk()
    step = rig.until_state(State.DRAIN)
    assert (step.old, step.event) == (State.STARTUP, Event.FULL_PIPE)
    before_it = rig.transitions[: rig.transitions.index(step)]
    assert all((other.old, other.new) in PROBE_RTT_STEPS for other in before_it)
    assert rig.port.queue.dropped_packets == 0
    assert [count for _, _, count in rounds[-3:]] == [1, 2, 3]
    assert all(4 * rate < 5 * baseline for rate, baseline, _ in rounds[-3:])
    assert all(4 * rate >= 5 * baseline for rate, baseline, count in rounds if count == 0)
    assert step.variables["full_bw_now"] == step.variables["full_bw_reached"] == 1
    assert abs(bbr.max_bw - point.rate_bps) <= point.rate_bps // 50
    return f"max_bw {bbr.max_bw / point.rate_bps - 1:+.2%}, {bbr.round_count} rounds"


def exiting_startup_on_loss_when_application_limited(point: Point) -> str:
    """The application writes 14 packets at a time and waits for their arrival; then every other of them is dropped.

    That is seven discontiguous ranges a round, and half of what is in flight.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.limit_application(14)
    rig.until(lambda: bbr.round_count >= 3)
    assert rig.transitions == []
    assert bbr.rs.is_app_limited
    assert not bbr.full_bw_reached
    rig.gate.drop = lambda packet: not packet.is_retransmission and packet.segment % 2 == 0
    first_round = bbr.round_count
    step = rig.until_state(State.DRAIN)
    assert (step.old, step.event) == (State.STARTUP, Event.FULL_PIPE)
    # CheckStartupHighLoss saw it, and not the plateau, for which nothing here counts.
    assert bbr.rs.is_app_limited
    assert step.variables["full_bw_count"] < 3
    loss = bbr.rs.sample_lost_bytes / bbr.rs.tx_in_flight_bytes
    assert loss > 0.02
    assert step.variables["full_bw_now"] == step.variables["full_bw_reached"] == 1
    assert bbr.undo_state is State.STARTUP
    assert step.variables["inflight_longterm"] == max(step.variables["bdp"], step.variables["inflight_latest"])
    return f"loss {loss:.0%}, {bbr.round_count - first_round} rounds after the first"


def never_exiting_when_application_limited_with_no_loss(point: Point) -> str:
    """The application writes a packet and waits for its arrival, in Startup and in ProbeBW_UP.

    "Indefinitely" is 100 rounds of it, here: ten times those that end either state when the application does not
    limit. Each write is a restart from idle, so that ProbeRTT, which may begin in any state, is never due.
    """
    at_once = ReceiverConfig(ack_packets=1)
    rig = Rig(point, receiver=at_once)
    rig.limit_application(1)
    rig.until(lambda: rig.bbr.round_count >= 100)
    assert rig.transitions == []
    assert rig.bbr.phase is State.STARTUP
    assert not rig.bbr.full_bw_reached

    rig = Rig(point, receiver=at_once)
    rig.reach_up()
    rig.pause()
    rig.run(2 * point.rtt_ns + 20 * point.packet_ns)
    rig.limit_application(1)
    count, first_round = len(rig.transitions), rig.bbr.round_count
    rig.until(lambda: rig.bbr.round_count >= first_round + 100)
    assert rig.transitions[count:] == []
    assert rig.bbr.phase is State.UP
    assert not rig.bbr.full_bw_now
    return "100 rounds in each"


def entering_and_exiting_probe_rtt_during_startup(point: Point) -> str:
    """The application writes a packet three times a round trip: slow, never idle, and Startup goes on for 5 s.

    Afterwards it has plenty, and Startup finds the link's rate.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.write_every(max(point.rtt_ns // 3, point.packet_ns * 6 // 5), 1)
    stamps = [0]

    def before(ack: Ack, now: int) -> None:
        stamps[0] = bbr.probe_rtt_min_stamp

    bbr.before_ack = before
    rounds = 12 * SECOND_NS // (2 * point.rtt_ns)
    entry = rig.until_state(State.PROBE_RTT, rounds=rounds)
    assert entry.old is State.STARTUP
    assert entry.now > stamps[0] + PROBE_RTT_INTERVAL_NS
    assert not bbr.full_bw_reached
    leave = rig.until_state(State.STARTUP, rounds=rounds)
    assert (leave.old, leave.event) == (State.PROBE_RTT, Event.PROBE_RTT_DONE_UNFILLED)
    assert (bbr.pacing_gain, bbr.cwnd_gain) == (277, 200)
    spent_ns = leave.now - entry.now
    assert spent_ns >= 200_000_000
    rig.bulk()
    assert rig.until_state(State.DRAIN).event is Event.FULL_PIPE
    assert abs(bbr.max_bw - point.rate_bps) <= point.rate_bps // 50
    return f"ProbeRTT {spent_ns / 1e6:.0f} ms, then max_bw {bbr.max_bw / point.rate_bps - 1:+.2%}"
