"""What was sent in the nanosecond of a reduction was sent after it: virtual time does not move between the two."""

from __future__ import annotations

import pytest

from stacks.congestion import Delivery, Flow, controller_factory
from stacks.model import AckPacket, Sender

MS = 1_000_000


@pytest.mark.parametrize("name", ["reno-ecn", "cubic-ecn"])
def test_a_packet_that_leaves_in_the_instant_of_a_mark_ends_its_reduction(name: str) -> None:
    flow = Flow(line_rate_bps=10**9, packet_bytes=1000, delivery=Delivery(10_000))
    sender = Sender(controller_factory(name), flow)
    sender.write(1 << 30)
    sender.poll_packets(0)
    sender.handle_ack(AckPacket([(0, 1)], 1, 0), MS)
    assert sender.controller.state == "reduction"
    sent = sender.poll_packets(MS)
    assert sent
    assert sent[0].sent_ns == MS
    sender.handle_ack(AckPacket([(0, 9)], 1, 0), 2 * MS)
    assert sender.controller.state == "reduction"
    sender.handle_ack(AckPacket([(0, sent[0].number)], 1, 0), 2 * MS)
    assert sender.controller.state == "congestion avoidance"
