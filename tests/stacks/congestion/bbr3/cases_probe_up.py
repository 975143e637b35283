"""Cases 5, 6, 21 and 22 of the draft's appendix: how ProbeBW_UP begins and ends."""

from __future__ import annotations

from stacks.congestion import Ack
from stacks.congestion.bbr3 import Event, State
from stacks.congestion.delivery import SentPacket
from tests.stacks.congestion.bbr3.rig import Point, Rig


def exiting_probe_up_on_bandwidth_plateau(point: Point) -> str:
    """A bulk flow that is never application-limited, and a buffer of 4 BDP."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    assert (bbr.pacing_gain, bbr.cwnd_gain) == (125, 225)
    rounds: list[tuple[int, int, int]] = []
    full_bw = [0]

    def before(ack: Ack, now: int) -> None:
        full_bw[0] = bbr.full_bw

    def after(ack: Ack, now: int) -> None:
        assert not ack.is_app_limited
        if bbr.round_start:
            rounds.append((ack.delivery_rate_bps, full_bw[0], max(bbr.full_bw_count, 0)))

    bbr.before_ack, rig.on_ack = before, after
    step = rig.until_state(State.DOWN)
    assert (step.old, step.event) == (State.UP, Event.TIME_TO_GO_DOWN)
    assert step.variables["full_bw_now"] == 1
    assert [count for _, _, count in rounds[-3:]] == [1, 2, 3]
    assert all(4 * rate < 5 * baseline for rate, baseline, _ in rounds[-3:])
    assert rig.port.queue.dropped_packets == 0
    assert not bbr.prev_probe_too_high
    return f"{len(rounds)} rounds, {step.inflight_bytes / point.bdp_bytes:.2f} BDP in flight"


def exiting_probe_up_on_loss_when_application_limited(point: Point) -> str:
    """In ProbeBW_UP the application begins to write a third of a window at a time; then every fourth packet is dropped.

    The appendix wants inflight_longterm "updated appropriately, regardless of the application-limited state". Sections
    5.5.10.2's text and HandleInflightTooHigh leave it alone when the packet that was lost was sent application-limited,
    and so do we: what is appropriate then is no change.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    rig.limit_application(max(bbr.window_bytes // (3 * point.packet_bytes), 2))
    first_round = bbr.round_count
    rig.until(lambda: bbr.rs.is_app_limited and bbr.round_count > first_round + 1)
    assert bbr.phase is State.UP
    longterm = bbr.inflight_longterm
    rig.gate.drop = lambda packet: packet.number % 4 == 0
    count, first_round = len(rig.transitions), bbr.round_count
    rig.until(lambda: len(rig.transitions) > count)
    step = rig.transitions[count]
    assert step.new is State.DOWN
    assert (step.old, step.event) == (State.UP, Event.INFLIGHT_TOO_HIGH)
    assert bbr.prev_probe_too_high
    assert bbr.undo_state is State.UP
    assert bbr.inflight_longterm == longterm
    return f"{bbr.round_count - first_round} rounds after the first loss"


def handling_loss_during_probe_up_after_inflight_longterm_is_set(point: Point) -> str:
    """Two probes with loss: the first sets inflight_longterm, the second lowers it.

    In the probe between them BBR takes precaution (5.3.3.4.2): it ends when inflight reaches inflight_longterm. In the
    one after that, one packet in ten is dropped from the first on, before any plateau.
    """
    rig = Rig(point)
    bbr = rig.bbr
    rig.reach_up()
    rig.until(lambda: bbr.full_bw_count == 1)
    lose_in_probe(rig)
    assert rig.until_state(State.DOWN).event is Event.INFLIGHT_TOO_HIGH
    rig.gate.drop = None
    assert bbr.inflight_longterm < 1 << 61
    rig.until(lambda: bbr.phase is State.UP and not bbr.prev_probe_too_high, rounds=400)
    handled: list[tuple[int, int, int]] = []
    handle = bbr.handle_lost_packet

    def watch(packet: SentPacket, now: int) -> None:
        is_too_high = bbr.is_bw_probe_sample and 50 * lost_since(packet) > packet.tx_in_flight_bytes
        longterm = bbr.inflight_longterm
        expected = longterm_after(rig, packet)
        handle(packet, now)
        if is_too_high:
            handled.append((longterm, bbr.inflight_longterm, expected))
            assert bbr.phase is State.DOWN

    rig.sender.controller.handle_lost_packet = watch  # type: ignore[method-assign]
    count = len(rig.transitions)
    lose_in_probe(rig)
    rig.until(lambda: len(rig.transitions) > count)
    step = rig.transitions[count]
    assert (step.old, step.new, step.event) == (State.UP, State.DOWN, Event.INFLIGHT_TOO_HIGH)
    assert step.variables["full_bw_count"] < 3
    assert bbr.prev_probe_too_high
    [(longterm, lowered, expected)] = handled
    assert lowered == expected < longterm
    assert lowered >= min(step.variables["bdp"], bbr.window_bytes) * 70 // 100
    return f"longterm {longterm / point.bdp_bytes:.2f} to {lowered / point.bdp_bytes:.2f} BDP"


def handling_application_limited_sending_during_probe_refill(point: Point) -> str:
    """Data stops at the entry into ProbeBW_REFILL for one round trip, then comes in small pieces, then in plenty."""
    rig = Rig(point)
    bbr = rig.bbr
    rig.bulk()
    rig.until_state(State.REFILL, rounds=400)
    max_bw = [0]
    limited: list[tuple[int, int, int]] = []

    def before(ack: Ack, now: int) -> None:
        max_bw[0] = bbr.max_bw

    def after(ack: Ack, now: int) -> None:
        if ack.is_app_limited and 0 < ack.delivery_rate_bps < max_bw[0]:
            limited.append((ack.delivery_rate_bps, max_bw[0], bbr.max_bw))

    bbr.before_ack, rig.on_ack = before, after
    known = bbr.max_bw
    rig.pause()
    rig.run(point.rtt_ns + 4 * point.packet_ns)
    rig.limit_application()
    step = rig.until_state(State.UP)
    assert (step.old, step.event) == (State.REFILL, Event.REFILLED)
    assert limited
    assert all(before_ack == after_ack for _, before_ack, after_ack in limited)
    assert bbr.max_bw == known
    lowest = min(rate for rate, _, _ in limited)
    rig.bulk()
    down = rig.until_state(State.CRUISE, rounds=400)
    assert down.old is State.DOWN
    assert abs(bbr.max_bw - point.rate_bps) <= point.rate_bps // 50
    return f"samples down to {lowest / known:.2f} max_bw, which stays; later {bbr.max_bw / point.rate_bps - 1:+.2%}"


def lose_in_probe(rig: Rig) -> None:
    """Drop one packet in ten, the next one first."""
    first = rig.sender.sent_packets
    rig.gate.drop = lambda packet: packet.number >= first and (packet.number - first) % 10 == 0


def lost_since(packet: SentPacket) -> int:
    """What was found lost since `packet` was sent, up to it and with it."""
    return packet.lost_after_bytes - packet.lost_bytes


def longterm_after(rig: Rig, packet: SentPacket) -> int:
    """What HandleInflightTooHigh makes of inflight_longterm, by 5.5.10.2, where the loss of `packet` is too much."""
    inflight_prev = packet.tx_in_flight_bytes - packet.size_bytes
    lost_prev = lost_since(packet) - packet.size_bytes
    lost_prefix = (2 * inflight_prev - 100 * lost_prev) // 98
    return max(inflight_prev + lost_prefix, min(rig.bbr.bdp, rig.bbr.window_bytes) * 70 // 100)
