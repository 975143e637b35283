"""The sender finds what is lost, asks again, and tells the controller (RFC 9002, 8985, 6298)."""

from __future__ import annotations

import itertools

import pytest

from stacks.model import DataPacket, ReceiverConfig
from tests.stacks.model.rig import MS, PACKET, SECOND, Recorder, Rig
from transports.link import LinkPacket


def drop(*indices: int):  # type: ignore[no-untyped-def]
    def fate(index: int, packet: LinkPacket) -> list[int]:
        return [] if index in indices else [0]

    return fate


def test_a_lost_packet_is_sent_again_after_three_later_ones_arrive() -> None:
    rig = Rig(Recorder, forward=drop(5))
    rig.transfer(40 * PACKET, within_s=2)
    assert [packet.segment for packet in rig.sent if packet.is_retransmission] == [5]
    again = next(packet for packet in rig.sent if packet.is_retransmission)
    # The acknowledgement of packets 6 to 8 is the first that shows three later ones (RFC 9002 6.1.1).
    told = next(now for now, ack in rig.acks if ack.ranges[0][1] >= 8)
    assert again.sent_ns == told
    assert rig.sender.timeouts == 0


def test_fewer_than_three_later_packets_need_nine_eighths_of_a_round_trip() -> None:
    rig = Rig(Recorder, forward=drop(8))
    rig.transfer(10 * PACKET, within_s=2)
    again = next(packet for packet in rig.sent if packet.is_retransmission)
    lost, newest = rig.sent[8], rig.sent[9]
    arrived_ns = next(now for now, ack in rig.acks if ack.ranges[0][1] == 9)
    assert again.segment == 8
    # RFC 9002 6.1.2: of the round trip of the packet that told, which is the longest so far.
    assert again.sent_ns == lost.sent_ns + (arrived_ns - newest.sent_ns) * 9 // 8
    assert rig.sender.timeouts == 0


def test_losses_of_one_round_are_one_congestion_event() -> None:
    rig = Rig(Recorder, forward=drop(20, 22, 25))
    rig.transfer(100 * PACKET, within_s=2)
    assert rig.controller.names() == ["loss", "recovered"]  # type: ignore[attr-defined]


def test_a_loss_after_the_recovery_began_is_an_event_of_its_own() -> None:
    # Index 40 leaves after the loss of 20 was found: RFC 9002 7.3.2 asks for a new recovery.
    rig = Rig(Recorder, forward=drop(20, 45))
    rig.transfer(120 * PACKET, within_s=3)
    assert rig.sent[45].sent_ns > rig.controller.told[0][1]  # type: ignore[attr-defined]
    assert rig.controller.names() == ["loss", "recovered", "loss", "recovered"]  # type: ignore[attr-defined]


def test_a_lost_retransmission_is_found_like_any_packet() -> None:
    lost = []

    def fate(index: int, packet: DataPacket) -> list[int]:
        if packet.segment == 5 and len(lost) < 3:
            lost.append(packet.number)
            return []
        return [0]

    rig = Rig(Recorder, forward=fate)
    rig.transfer(200 * PACKET, within_s=3)
    assert [packet.segment for packet in rig.sent if packet.is_retransmission] == [5, 5, 5]
    assert rig.sender.timeouts == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_lost_tail_is_found_by_a_probe_and_not_by_a_timeout(count: int) -> None:
    rig = Rig(Recorder, forward=drop(*range(20 - count, 20)))
    duration = rig.transfer(20 * PACKET, within_s=2)
    assert rig.sender.timeouts == 0
    assert "timeout" not in rig.controller.names()  # type: ignore[attr-defined]
    rtt = rig.sender.rtt.smoothed_ns
    # Two round trips for the data, one of silence and the peer's delay, one for the probe, one for the rest.
    assert duration < 6 * rtt + 2 * 25 * MS


def test_data_that_a_probe_brought_is_not_sent_once_more() -> None:
    rig = Rig(Recorder, forward=drop(19))
    rig.transfer(20 * PACKET, within_s=2)
    assert [packet.segment for packet in rig.sent if packet.is_retransmission] == [19]
    # The first copy is known to be lost all the same: it was a congestion event.
    assert rig.sender.lost_packets == 1


def test_silence_makes_a_probe_and_then_timeouts_that_double() -> None:
    def fate(index: int, packet: LinkPacket) -> list[int]:
        return [0] if rig.timeline.now < 500 * MS or rig.timeline.now > 8 * SECOND else []

    rig = Rig(Recorder, forward=fate)
    rig.flow.write(1 << 30)
    rig.run_ms(10_000)
    last = max(now for now, ack in rig.acks if now < SECOND)
    probe = next(packet.sent_ns for packet in rig.sent if packet.sent_ns > last)
    timeouts = [now for name, now in rig.controller.told if name == "timeout"]  # type: ignore[attr-defined]
    times = [last, probe, *timeouts]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(timeouts) >= 4
    # RFC 6298 5.5: each twice the one before, the probe's first.
    assert gaps == [gaps[0] << power for power in range(len(gaps))]
    # And the flow goes on by itself when the path is back.
    assert rig.sent[-1].sent_ns > 9_900 * MS


