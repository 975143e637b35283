"""Two ends and a network that loses, repeats and reorders: all arrives once, in order, and no credit is exceeded.

The model is what each application wrote; the `QuicError` of the receiving end is the judge of credits and sizes: it
knows the rules of RFC 9000 4 from the other side, and fails the test where the sender breaks one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stacks.quic.configuration import Configuration
from stacks.quic.events import StopSending, StreamReset
from tests.stacks.quic.streams.ends import End, Packet, pair

INDEX = st.integers(0, 1 << 16)


@dataclass
class Direction:
    """What one end wrote to a stream and what the other read of it."""

    stream_id: int
    written: bytearray = field(default_factory=bytearray)
    read: bytearray = field(default_factory=bytearray)
    is_ended: bool = False
    reset_code: int | None = None
    reliable_bytes: int = 0
    is_stopped: bool = False
    told_code: int | None = None


class Side:
    """An end, the packets that it sent, and its view of the model."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.flying: list[Packet] = []
        self.out: dict[int, Direction] = {}
        self.peer: Side

    def send(self, size: int) -> None:
        packet = self.end.packet(size)
        if packet is not None:
            self.flying.append(packet)

    def deliver(self, packet: Packet) -> None:
        self.peer.end.receive(packet)
        self.peer.take_events()
        self.take_events()

    def take_events(self) -> None:
        """A reset that is told must be one that was made; STOP_SENDING resets."""
        for event in self.end.taken():
            if isinstance(event, StreamReset):
                direction = self.peer.out[event.stream_id]
                assert direction.reset_code == event.code
                assert len(direction.read) >= direction.reliable_bytes
                assert direction.told_code is None
                direction.told_code = event.code
            elif isinstance(event, StopSending):
                direction = self.out[event.stream_id]
                direction.reset_code, direction.reliable_bytes = event.code, 0

    def read(self, direction: Direction, limit: int) -> int:
        data = self.peer.end.streams.read(direction.stream_id, limit)
        start = len(direction.read)
        assert data == direction.written[start : start + len(data)]
        direction.read += data
        self.peer.take_events()
        return len(data)


