"""CNPs between model flows: a marked packet is told once an interval, and cuts the rate of a DCQCN sender."""

from __future__ import annotations

import random

from stacks.congestion import Dcqcn, Delivery, Flow, Reno
from stacks.lab.flow import ModelFlow
from stacks.model import DataPacket, Receiver, ReceiverConfig, Sender
from transports.link import ECN_CE, ConstantRate, Delay, Port
from transports.link.ramp_marking import RampMarking
from transports.timeline import Timeline


def marked(number: int) -> DataPacket:
    packet = DataPacket(number, number, 1000)
    packet.ecn = ECN_CE
    return packet


def test_a_receiver_with_an_interval_tells_marks_at_most_that_often() -> None:
    receiver = Receiver(ReceiverConfig(cnp_interval_ns=50_000))
    told = []
    for number in range(12):
        receiver.handle_packet(marked(number), number * 10_000)
        if receiver.poll_notification() is not None:
            told.append(number * 10_000)
    assert told == [0, 50_000, 100_000]
    assert receiver.ce_packets == 12


def test_a_receiver_without_one_and_packets_without_marks_are_silent() -> None:
    receiver = Receiver()
    receiver.handle_packet(marked(0), 0)
    assert receiver.poll_notification() is None
    receiver = Receiver(ReceiverConfig(cnp_interval_ns=50_000))
    receiver.handle_packet(DataPacket(0, 0, 1000), 0)
    assert receiver.poll_notification() is None


def flow_over(factory: type[Dcqcn | Reno]) -> ModelFlow:
    """Two flows of 10 Gbit/s meet at a link of as much; the first of them, after 300 us."""
    timeline = Timeline()
    queue = RampMarking(5_000, 200_000, pmax_1000=1000, rng=random.Random(1))
    port = Port(timeline, queue, ConstantRate(10**10), delay_ns=2_000)
    flows = []
    for number in range(2):
        flow = Flow(line_rate_bps=10**10, packet_bytes=1000, delivery=Delivery(10_000))
        flows.append(
            ModelFlow(
                timeline, Sender(factory, flow), Receiver(), forward=[port.put],
                backward=[Delay(timeline, 2_000).put], number=number,
            )
        )  # fmt: skip
        flows[-1].write(1 << 40)
    timeline.run(300_000)
    return flows[0]


def test_a_flow_of_a_controller_that_lives_by_cnps_gets_them() -> None:
    controller = flow_over(Dcqcn).sender.controller
    assert isinstance(controller, Dcqcn)
    assert controller.rate_bps < controller.line_rate_bps
    assert flow_over(Reno).receiver.notification_point is None
