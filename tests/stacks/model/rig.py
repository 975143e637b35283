"""A model flow across a link whose every packet's fate the test decides, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from stacks.congestion import Controller, ControllerFactory, Delivery, Flow, Loss, controller_factory
from stacks.lab.flow import ModelFlow
from stacks.model import AckPacket, DataPacket, Receiver, ReceiverConfig, Sender
from transports.link import ConstantRate, Delay, DropTail, LinkPacket, Port
from transports.timeline import Timeline

PACKET = 1500
MS = 1_000_000
SECOND = 1_000_000_000

Fate = Callable[[int, Any], "list[int]"]
"""Of the packet with this index on its way, the extra delays of what comes of it: [] drops it, [0, 0] doubles it."""


def fine(index: int, packet: LinkPacket) -> list[int]:
    return [0]


class Fates:
    """An element of a path that asks for each packet's fate."""

    def __init__(self, timeline: Timeline, fate: Fate) -> None:
        self.fate = fate
        self.count = 0
        self._timeline = timeline

    def put(self, packet: LinkPacket) -> None:
        delays = self.fate(self.count, packet)
        self.count += 1
        # All before the first goes on: it would have passed what its twins have to pass.
        twins = [packet, *(packet.copy() for _ in delays[1:])]
        for twin, delay_ns in zip(twins, delays, strict=False):
            if delay_ns:
                self._timeline.at(self._timeline.now + delay_ns, LinkPacket.forward, twin)
            else:
                twin.forward()


class Rig:
    """One flow. `sent` and `acks`: when each packet left and each acknowledgement arrived."""

    def __init__(
        self,
        controller: str | ControllerFactory = "reno",
        *,
        rate_bps: int = 10_000_000,
        delay_ns: int = 20 * MS,
        limit_packets: int = 1000,
        forward: Fate = fine,
        backward: Fate = fine,
        receiver: ReceiverConfig | None = None,
        seed: int = 1,
    ) -> None:
        self.timeline = timeline = Timeline()
        self.port = Port(timeline, DropTail(limit_packets=limit_packets), ConstantRate(rate_bps), delay_ns=delay_ns)
        self.forward, self.backward = Fates(timeline, forward), Fates(timeline, backward)
        self.sent: list[DataPacket] = []
        self.acks: list[tuple[int, AckPacket]] = []
        factory = controller if callable(controller) else controller_factory(controller)
        self.delivery = Delivery(10 * PACKET)
        flow = Flow(line_rate_bps=rate_bps, packet_bytes=PACKET, delivery=self.delivery, rng=random.Random(seed))
        self.flow = ModelFlow(
            timeline,
            Sender(factory, flow),
            Receiver(receiver),
            forward=[self._note_sent, self.forward.put, self.port.put],
            backward=[self.backward.put, Delay(timeline, delay_ns).put, self._note_ack],
        )
        self.sender = self.flow.sender
        self.controller: Controller = self.sender.controller
        self.receiver = self.flow.receiver

    def run_ms(self, duration_ms: int) -> None:
        self.timeline.run(self.timeline.now + duration_ms * MS)

    def transfer(self, length_bytes: int, *, within_s: int) -> int:
        """Send so much; how long it took in nanoseconds; fails when it is not complete in time."""
        start = self.timeline.now
        self.flow.write(length_bytes)
        while not self.sender.is_done:
            self.run_ms(1)
            assert self.timeline.now - start < within_s * SECOND, self.describe()
        return self.timeline.now - start

    def describe(self) -> str:
        sender = self.sender
        return (
            f"at {self.timeline.now / SECOND:.3f} s: {sender.unsent_bytes} unsent, "
            f"{len(sender.losses.outstanding)} outstanding, window {self.controller.window_bytes}, "
            f"state {self.controller.state}, due {sender.poll_deadline()}"
        )

    def _note_sent(self, packet: DataPacket) -> None:
        self.sent.append(packet)
        packet.forward()

    def _note_ack(self, ack: AckPacket) -> None:
        self.acks.append((self.timeline.now, ack))
        ack.forward()


class Recorder(Controller):
    """A controller with a fixed window that writes down what it is told."""

    def __init__(self, flow: Flow, window_packets: int = 20) -> None:
        self.window_bytes = window_packets * flow.packet_bytes
        self.told: list[tuple[str, int]] = []
        self.acks: list[Any] = []

    def handle_ack(self, ack: Any, now: int) -> None:
        self.acks.append(ack)

    def handle_loss(self, loss: Loss, now: int) -> None:
        self.told.append(("timeout" if loss.is_timeout else "loss", now))

    def handle_recovered(self, now: int) -> None:
        self.told.append(("recovered", now))

    def handle_spurious_loss(self, now: int) -> None:
        self.told.append(("spurious", now))

    def names(self) -> list[str]:
        return [name for name, _ in self.told]


def random_fate(seed: int, *, loss: float = 0, duplicate: float = 0, reorder: float = 0, late_ns: int = 0) -> Fate:
    """Independent fates: so often lost, doubled, or late by up to `late_ns`."""
    rng = random.Random(seed)

    def fate(index: int, packet: LinkPacket) -> list[int]:
        draw = rng.random()
        if draw < loss:
            return []
        if draw < loss + duplicate:
            return [0, 0]
        if draw < loss + duplicate + reorder:
            return [int(rng.random() * late_ns)]
        return [0]

    return fate
