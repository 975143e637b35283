"""Two connections that are nothing but streams: what one writes, the other can read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from stacks.quic.http3 import HttpCore, HttpEvent
from stacks.runtime.errors import LocalError

T = TypeVar("T", bound=HttpCore)


class _View:
    def __init__(self, end: LoopbackEnd) -> None:
        self._end = end

    def unsent_bytes(self, stream_id: int) -> int:
        return self._end.unsent.get(stream_id, 0)

    def is_finished(self, stream_id: int) -> bool:
        return stream_id in self._end.finished and not self._end.inbox[stream_id]


class LoopbackEnd:
    """Implements `HttpConnection`; `closed` is (code, reason) when it was closed, `resets` what was reset."""

    def __init__(self, *, is_client: bool) -> None:
        self.is_client = is_client
        self.streams = _View(self)
        self.inbox: dict[int, bytearray] = defaultdict(bytearray)
        self.finished: set[int] = set()
        self.ended: set[int] = set()
        self.unsent: dict[int, int] = {}
        self.closed: tuple[int, str] | None = None
        self.resets: dict[int, int] = {}
        self.stopped: dict[int, int] = {}
        self.priorities: dict[int, tuple[int, bool]] = {}
        self.readable: Callable[[int], None] = lambda _: None
        self.peer: LoopbackEnd = self
        self._next = {False: 0 if is_client else 1, True: 2 if is_client else 3}

    def open_stream(self, *, is_unidirectional: bool = False) -> int:
        number = self._next[is_unidirectional]
        self._next[is_unidirectional] += 4
        return number

    def write(self, stream_id: int, data: bytes, *, is_fin: bool = False) -> None:
        if stream_id in self.ended or stream_id in self.resets:
            raise LocalError(f"stream {stream_id} cannot send any more")
        if is_fin:
            self.ended.add(stream_id)
            self.peer.finished.add(stream_id)
        self.peer.inbox[stream_id] += data
        self.peer.readable(stream_id)

    def read(self, stream_id: int, limit: int) -> bytes:
        data = bytes(self.inbox[stream_id][:limit])
        del self.inbox[stream_id][:limit]
        return data

    def reset_stream(self, stream_id: int, code: int) -> None:
        self.resets[stream_id] = code

    def stop_sending(self, stream_id: int, code: int) -> None:
        self.stopped[stream_id] = code

    def set_priority(self, stream_id: int, urgency: int, *, is_incremental: bool = False) -> None:
        self.priorities[stream_id] = urgency, is_incremental

    def close(self, code: int = 0, reason: str = "", *, is_application: bool = True, now: int) -> None:
        assert is_application
        self.closed = self.closed or (code, reason)


def connected() -> tuple[LoopbackEnd, LoopbackEnd]:
    client, server = LoopbackEnd(is_client=True), LoopbackEnd(is_client=False)
    client.peer, server.peer = server, client
    return client, server


def http_pair(make: Callable[[LoopbackEnd], T]) -> tuple[T, T]:
    client, server = connected()
    cores = make(client), make(server)
    for end, core in zip((client, server), cores, strict=True):
        end.readable = core.stream_readable
        for stream_id in list(end.inbox):
            core.stream_readable(stream_id)
    return cores


def take(core: HttpCore, now: int = 0) -> list[HttpEvent]:
    """All events that there are."""
    return list(iter(lambda: core.poll_event(now), None))
