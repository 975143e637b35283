"""The two ends of a model flow: what they tell each other, and paths that are hard on the glue between them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from stacks.congestion import Ack, Controller, Delivery, Flow, Reno, controller_factory
from stacks.lab.flow import ModelFlow
from stacks.model import DataPacket, Receiver, ReceiverConfig, Sender
from stacks.runtime import LocalError
from transports.link import ConstantRate, Delay, DropTail, Port
from transports.timeline import Timeline

PACKET = 1500
MS = 1_000_000
SECOND = 1_000_000_000


class Telemetric(Controller):
    """Ten packets, and the hops of each acknowledgement."""

    window_bytes = 10 * PACKET
    wants_telemetry = True

    def __init__(self, flow: Flow) -> None:
        self.hops: list[list[int]] = []

    def handle_ack(self, ack: Ack, now: int) -> None:
        assert ack.telemetry is not None
        self.hops.append([hop.hop_id for hop in ack.telemetry])


def make(timeline: Timeline, factory: Any, forward: list[Any], backward: list[Any], **config: Any) -> ModelFlow:
    flow = Flow(line_rate_bps=10**9, packet_bytes=PACKET, delivery=Delivery(10 * PACKET), rng=random.Random(1))
    sender = Sender(factory, flow, overhead_bytes=config.pop("overhead_bytes", 0))
    return ModelFlow(timeline, sender, Receiver(ReceiverConfig(**config)), forward=forward, backward=backward)


def port(timeline: Timeline, hop_id: int | None = None, *, rate_bps: int = 10**8) -> Port:
    return Port(timeline, DropTail(), ConstantRate(rate_bps), delay_ns=MS, hop_id=hop_id)


def test_telemetry_is_of_the_datas_way_and_not_of_the_acknowledgements() -> None:
    timeline = Timeline()
    flow = make(
        timeline, Telemetric,
        [port(timeline, 1).put, port(timeline, 2).put], [port(timeline, 3).put, port(timeline, 4).put],
    )  # fmt: skip
    flow.write(50 * PACKET)
    timeline.run(SECOND)
    controller = flow.sender.controller
    assert isinstance(controller, Telemetric)
    assert len(controller.hops) >= 25
    assert set(map(tuple, controller.hops)) == {(1, 2)}


def test_a_path_without_any_delay_delivers_in_order_and_loses_nothing() -> None:
    """Each packet is acknowledged before the next is made: `pump` is called from within itself."""
    timeline = Timeline()
    flow = make(timeline, Reno, [], [])
    arrived: list[int] = []
    flow.on_arrival = lambda packet: arrived.append(packet.number)
    flow.write(60 * PACKET)
    timeline.run(SECOND)
    assert arrived == list(range(60))
    assert (flow.sender.lost_packets, flow.sender.spurious_losses, flow.sender.timeouts) == (0, 0, 0)
    assert flow.sender.is_done


def test_the_sender_knows_how_long_its_receiver_delays_acknowledgements() -> None:
    """One packet alone: the timer is the round trip's and that delay's, and does not run out before it."""
    for delay_ns in (0, 5 * MS, 200 * MS):
        timeline = Timeline()
        flow = make(timeline, Reno, [port(timeline).put], [Delay(timeline, MS).put], ack_delay_ns=delay_ns)
        for _ in range(40):
            flow.write(PACKET)
            timeline.run(timeline.now + 300 * MS)
        assert flow.sender.is_done
        assert flow.sender.sent_packets == 40
        flow.write(PACKET)
        deadline_ns = flow.sender.poll_deadline()
        assert deadline_ns is not None
        waits_ns = deadline_ns - timeline.now
        # RFC 9002 6.2.1: smoothed_rtt + max(4 * rttvar, granularity) + max_ack_delay.
        rtt = flow.sender.rtt
        assert waits_ns == rtt.smoothed_ns + max(4 * rtt.variation_ns, MS) + delay_ns


def test_the_receiver_knows_what_of_a_packet_is_headers() -> None:
    timeline = Timeline()
    flow = make(timeline, Reno, [port(timeline).put], [Delay(timeline, MS).put], overhead_bytes=52)
    done: list[int] = []
    flow.expected_bytes = 10_000
    flow.on_complete = lambda: done.append(timeline.now)
    flow.write(10_000)
    timeline.run(SECOND)
    assert flow.receiver.goodput_bytes == 10_000
    assert flow.receiver.received_bytes == 10_000 + 7 * 52
    # Seven packets at 100 Mbit/s and a millisecond of wire.
    assert done == [(10_000 + 7 * 52) * 80 + MS]


def test_pacing_and_timeouts_leave_no_deadlines_behind() -> None:
    """A paced flow that its window stops now and then: a stale deadline would be a step of its own for each packet."""
    timeline = Timeline()
    link = port(timeline, rate_bps=20_000_000)
    flow = make(timeline, controller_factory("bbr1"), [link.put], [Delay(timeline, 20 * MS).put])
    flow.write(1 << 40)
    timeline.run(20 * SECOND)
    # A packet's departure and arrival, half an acknowledgement's, and the pacer's.
    assert timeline.steps < 5 * link.sent_packets


def test_flows_that_probe_at_random_times_need_a_generator_of_their_own() -> None:
    for name in ("bbr1", "bbr3"):
        with pytest.raises(LocalError, match="its flow an? rng|needs an rng"):
            controller_factory(name)(Flow(line_rate_bps=1, packet_bytes=1, delivery=Delivery()))


def test_an_acknowledgement_is_for_two_packets_although_numbers_stay_missing() -> None:
    """Numbers are never used twice, so that of a lost packet is missing for ever; its data is not (RFC 9000 13.2.1)."""
    receiver = Receiver(ReceiverConfig(ack_packets=2))
    acks = 0
    for number in range(1000):
        if number == 500:
            continue
        packet = DataPacket(number, number if number < 500 else number - 1, PACKET)
        acks += receiver.handle_packet(packet, number) is not None
    assert acks == pytest.approx(500, abs=3)


def test_a_watcher_changes_nothing() -> None:
    outcomes = []
    for watched in (False, True):
        timeline = Timeline()
        link, back = port(timeline, rate_bps=20_000_000), Delay(timeline, 20 * MS)
        flow = make(timeline, controller_factory("bbr3"), [link.put], [back.put])
        if watched:

            def look(flow: ModelFlow, timeline: Timeline = timeline) -> None:
                sender = flow.sender
                _ = (sender.is_done, sender.poll_deadline(), sender.controller.variables(), sender.losses.floor)
                timeline.at(timeline.now + MS, look, flow)

            timeline.at(0, look, flow)
        flow.write(1 << 40)
        timeline.run(3 * SECOND)
        outcomes.append((flow.sender.sent_packets, flow.receiver.goodput_bytes, flow.sender.controller.variables()))
    assert outcomes[0] == outcomes[1]
