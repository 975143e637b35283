"""What two applications wrote and read on the streams between them, and a network that does what the test says.

The model is the bytes that each wrote. The `QuicError` of the receiving end is the judge of credits and sizes: it knows
the rules of RFC 9000 4 from the other side, and fails the test where the sender breaks one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stacks.quic.configuration import Configuration
from stacks.quic.events import StopSending, StreamReset
from tests.stacks.quic.streams.ends import End, Packet, pair

FATES = ("arrives", "arrives", "arrives", "waits", "is lost", "is lost late", "twice")
MAX_ROUNDS = 5000


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


class Model:
    """Both ends, the streams that they opened, and what is in flight. Numbers choose, whatever their size."""

    def __init__(self, stream_window: int, connection_window: int) -> None:
        configuration = Configuration(
            stream_window_bytes=stream_window,
            connection_window_bytes=connection_window,
            max_streams_bidi=3,
            max_streams_uni=2,
        )
        self.sides = [Side(end) for end in pair(configuration)]
        for side, peer in (self.sides, self.sides[::-1]):
            side.peer = peer

    def open(self, who: int, *, is_unidirectional: bool, urgency: int, is_incremental: bool) -> None:
        side = self.sides[who % 2]
        stream_id = side.end.streams.open(is_unidirectional)
        side.end.streams.set_priority(stream_id, urgency, is_incremental)
        side.out[stream_id] = Direction(stream_id)

    def write(self, which: int, size: int, *, is_fin: bool) -> None:
        chosen = self._direction(which)
        if chosen is None or chosen[1].is_ended or chosen[1].reset_code is not None:
            return
        side, direction = chosen
        data = bytes((len(direction.written) + index) * 31 >> 3 & 0xFF for index in range(size))
        side.end.streams.write(direction.stream_id, data, is_fin)
        direction.written += data
        direction.is_ended = is_fin

    def read(self, which: int, limit: int) -> None:
        chosen = self._direction(which)
        if chosen is not None:
            chosen[0].read(chosen[1], limit)

    def reset(self, which: int, code: int, reliable_bytes: int) -> None:
        chosen = self._direction(which)
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

    def stop(self, which: int, code: int) -> None:
        chosen = self._direction(which)
        if chosen is not None:
            side, direction = chosen
            receiver = side.peer.end.streams.receiver(direction.stream_id)
            if receiver is not None:
                side.peer.end.streams.stop_sending(direction.stream_id, code)
                direction.is_stopped = True

    def send(self, who: int, size: int) -> None:
        self.sides[who % 2].send(size)

    def settle(self, who: int, which: int, fate: str) -> None:
        """What becomes of one packet in flight, not always the oldest."""
        side = self.sides[who % 2]
        if not side.flying or fate == "waits":
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

    def check_gaps(self) -> None:
        """The count of gaps is what there is."""
        for side in self.sides:
            streams = side.end.streams
            receivers = [receiver for stream_id in streams.ids() if (receiver := streams.receiver(stream_id))]
            assert streams.gaps == sum(receiver.gaps for receiver in receivers)

    def finish(self) -> None:
        """End everything and let everything through: then all that counts is there, and nothing else is left."""
        quiet = 0
        for _ in range(MAX_ROUNDS):
            quiet = 0 if self._round() else quiet + 1
            if quiet == 3:
                break
        assert quiet == 3, "the two never come to rest"
        for side in self.sides:
            for direction in side.out.values():
                _check(direction)
            assert list(side.end.streams.ids()) == []
            assert not side.end.streams.has_frames
            assert side.end.streams.gaps == 0

    def _adopt(self) -> None:
        """What the peer opened can be written to from the other end."""
        for side in self.sides:
            for stream_id in side.end.streams.ids():
                if stream_id not in side.out and side.end.streams.sender(stream_id) is not None:
                    side.out[stream_id] = Direction(stream_id)

    def _direction(self, which: int) -> tuple[Side, Direction] | None:
        self._adopt()
        known = [(side, direction) for side in self.sides for direction in side.out.values()]
        return known[which % len(known)] if known else None

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


def _check(direction: Direction) -> None:
    if direction.is_stopped:
        return
    if direction.reset_code is None:
        assert direction.read == direction.written
        assert direction.told_code is None
    else:
        assert len(direction.read) >= direction.reliable_bytes
        # Where all had arrived with the end before the reset did, the reset is nothing that counts any more.
        assert direction.told_code == direction.reset_code or direction.read == direction.written
