"""Laws that hold whatever is lost, reordered or acknowledged twice."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.congestion import Delivery, Reno
from stacks.quic.levels import SPACE_APPLICATION
from tests.stacks.congestion.told import PACKET
from tests.stacks.quic.recovery.rig import MS, SIZE, Rig, spans

STEP = st.sampled_from(["send", "send", "send", "run", "ack", "ack", "old ack", "timeout", "quiet", "probe"])


class Books:
    """A path by hand: which packets arrive is drawn, and so is which ACK gets through."""

    def __init__(self, seed: int) -> None:
        self.rig = Rig(controller=Reno, skips=True)
        self.rng = random.Random(seed)
        self.now = 0
        self.sent: list[int] = []
        self.arrived: list[int] = []
        self.acks: list[list[tuple[int, int]]] = []
        self.runs: dict[tuple[int, int], list[str]] = {}

    def step(self, word: str) -> None:
        self.now += int(self.rng.random() * 3 * MS)
        getattr(self, word.replace(" ", "_"))()
        self.check()

    def send(self, **options: Any) -> None:
        number = self.rig.send(self.now, **options)
        self.note(number)

    def quiet(self) -> None:
        self.send(is_ack_eliciting=False, is_in_flight=False)

    def probe(self) -> None:
        self.send(is_mtu_probe=True)

    def run(self) -> None:
        recovery = self.rig.recovery
        count = min(8, recovery.run_room())
        if count < 1 or not self.rig.path.delivery.inflight_bytes:
            return
        first = recovery.next_number(SPACE_APPLICATION)
        recovery.sent_run(
            count, SIZE, offset=first * 1000, data_bytes=1000, make_record=self.record, congestion=self.rig.path,
            now=self.now,
        )  # fmt: skip
        for number in range(first, first + count):
            self.note(number)

    def record(self, start: int, end: int) -> Any:
        fates = self.runs.setdefault((start, end), [])

        class Record:
            def acked(self, now: int) -> None:
                fates.append("acked")

            def lost(self, now: int) -> None:
                fates.append("lost")

        return Record()

    def note(self, number: int) -> None:
        self.sent.append(number)
        if self.rng.random() < 0.8:
            self.arrived.insert(max(0, len(self.arrived) - int(self.rng.random() * 5)), number)

    def ack(self) -> None:
        if not self.arrived:
            return
        known = self.arrived[: max(1, len(self.arrived) - int(self.rng.random() * 10))]
        ranges = spans(known)[: 1 + int(self.rng.random() * 32)]
        self.acks.append(ranges)
        if self.rng.random() < 0.8:
            self.rig.ack(self.now, *ranges)

    def old_ack(self) -> None:
        if self.acks:
            self.rig.ack(self.now, *self.acks[int(self.rng.random() * len(self.acks))])

    def timeout(self) -> None:
        due_ns = self.rig.recovery.poll_deadline()
        if due_ns is not None:
            self.now = max(self.now, due_ns)
            self.rig.recovery.handle_timeout(self.now)

    def check(self) -> None:
        delivery, recovery = self.rig.path.delivery, self.rig.recovery
        assert 0 <= delivery.inflight_bytes <= SIZE * len(self.sent)
        assert delivery.inflight_bytes % SIZE == 0
        for frame in self.rig.frames.values():
            assert frame.fates in ([], ["acked"], ["lost"], ["lost", "acked"])
        if delivery.inflight_bytes:
            assert recovery.poll_deadline() is not None

    def finish(self) -> None:
        """Everything that is out arrives: then nothing is in flight and nothing is due."""
        self.rig.ack(self.now, *spans(self.sent))
        assert self.rig.path.delivery.inflight_bytes == 0
        assert self.rig.recovery.poll_deadline() is None


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=5, max_size=80), st.integers(0, 1 << 30))
def test_books_balance(steps: list[str], seed: int) -> None:
    books = Books(seed)
    books.send()
    for word in steps:
        books.step(word)
    books.finish()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3 * MS), min_size=2, max_size=30), st.integers(0, 1 << 30))
def test_packets_that_are_counted_together_count_as_one_by_one(gaps: list[int], seed: int) -> None:
    rng = random.Random(seed)
    split = 1 + int(rng.random() * (len(gaps) - 1))
    outcomes = []
    for together in (False, True):
        delivery, now = Delivery(), 0
        packets = []
        for number, gap_ns in enumerate(gaps):
            now += gap_ns
            packet = Sent(number, PACKET + number)
            delivery.sent(packet, now)
            packets.append(packet)
        for part in (packets[:split], packets[split:]):
            now += 50 * MS
            if together and len(part) > 1:
                delivery.acked_before(len(part) - 1, sum(packet.size_bytes for packet in part[:-1]))
                delivery.acked(part[-1], now)
            else:
                for packet in part:
                    delivery.acked(packet, now)
            ack = delivery.sample(rtt_ns=50 * MS)
            outcomes.append([getattr(ack, name) for name in ack.__slots__])
        outcomes.append([delivery.delivered_bytes, delivery.inflight_bytes, delivery.first_send_ns])
    assert outcomes[:3] == outcomes[3:]


class Sent:
    """A `SentPacket`."""

    sent_ns = first_send_ns = delivered_ns = delivered_bytes = lost_bytes = lost_after_bytes = tx_in_flight_bytes = 0
    is_app_limited = False

    def __init__(self, number: int, size_bytes: int) -> None:
        self.number = number
        self.size_bytes = size_bytes