class StreamsMachine(RuleBasedStateMachine):
    """Both directions of everything that both ends do."""

    @initialize(stream=st.sampled_from((64, 500, 5000)), connection=st.sampled_from((100, 1000, 50_000)))
    def begin(self, stream: int, connection: int) -> None:
        configuration = Configuration(
            stream_window_bytes=stream, connection_window_bytes=connection, max_streams_bidi=3, max_streams_uni=2
        )
        self.sides = [Side(end) for end in pair(configuration)]
        for side, peer in (self.sides, self.sides[::-1]):
            side.peer = peer
        self.opened = 0

    @rule(who=INDEX, is_unidirectional=st.booleans(), urgency=st.integers(0, 7), is_incremental=st.booleans())
    @precondition(lambda self: self.opened < 12)
    def open(self, who: int, is_unidirectional: bool, urgency: int, is_incremental: bool) -> None:
        side = self.sides[who % 2]
        stream_id = side.end.streams.open(is_unidirectional)
        side.end.streams.set_priority(stream_id, urgency, is_incremental)
        side.out[stream_id] = Direction(stream_id)
        self.opened += 1

    def _adopt(self) -> None:
        """What the peer opened can be written to from the other end."""
        for side in self.sides:
            for stream_id in side.end.streams.ids():
                if stream_id not in side.out and side.end.streams.sender(stream_id) is not None:
                    side.out[stream_id] = Direction(stream_id)

    def _direction(self, who: int) -> tuple[Side, Direction] | None:
        self._adopt()
        known = [(side, direction) for side in self.sides for direction in side.out.values()]
        return known[who % len(known)] if known else None

    @rule(who=INDEX, size=st.sampled_from((0, 1, 7, 100, 3000)), is_fin=st.booleans())
    def write(self, who: int, size: int, is_fin: bool) -> None:
        chosen = self._direction(who)
        if chosen is None or chosen[1].is_ended or chosen[1].reset_code is not None:
            return
        side, direction = chosen
        data = bytes((len(direction.written) + index) * 31 >> 3 & 0xFF for index in range(size))
        side.end.streams.write(direction.stream_id, data, is_fin)
        direction.written += data
        direction.is_ended = is_fin

    @rule(who=INDEX, limit=st.sampled_from((1, 50, 100_000)))
    def read(self, who: int, limit: int) -> None:
        chosen = self._direction(who)
        if chosen is not None:
            chosen[0].read(chosen[1], limit)

    @rule(who=INDEX, code=st.integers(1, 5), reliable_bytes=st.sampled_from((0, 0, 30, 5000)))
    def reset(self, who: int, code: int, reliable_bytes: int) -> None:
        chosen = self._direction(who)
        if chosen is None:
            return
        side, direction = chosen
        sender = side.end.streams.sender(direction.stream_id)
        side.end.streams.reset(direction.stream_id, code, reliable_bytes)
        if sender is None or sender.is_done:
            return
        reliable_bytes = min(reliable_bytes, len(direction.written))
        if direction.reset_code is None:
            direction.reset_code, direction.reliable_bytes = code, reliable_bytes
        direction.reliable_bytes = min(direction.reliable_bytes, reliable_bytes)

    @rule(who=INDEX, code=st.integers(6, 9))
    def stop(self, who: int, code: int) -> None:
        chosen = self._direction(who)
        if chosen is not None:
            side, direction = chosen
            receiver = side.peer.end.streams.receiver(direction.stream_id)
            if receiver is not None:
                side.peer.end.streams.stop_sending(direction.stream_id, code)
                direction.is_stopped = True

    @rule(who=INDEX, size=st.sampled_from((40, 150, 1200)))
    def send(self, who: int, size: int) -> None:
        self.sides[who % 2].send(size)

    @rule(who=INDEX, which=INDEX, fate=st.sampled_from(("arrives", "arrives", "is lost", "is lost late", "twice")))
    def settle(self, who: int, which: int, fate: str) -> None:
        """One packet in flight, not always the oldest."""
        side = self.sides[who % 2]
        if not side.flying:
            return
        packet = side.flying.pop(which % len(side.flying))
        if fate in ("is lost", "is lost late"):
            packet.lost()
        if fate != "is lost":
            side.deliver(packet)
            packet.acked()  # after `lost`, too: it was late
        if fate == "twice":
            side.deliver(packet)
        side.take_events()

    @invariant()
    def gaps_are_counted(self) -> None:
        for side in getattr(self, "sides", ()):
            streams = side.end.streams
            assert streams.gaps == sum(
                streams.receiver(stream_id).gaps for stream_id in streams.ids() if streams.receiver(stream_id)
            )

    def teardown(self) -> None:
        """Let everything through: then all that counts is there."""
        if not hasattr(self, "sides"):
            return
        for side in self.sides:
            for direction in side.out.values():
                if not direction.is_ended and direction.reset_code is None:
                    side.end.streams.write(direction.stream_id, b"", True)
                    direction.is_ended = True
        quiet = 0
        while quiet < 3:
            quiet = 0 if self._round() else quiet + 1
        self._check()

    def _round(self) -> bool:
        """Every packet in flight arrives, one more each is sent, everything is read; whether anything happened."""
        is_busy = False
        self._adopt()
        for side in self.sides:
            side.send(1200)
            for packet in side.flying:
                is_busy = True
                side.deliver(packet)
                packet.acked()
            side.flying.clear()
            side.take_events()
            for direction in list(side.out.values()):
                is_busy |= side.read(direction, 100_000) > 0
                if not direction.is_ended and direction.reset_code is None:
                    side.end.streams.write(direction.stream_id, b"", True)
                    direction.is_ended = is_busy = True
        return is_busy

    def _check(self) -> None:
        for side in self.sides:
            for direction in side.out.values():
                if direction.is_stopped:
                    continue
                if direction.reset_code is None:
                    assert direction.read == direction.written
                else:
                    assert len(direction.read) >= direction.reliable_bytes
                    assert direction.told_code == direction.reset_code or direction.is_ended
            assert list(side.end.streams.ids()) == []
            assert not side.end.streams.has_frames


TestStreams = StreamsMachine.TestCase
TestStreams.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.long
class TestManyStreams(StreamsMachine.TestCase):
    """The same for longer."""

    settings = settings(
        max_examples=1500, stateful_step_count=200, deadline=None, suppress_health_check=list(HealthCheck)
    )
