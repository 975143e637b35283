"""Prague beside CUBIC, and alone, at a DualPI2 bottleneck (RFC 9332)."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from stacks.congestion import Delivery, Flow, controller_factory
from stacks.lab.flow import ModelFlow
from stacks.model import DataPacket, Receiver, Sender
from transports.link import ConstantRate, Delay, Port
from transports.link.dualpi2 import DualPi2
from transports.timeline import Timeline

MS = 1_000_000
PACKET = 1500
RATE = 40_000_000
TARGET_RTT_NS = 25 * MS


@dataclass
class Seen:
    """Of one flow in the second half of a run. window: rate times the round trip that it has, or behaves as if."""

    rate_bps: float
    window: float
    delays_ms: list[float]

    def delay_ms(self, percent: int) -> float:
        return self.delays_ms[len(self.delays_ms) * percent // 100]


def share(names: list[str], rtt_ns: int, *, seconds: int) -> list[Seen]:
    timeline = Timeline()
    port = Port(timeline, DualPi2(), ConstantRate(RATE), delay_ns=rtt_ns // 2)
    back = Delay(timeline, rtt_ns - rtt_ns // 2)
    models: list[ModelFlow] = []
    queued: list[list[float]] = []
    empty_ns = rtt_ns // 2 + PACKET * 8 * 10**9 // RATE
    for number, name in enumerate(names):
        flow = Flow(
            line_rate_bps=10 * RATE, packet_bytes=PACKET, delivery=Delivery(10 * PACKET), rng=random.Random(number)
        )
        sender = Sender(controller_factory(name), flow)
        model = ModelFlow(timeline, sender, Receiver(), forward=[port.put], backward=[back.put], number=number)
        delays: list[float] = []

        def arrived(packet: DataPacket, delays: list[float] = delays) -> None:
            delays.append((timeline.now - packet.sent_ns - empty_ns) / MS)

        model.on_arrival = arrived
        model.write(1 << 50)
        models.append(model)
        queued.append(delays)
    timeline.run(seconds * 500 * MS)
    before = [model.receiver.goodput_bytes for model in models]
    for delays in queued:
        delays.clear()
    timeline.run(seconds * 1000 * MS)
    seen = []
    for name, model, start, delays in zip(names, models, before, queued, strict=True):
        rate_bps = (model.receiver.goodput_bytes - start) * 8 / (seconds / 2)
        srtt_ns = rtt_ns + sum(delays) / len(delays) * MS
        behaves_ns = max(srtt_ns, TARGET_RTT_NS) if name == "prague" else srtt_ns
        seen.append(Seen(rate_bps, rate_bps * behaves_ns / 8e9 / PACKET, sorted(delays)))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("rtt_ns", "other"), [(10 * MS, "cubic"), (20 * MS, "cubic"), (10 * MS, "cubic-ecn")])
def test_prague_and_cubic_have_the_same_window(rtt_ns: int, other: str) -> None:
    """RFC 9332, 2.1: k = 2 makes windows equal, so that rates are at equal round trips; Prague's is at least 25 ms."""
    prague, cubic = share(["prague", other], rtt_ns, seconds=24)
    assert 0.75 < prague.window / cubic.window < 1.33
    assert prague.rate_bps + cubic.rate_bps > 0.98 * RATE
    # The low-latency queue is one, and the other keeps its 15 ms.
    assert prague.delay_ms(99) < 1
    assert cubic.delay_ms(50) == pytest.approx(15, abs=3)
    if rtt_ns == 10 * MS:
        # CUBIC's 10 ms and the 15 ms of its queue are Prague's 25 ms, so rates are equal as well.
        assert prague.rate_bps / cubic.rate_bps == pytest.approx(1, abs=0.2)


@pytest.mark.slow
def test_prague_flows_fill_the_link_share_it_and_wait_for_a_millisecond_or_two() -> None:
    """RFC 9330, 1: a fraction of a millisecond on average, full use. The step of L is 0.8 to 1.2 ms."""
    first, second = share(["prague", "prague"], 20 * MS, seconds=8)
    assert first.rate_bps + second.rate_bps > 0.97 * RATE
    assert first.rate_bps / second.rate_bps == pytest.approx(1, abs=0.1)
    assert first.delay_ms(50) < 1
    assert first.delay_ms(99) < 2
