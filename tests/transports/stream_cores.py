"""Cores of connections small enough to see through, a network in memory, and what a pump makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from transports.datagram import Address, Buffer
from transports.errors import TransportError
from transports.memory_stream import MemoryStream, memory_stream_pair
from transports.stream import StreamCore, StreamTransport


class TalkingCore:
    """Says what it is told, remembers what it hears, and perhaps says it again.

    room_bytes: how much it takes at a time; 0 for nothing. taken: what `sent` was told.
    """

    def __init__(self, *, echoes: bool = False, room_bytes: int = 1 << 16) -> None:
        self.echoes = echoes
        self.heard = bytearray()
        self.pieces: list[int] = []
        self.taken: list[int] = []
        self.ends: list[str] = []
        self.discards = False
        self.is_finished = False
        self.is_over = False
        self.closes_at_end = True
        self.room_bytes = room_bytes
        self.output: list[Buffer] = []
        self._scrap = memoryview(bytearray(1 << 20))

    def say(self, *views: Buffer) -> None:
        self.output += views

    def receive_views(self) -> Sequence[memoryview]:
        if not self.room_bytes:
            return ()
        # Two pieces, so that a transport has to fill both.
        return (self._scrap[: self.room_bytes // 2], self._scrap[1 << 19 : (1 << 19) + (self.room_bytes + 1) // 2])

    def handle_received(self, length: int, now: int) -> None:
        self.pieces.append(length)
        first = min(length, self.room_bytes // 2)
        piece = bytes(self._scrap[:first]) + bytes(self._scrap[1 << 19 : (1 << 19) + length - first])
        self.heard += piece
        if self.echoes:
            self.say(piece)

    def handle_ended(self, failure: str, now: int) -> None:
        self.ends.append(failure)
        self.is_over = self.closes_at_end

    def poll_output(self) -> Sequence[Buffer]:
        return self.output

    def sent(self, length: int) -> None:
        self.taken.append(length)
        rest = b"".join(self.output)[length:]
        self.output[:] = [rest] if rest else []


class TalkingEndpoint:
    """An endpoint of such cores; cores: of those who connected."""

    def __init__(self, *, echoes: bool = False, accepts: bool = True) -> None:
        self.echoes = echoes
        self.accepts = accepts
        self.cores: list[TalkingCore] = []
        self.remotes: list[Address] = []
        self.connects: list[tuple[StreamCore, Address]] = []
        self.active: list[StreamCore] = []
        self.deadline: int | None = None
        self.timeouts: list[int] = []

    def connect(self, address: Address, **options: bool) -> TalkingCore:
        core = TalkingCore(**options)
        self.connects.append((core, address))
        self.active.append(core)
        return core

    def tick(self, now: int) -> None:
        pass

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        connects, self.connects = self.connects, []
        return connects

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:
        self.remotes.append(remote)
        if not self.accepts:
            return None
        self.cores.append(core := TalkingCore(echoes=self.echoes))
        return core

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        active, self.active = self.active, []
        if self.echoes:
            active += [core for core in self.cores if core.output or core.is_over]
        return active

    def handle_timeout(self, now: int) -> None:
        self.timeouts.append(now)
        self.deadline = None

    def poll_deadline(self) -> int | None:
        return self.deadline


class MemoryNetwork:
    """A network whose far ends a test holds. refuses: what `connect` raises."""

    def __init__(self, *, capacity_bytes: int = 1 << 16) -> None:
        self.capacity_bytes = capacity_bytes
        self.arrivals: list[MemoryStream] = []
        self.watched: dict[StreamTransport, tuple[bool, bool]] = {}
        self.watches = 0
        self.far: list[MemoryStream] = []
        self.refuses = ""

    def arrive(self) -> MemoryStream:
        near, far = memory_stream_pair(None, capacity_bytes=self.capacity_bytes)
        self.arrivals.append(near)
        return far

    def connect(self, address: Address) -> StreamTransport:
        if self.refuses:
            raise TransportError(self.refuses)
        near, far = memory_stream_pair(None, capacity_bytes=self.capacity_bytes)
        self.far.append(far)
        return near

    def accept(self) -> StreamTransport | None:
        return self.arrivals.pop(0) if self.arrivals else None

    def watch(self, transport: StreamTransport, *, reading: bool, writing: bool) -> None:
        self.watches += 1
        self.watched[transport] = (reading, writing)

    def forget(self, transport: StreamTransport) -> None:
        del self.watched[transport]

    def poll(self) -> Sequence[StreamTransport]:
        return [transport for transport in self.watched if self._is_ready(transport)]

    def close(self) -> None:
        pass

    def _is_ready(self, transport: StreamTransport) -> bool:
        assert isinstance(transport, MemoryStream)
        reading, writing = self.watched[transport]
        return (reading and transport.is_readable) or (writing and transport.is_writable)
