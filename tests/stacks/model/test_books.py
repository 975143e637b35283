"""A sender and a receiver against naive ones, over a path that loses, doubles and reorders both ways.

The oracles keep every number and every segment in sets, and forget nothing.
"""

from __future__ import annotations

import heapq
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.congestion import Ack, Controller, Delivery, Flow
from stacks.model import AckPacket, DataPacket, Receiver, ReceiverConfig, Sender

PACKET, OVERHEAD = 1000, 40
DATA, ACK = 0, 1


class Fixed(Controller):
    """Forty packets."""

    window_bytes = 40 * PACKET

    def __init__(self, flow: Flow) -> None:
        self.acked_bytes = self.lost_bytes = self.late_bytes = 0
        self.delivery = flow.delivery

    def handle_ack(self, ack: Ack, now: int) -> None:
        self.acked_bytes += ack.acked_bytes
        self.late_bytes += ack.late_bytes
        self.lost_bytes += ack.lost_bytes


class Books:
    """One transfer. seed: of the path's fates; loss, doubled: shares of them; late_ns: the most that is added."""

    def __init__(
        self, seed: int, *, segments: int, loss: float, doubled: float, late_ns: int, ack_packets: int
    ) -> None:
        flow = Flow(line_rate_bps=10**9, packet_bytes=PACKET, delivery=Delivery(10 * PACKET))
        self.sender = Sender(Fixed, flow, overhead_bytes=OVERHEAD)
        self.receiver = Receiver(ReceiverConfig(ack_packets=ack_packets), overhead_bytes=OVERHEAD)
        self.rng = random.Random(seed)
        self.loss, self.doubled, self.late_ns = loss, doubled, late_ns
        self.total_bytes = segments * (PACKET - OVERHEAD) - 7
        self.now = self._sequence = 0
        self.heap: list[tuple[int, int, int, Any]] = []
        self.sent: list[DataPacket] = []
        # The oracles: numbers that arrived, segments that arrived, numbers that the sender was told of.
        self.numbers: set[int] = set()
        self.segments: set[int] = set()
        self.told: set[int] = set()

    def run(self) -> None:
        """To the end, with the books compared at every step."""
        self.sender.write(self.total_bytes)
        self._poll()
        for _ in range(100_000):
            if self.sender.is_done:
                break
            self._step()
            self._compare()
        assert self.sender.is_done
        assert self.receiver.goodput_bytes == self.total_bytes

    def _step(self) -> None:
        sender, receiver = self.sender, self.receiver
        due = [sender.poll_deadline(), receiver.ack_due_ns, self.heap[0][0] if self.heap else None]
        self.now = max(self.now, min(each for each in due if each is not None))
        if self.heap and self.heap[0][0] <= self.now:
            _, _, kind, packet = heapq.heappop(self.heap)
            if kind == DATA:
                self._arrive(packet)
            else:
                self._acknowledge(packet)
        elif receiver.ack_due_ns is not None and receiver.ack_due_ns <= self.now:
            self._answer(receiver.handle_timeout(self.now))
        else:
            sender.handle_timeout(self.now)
        self._poll()

    def _arrive(self, packet: DataPacket) -> None:
        self.numbers.add(packet.number)
        self.segments.add(packet.segment)
        self._answer(self.receiver.handle_packet(packet, self.now))

    def _answer(self, ack: AckPacket | None) -> None:
        if ack is not None:
            told = {number for first, last in ack.ranges for number in range(first, last + 1)}
            assert told <= self.numbers
            self._send(ACK, ack)

    def _acknowledge(self, ack: AckPacket) -> None:
        self.told.update(number for first, last in ack.ranges for number in range(first, last + 1))
        self.sender.handle_ack(ack, self.now)

    def _poll(self) -> None:
        for packet in self.sender.poll_packets(self.now):
            assert packet.number == len(self.sent)
            self.sent.append(packet)
            self._send(DATA, packet)

    def _send(self, kind: int, packet: Any) -> None:
        draw = self.rng.random()
        twins = [packet, packet.copy()] if draw < self.loss + self.doubled else [packet]
        for twin in twins if draw >= self.loss else []:
            self._sequence += 1
            at_ns = self.now + 1000 + int(self.rng.random() * self.late_ns)
            heapq.heappush(self.heap, (at_ns, self._sequence, kind, twin))

    def _compare(self) -> None:
        sender, delivery, controller = self.sender, self.sender.delivery, self.sender.controller
        outstanding = sender.losses.outstanding
        assert isinstance(controller, Fixed)
        # Whatever an acknowledgement named is out of the books of what is missing.
        assert not self.told & outstanding.keys()
        assert delivery.inflight_bytes == sum(self.sent[number].size_bytes for number in outstanding)
        assert list(outstanding) == sorted(outstanding)
        # Each packet sent is in flight, delivered or lost, and late ones are in both counts.
        sent_bytes = sum(packet.size_bytes for packet in self.sent)
        late_bytes = controller.late_bytes
        assert delivery.inflight_bytes + delivery.delivered_bytes + delivery.lost_bytes - late_bytes == sent_bytes
        assert controller.acked_bytes == delivery.delivered_bytes
        full, last = PACKET - OVERHEAD, (self.total_bytes - 1) // (PACKET - OVERHEAD)
        goodput = sum(full if segment < last else self.total_bytes - last * full for segment in self.segments)
        assert self.receiver.goodput_bytes == goodput


@given(
    seed=st.integers(0, 1 << 32),
    segments=st.integers(1, 90),
    loss=st.sampled_from([0.0, 0.02, 0.15, 0.4]),
    doubled=st.sampled_from([0.0, 0.05, 0.3]),
    late_ns=st.sampled_from([1, 200_000, 3_000_000, 60_000_000]),
    ack_packets=st.integers(1, 4),
)
def test_the_books_balance_at_every_step(
    seed: int, segments: int, loss: float, doubled: float, late_ns: int, ack_packets: int
) -> None:
    Books(seed, segments=segments, loss=loss, doubled=doubled, late_ns=late_ns, ack_packets=ack_packets).run()


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_the_books_of_1500_transfers_balance(part: int) -> None:
    for seed in range(150 * part, 150 * (part + 1)):
        late_ns = 200_000 if seed % 3 else 3_000_000
        Books(seed, segments=300, loss=0.15, doubled=0.05, late_ns=late_ns, ack_packets=2).run()
