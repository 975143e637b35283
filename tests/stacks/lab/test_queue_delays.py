"""Queue disciplines under flows with real controllers: the delays and shares that their documents promise."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from stacks.congestion import Delivery, Flow
from stacks.congestion.catalogue import controller_factory
from stacks.lab.flow import ModelFlow
from stacks.model import DataPacket, Receiver, Sender
from transports.link import ConstantRate, Delay, Limits, Port, make_queue, read_queue
from transports.timeline import Timeline

MS = 1_000_000
SECOND = 1000 * MS
PACKET_BYTES = 1500


class Bottleneck:
    """Flows over one queue. Each is a controller's name and the round trip of its path, in ms.

    waits_ns: of each flow's packets in the queue, in order, after the first seconds. goodput: of each, likewise, bytes.
    """

    def __init__(self, queue: str, rate_bps: int, flows: Sequence[tuple[str, int]]) -> None:
        timeline = self.timeline = Timeline()
        # Room for everything: what keeps the queue short is the discipline.
        self.queue = make_queue(read_queue(queue, room=Limits(packets=100_000)), random.Random(1))
        self.port = Port(timeline, self.queue, ConstantRate(rate_bps))
        self.waits_ns: list[list[int]] = [[] for _ in flows]
        self.goodput: list[int] = []
        self._service_ns = PACKET_BYTES * 8 * SECOND // rate_bps
        self._flows = []
        for number, (name, rtt_ms) in enumerate(flows):
            there, back = Delay(timeline, rtt_ms * MS // 2), Delay(timeline, rtt_ms * MS // 2)
            flow = Flow(line_rate_bps=rate_bps, packet_bytes=PACKET_BYTES, delivery=Delivery(10 * PACKET_BYTES))
            made = ModelFlow(
                timeline,
                Sender(controller_factory(name), flow),
                Receiver(),
                forward=[self.port.put, self._see, there.put],
                backward=[back.put],
                number=number,
            )
            self._flows.append(made)
            timeline.at(number * 37 * MS, made.write, 1 << 40)

    def run(self, *, warmup_s: int, seconds: int) -> None:
        self.timeline.run(warmup_s * SECOND)
        before = [flow.receiver.goodput_bytes for flow in self._flows]
        busy_ns = self.port.busy_ns
        for waits in self.waits_ns:
            waits.clear()
        self.timeline.run((warmup_s + seconds) * SECOND)
        self.goodput = [flow.receiver.goodput_bytes - b for flow, b in zip(self._flows, before, strict=True)]
        self.use = (self.port.busy_ns - busy_ns) / (seconds * SECOND)

    def waits(self, flows: Sequence[int]) -> list[int]:
        """Of some flows together, the shortest first."""
        return sorted(wait for flow in flows for wait in self.waits_ns[flow])

    def _see(self, packet: DataPacket) -> None:
        self.waits_ns[packet.flow].append(self.timeline.now - packet.enqueued_ns - self._service_ns)
        packet.forward()


def mean_ms(waits_ns: Sequence[int]) -> float:
    return sum(waits_ns) / len(waits_ns) / MS


# A single flow of Reno fills the link only while half of its window is more than the path holds.
@pytest.mark.parametrize(("flows", "rtt_ms"), [(1, 10), (10, 50)])
def test_pie_holds_fifteen_milliseconds(flows: int, rtt_ms: int) -> None:
    link = Bottleneck("pie", 20_000_000, [("reno", rtt_ms)] * flows)
    link.run(warmup_s=8, seconds=20)
    assert mean_ms(link.waits(range(flows))) == pytest.approx(15, abs=2)
    assert link.use > 0.97


@pytest.mark.long
@pytest.mark.parametrize(("flows", "rtt_ms"), [(1, 10), (2, 20), (5, 50), (10, 50), (20, 50), (50, 50)])
def test_pie_holds_fifteen_milliseconds_for_one_flow_to_fifty(flows: int, rtt_ms: int) -> None:
    """RFC 8033 section 4: whatever the number of flows; within a tenth on average over a minute."""
    link = Bottleneck("pie", 50_000_000, [("reno", rtt_ms)] * flows)
    link.run(warmup_s=20, seconds=60)
    assert mean_ms(link.waits(range(flows))) == pytest.approx(15, abs=1.5)
    assert link.use > 0.97


def test_codel_keeps_packets_from_waiting_long_and_the_link_full() -> None:
    """RFC 8289 section 3.2: 5 ms of standing queue on a path of 50 ms cost little of the link."""
    link = Bottleneck("codel", 20_000_000, [("reno", 50)] * 4)
    link.run(warmup_s=8, seconds=15)
    assert mean_ms(link.waits(range(4))) < 2 * 5
    assert link.use > 0.95


def test_fq_codel_gives_flows_of_unequal_round_trips_equal_shares() -> None:
    """RFC 8290: as long as each keeps packets waiting, to which end CoDel is slow here; a single line shares 3 to 1."""
    queue = "fq_codel:hashed=no,target=40ms,interval=400ms"
    link = Bottleneck(queue, 20_000_000, [("reno", 10), ("reno", 10), ("reno", 40), ("reno", 40)])
    link.run(warmup_s=8, seconds=10)
    assert max(link.goodput) - min(link.goodput) <= 3 * PACKET_BYTES
    assert link.use > 0.99


def test_dualpi2_gives_prague_a_short_queue_and_no_more_than_its_share() -> None:
    """RFC 9332: L waits less than 1 ms in 99 of 100 cases, C its target, and windows are alike."""
    link = Bottleneck("dualpi2", 40_000_000, [("cubic", 20), ("prague", 20)] * 2)
    link.run(warmup_s=6, seconds=10)
    low, classic = link.waits([1, 3]), link.waits([0, 2])
    assert low[len(low) * 99 // 100] < MS
    assert low[-1] < 2 * MS
    assert mean_ms(classic) == pytest.approx(15, abs=1.5)
    assert link.use > 0.97
    prague, cubic = link.goodput[1] + link.goodput[3], link.goodput[0] + link.goodput[2]
    assert 2 / 3 < prague / cubic < 3 / 2


@pytest.mark.long
@pytest.mark.parametrize("flows", [1, 3])
@pytest.mark.parametrize("classic", ["reno", "cubic", "reno-ecn", "cubic-ecn"])
@pytest.mark.parametrize(("rate_bps", "rtt_ms"), [(40_000_000, 20), (120_000_000, 10)])
def test_dualpi2_balances_prague_with_each_classic_controller(
    flows: int, classic: str, rate_bps: int, rtt_ms: int
) -> None:
    link = Bottleneck("dualpi2", rate_bps, [(classic, rtt_ms), ("prague", rtt_ms)] * flows)
    link.run(warmup_s=15, seconds=25)
    low = link.waits(range(1, 2 * flows, 2))
    assert low[len(low) * 99 // 100] < MS
    waited_ms = mean_ms(link.waits(range(0, 2 * flows, 2)))
    # After a lone flow halves its window p rests at 0 for a while, and the mean is below the target by as much.
    assert waited_ms < 17
    if flows > 1:
        assert waited_ms > 13
    assert 0.5 < sum(link.goodput[1::2]) / sum(link.goodput[::2]) < 2
