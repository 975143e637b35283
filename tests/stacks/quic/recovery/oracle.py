"""The model's sender as an oracle: what it was told and did on a path, and the same told to QUIC's recovery."""

from __future__ import annotations

import random
from typing import Any

from stacks.congestion import Ack, Controller, Delivery, Flow, Loss, controller_factory
from stacks.lab.flow import ModelFlow
from stacks.model import AckPacket, DataPacket, Receiver, Sender
from stacks.quic.configuration import Configuration
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.recovery import PathCongestion, Recovery, SentPacket
from tests.stacks.model.rig import Fate, Fates
from transports.link import ConstantRate, Delay, DropTail, Port
from transports.timeline import Timeline
from wire.quic.parameters import TransportParameters

PACKET, MS = 1200, 1_000_000
ACK_DELAY_NS = 25 * MS
Event = tuple[Any, ...]


class Overheard(Controller):
    """Another controller, and a list of all that it is told and answers."""

    def __init__(self, inner: Controller, said: list[Event]) -> None:
        self._inner = inner
        self._said = said
        self.ecn = 0
        self._answer("begin", 0)

    def handle_sent(self, length_bytes: int, now: int) -> None:
        self._inner.handle_sent(length_bytes, now)
        self._answer("sent", now, length_bytes)

    def handle_ack(self, ack: Ack, now: int) -> None:
        fields = [getattr(ack, name) for name in Ack.__slots__ if name != "newest_number"]
        self._inner.handle_ack(ack, now)
        self._answer("ack", now, *fields)

    def handle_lost_packet(self, packet: Any, now: int) -> None:
        self._inner.handle_lost_packet(packet, now)
        self._answer("lost packet", now, packet.sent_ns, packet.size_bytes, packet.lost_after_bytes)

    def handle_loss(self, loss: Loss, now: int) -> None:
        self._inner.handle_loss(loss, now)
        self._answer("loss", now, loss.lost_bytes, loss.is_timeout, loss.is_persistent, loss.is_mark)

    def handle_recovered(self, now: int) -> None:
        self._inner.handle_recovered(now)
        self._answer("recovered", now)

    def handle_spurious_loss(self, now: int) -> None:
        self._inner.handle_spurious_loss(now)
        self._answer("spurious", now)

    def handle_timeout(self, now: int) -> None:
        self._inner.handle_timeout(now)

    def poll_deadline(self) -> int | None:
        return self._inner.poll_deadline()

    def _answer(self, word: str, now: int, *fields: Any) -> None:
        inner = self._inner
        self.rate_bps, self.window_bytes = inner.rate_bps, inner.window_bytes
        self.send_quantum_bytes = inner.send_quantum_bytes
        self._said.append((word, now, *fields, self.rate_bps, self.window_bytes, inner.state))


class LoggedSender(Sender):
    """A model's sender, and everything that happened to it in order."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.events: list[Event] = []
        super().__init__(*args, **options)

    def poll_packets(self, now: int) -> list[DataPacket]:
        packets = super().poll_packets(now)
        self.events.append(("poll", now, [packet.number for packet in packets], self.delivery.next_send_ns))
        return packets

    def handle_ack(self, ack: AckPacket, now: int) -> None:
        ack.delay_ns -= ack.delay_ns % 1000  # which is what an ACK frame can tell
        self.events.append(("ack", now, list(ack.ranges), ack.delay_ns // 1000))
        super().handle_ack(ack, now)

    def handle_timeout(self, now: int) -> None:
        self.events.append(("timeout", now))
        super().handle_timeout(now)


def run_model(name: str, fate: Fate, *, rate_bps: int, delay_ns: int, limit: int, for_ns: int) -> tuple[Any, Any]:
    """A bulk flow of the model: its events, and what its controller was told."""
    said: list[Event] = []
    timeline = Timeline()
    port = Port(timeline, DropTail(limit_packets=limit), ConstantRate(rate_bps), delay_ns=delay_ns)
    flow = Flow(
        line_rate_bps=10**12, packet_bytes=PACKET, delivery=Delivery(10 * PACKET), rng=random.Random(7)
    )
    sender = LoggedSender(lambda told: Overheard(controller_factory(name)(told), said), flow)
    model = ModelFlow(
        timeline, sender, Receiver(),
        forward=[Fates(timeline, fate).put, port.put], backward=[Delay(timeline, delay_ns).put],
    )  # fmt: skip
    model.write(1 << 40)
    timeline.run(for_ns)
    assert sender.timeouts == 0
    return sender, said


def replay(name: str, events: list[Event]) -> tuple[Recovery, list[Event]]:
    """The same in QUIC's recovery: what its controller was told."""
    said: list[Event] = []
    configuration = Configuration(
        controller=lambda told: Overheard(controller_factory(name)(told), said), has_ecn=False
    )
    path = PathCongestion(configuration, random.Random(7), now=0)
    recovery = Recovery(path, is_client=False, rng=NoSkips(), now=0)
    recovery.apply_peer_parameters(TransportParameters(ack_delay_exponent=0, max_ack_delay_ms=ACK_DELAY_NS // MS))
    recovery.handshake_confirmed(0)
    path.end_burst(0, has_more=False)
    for word, now, *rest in events:
        if word == "ack":
            recovery.handle_ack(SPACE_APPLICATION, rest[0], rest[1], None, now)
        elif word == "timeout":
            assert recovery.handle_timeout(now) is None
        else:
            numbers, next_send_ns = rest
            for number in numbers:
                assert path.may_send(now)
                assert recovery.next_number(SPACE_APPLICATION) == number
                packet = SentPacket(
                    SPACE_APPLICATION, number, PACKET, (), path, is_ack_eliciting=True, is_in_flight=True
                )
                recovery.sent(packet, now)
            assert not path.may_send(now)
            path.end_burst(now, has_more=True)
            assert path.delivery.next_send_ns == next_send_ns
    return recovery, said


class NoSkips(random.Random):
    """Numbers are left out so rarely that none is."""

    def random(self) -> float:
        return 1e9