def test_an_initial_flight_that_is_lost_entirely_is_sent_again() -> None:
    rig = Rig("reno", forward=drop(*range(11)))
    duration = rig.transfer(20 * PACKET, within_s=10)
    assert rig.sender.timeouts == 1
    # A second for the first timeout (RFC 6298 2.1), two for the next.
    assert 3 * SECOND < duration < 3500 * MS


def test_the_undo_of_a_loss_that_was_reordering() -> None:
    def fate(index: int, packet: LinkPacket) -> list[int]:
        return [6 * MS] if index == 20 else [0]

    rig = Rig(Recorder, rate_bps=100_000_000, forward=fate)
    rig.transfer(60 * PACKET, within_s=2)
    assert rig.controller.names()[:2] == ["loss", "spurious"]  # type: ignore[attr-defined]
    assert rig.sender.spurious_losses == 1


def test_no_undo_while_one_packet_of_the_event_is_missing() -> None:
    def fate(index: int, packet: LinkPacket) -> list[int]:
        return [6 * MS] if index == 20 else [] if index == 21 else [0]

    rig = Rig(Recorder, rate_bps=100_000_000, forward=fate)
    rig.transfer(60 * PACKET, within_s=2)
    assert rig.sender.spurious_losses == 1
    assert rig.controller.names() == ["loss", "recovered"]  # type: ignore[attr-defined]


def test_the_undo_of_a_timeout_after_a_delay_spike() -> None:
    """Everything is held for almost two seconds: the timeout was none, and the window is what it was."""

    def fate(index: int, packet: LinkPacket) -> list[int]:
        return [max(2 * SECOND - rig.timeline.now, 0)] if rig.timeline.now > 200 * MS else [0]

    rig = Rig("reno", rate_bps=10_000_000, forward=fate)
    rig.flow.write(1 << 30)
    rig.run_ms(200)
    before = rig.controller.window_bytes
    rig.run_ms(2200)
    assert rig.sender.timeouts >= 1
    assert rig.sender.spurious_losses > 0
    assert before is not None
    assert rig.controller.window_bytes is not None
    assert rig.controller.window_bytes >= before


def test_lost_acknowledgements_cost_nothing_but_time() -> None:
    def fate(index: int, packet: LinkPacket) -> list[int]:
        return [] if index % 3 else [0]

    rig = Rig("cubic", backward=fate)
    rig.flow.write(1 << 30)
    rig.run_ms(5000)
    assert rig.sender.lost_packets == rig.sender.timeouts == 0


@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr1"])
def test_a_queue_that_fills_for_seconds_causes_no_timeout(controller: str) -> None:
    rig = Rig(controller, rate_bps=2_000_000, delay_ns=10 * MS, limit_packets=100_000)
    rig.transfer(2000 * PACKET, within_s=20)
    sender = rig.sender
    assert (sender.timeouts, sender.lost_packets, sender.retransmitted_packets) == (0, 0, 0)


@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr1"])
@pytest.mark.parametrize("rate_bps", [64_000, 1_000_000_000])
def test_slow_and_fast_paths_cause_no_timeout(controller: str, rate_bps: int) -> None:
    delay_ns = 50 * MS if rate_bps < 1_000_000 else 50_000
    rig = Rig(controller, rate_bps=rate_bps, delay_ns=delay_ns, limit_packets=1000)
    rig.transfer(100 * PACKET, within_s=60)
    assert rig.sender.timeouts == 0
    assert rig.sender.spurious_losses == 0


def test_an_acknowledgement_that_the_peer_delays_causes_no_probe() -> None:
    rig = Rig("reno", receiver=ReceiverConfig(ack_packets=2, ack_delay_ns=25 * MS))
    rig.transfer(PACKET, within_s=2)
    rig.run_ms(2200)
    rig.transfer(PACKET, within_s=2)
    assert rig.sender.sent_packets == 2


def test_the_loss_of_what_a_timeout_sends_again_is_no_event_of_its_own() -> None:
    """RFC 6582 3.2: no fast recovery before everything that was out at the timeout has arrived."""

    def fate(index: int, packet: DataPacket) -> list[int]:
        if 500 * MS < rig.timeline.now < 900 * MS:
            return []
        if packet.is_retransmission and packet.segment % 7 == 3 and len(lost) < 3:
            lost.append(packet.segment)
            return []
        return [0]

    lost: list[int] = []
    rig = Rig(lambda flow: Recorder(flow, 40), forward=fate)
    rig.transfer(800 * PACKET, within_s=10)
    assert lost
    names = rig.controller.names()  # type: ignore[attr-defined]
    assert "timeout" in names
    assert "loss" not in names
    assert names[-1] == "recovered"
