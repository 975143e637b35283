"""Model flows cross a bottleneck: the link is used, shared, and everything written arrives."""

from __future__ import annotations

from stacks.congestion import Delivery, Flow, Reno
from stacks.lab.flow import ModelFlow
from stacks.model import Receiver, Sender
from transports.link import ConstantRate, Delay, DropTail, Port
from transports.timeline import Timeline

PACKET_BYTES = 1500
SECOND_NS = 1_000_000_000


def dumbbell(flows: int, *, rate_bps: int, delay_ns: int, limit_packets: int) -> tuple[Timeline, Port, list[ModelFlow]]:
    timeline = Timeline()
    port = Port(timeline, DropTail(limit_packets=limit_packets), ConstantRate(rate_bps), delay_ns=delay_ns)
    back = Delay(timeline, delay_ns)
    made = []
    for number in range(flows):
        flow = Flow(line_rate_bps=rate_bps, packet_bytes=PACKET_BYTES, delivery=Delivery(10 * PACKET_BYTES))
        made.append(
            ModelFlow(
                timeline, Sender(Reno, flow), Receiver(), forward=[port.put], backward=[back.put], number=number
            )
        )
    return timeline, port, made


def test_a_transfer_is_complete_although_the_queue_overflows() -> None:
    timeline, port, (flow,) = dumbbell(1, rate_bps=10_000_000, delay_ns=20_000_000, limit_packets=20)
    flow.write(5_000_000)
    timeline.run(10 * SECOND_NS)
    assert flow.sender.is_done
    assert flow.receiver.goodput_bytes == 5_000_000
    assert port.queue.dropped_packets == flow.sender.lost_packets > 0
    assert flow.sender.spurious_losses == 0


def test_ten_flows_fill_the_link_and_share_it() -> None:
    timeline, port, flows = dumbbell(10, rate_bps=50_000_000, delay_ns=10_000_000, limit_packets=100)
    for flow in flows:
        flow.write(1 << 40)
    timeline.run(20 * SECOND_NS)
    shares = [flow.receiver.goodput_bytes for flow in flows]
    assert port.busy_ns > 0.98 * timeline.now
    jain = sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))
    assert jain > 0.95


def test_two_runs_are_identical() -> None:
    outcomes = []
    for _ in range(2):
        timeline, port, flows = dumbbell(3, rate_bps=20_000_000, delay_ns=5_000_000, limit_packets=30)
        for flow in flows:
            flow.write(1 << 40)
        timeline.run(3 * SECOND_NS)
        outcomes.append((timeline.steps, port.sent_packets, [flow.receiver.goodput_bytes for flow in flows]))
    assert outcomes[0] == outcomes[1]
