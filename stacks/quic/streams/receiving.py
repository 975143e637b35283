"""The receiving side of a stream (RFC 9000 3.2, 2.2)."""

from __future__ import annotations

from collections import deque

from stacks.quic.errors import QuicError, TransportErrorCode


class ReceiveStream:
    """What arrived, in order, and what waits for what is missing.

    window: how far the peer may send. highest: the end of the data that it sent so far. offset: the end of what is in
    order; read_offset: of what was read. final_size: None while it is not known. reset_code: the peer gave up.
    """

    __slots__ = (
        "_parts", "_ready", "final_size", "highest", "is_ended", "is_stopped", "is_told", "offset", "read_offset",
        "reliable_bytes", "reset_code", "stream_id", "window", "window_bytes",
    )  # fmt: skip

    def __init__(self, stream_id: int, window_bytes: int) -> None:
        self.stream_id = stream_id
        self.window = self.window_bytes = window_bytes
        self.highest = self.offset = self.read_offset = 0
        self.final_size: int | None = None
        self.reset_code: int | None = None
        self.reliable_bytes = 0
        self.is_stopped = self.is_told = self.is_ended = False
        self._ready: deque[bytes] = deque()
        self._parts: dict[int, bytes] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything up to the final size is in order."""
        return self.final_size is not None and self.offset >= self.final_size

    @property
    def readable_bytes(self) -> int:
        """In order and not read."""
        return self.offset - self.read_offset

    def receive(self, start: int, data: memoryview, is_fin: bool) -> int:
        """Data for [start, ...); by how much it raises `highest`. QuicError where it breaks a rule (4.1, 4.5)."""
        end = start + len(data)
        final_size = self.final_size
        if final_size is not None and (end > final_size or (is_fin and end != final_size)):
            raise QuicError(TransportErrorCode.FINAL_SIZE_ERROR, "data beyond the end of the stream, or another end")
        if end > self.window:
            raise QuicError(TransportErrorCode.FLOW_CONTROL_ERROR, f"stream {self.stream_id} has no credit for that")
        if is_fin:
            if end < self.highest:
                raise QuicError(TransportErrorCode.FINAL_SIZE_ERROR, "the stream ends before data that was sent")
            self.final_size = end
        grown = end - self.highest if end > self.highest else 0
        self.highest += grown
        if self.is_stopped or self.reset_code is not None:
            self._skip(end)
        elif start == self.offset and self._parts is None:
            if end > start:
                self._ready.append(bytes(data))
                self.offset = end
        elif end > self.offset:
            self._insert(start, bytes(data))
        return grown

    def takes_run(self, start: int, end: int) -> bool:
        """Whether [start, end) is next in order, nothing waits behind it, and it has credit."""
        return (
            start == self.offset
            and end <= self.window
            and self._parts is None
            and self.final_size is None
            and not self.is_stopped
        )

    def receive_run(self, data: bytes) -> None:
        """What `takes_run` said is next."""
        self._ready.append(data)
        self.offset += len(data)
        self.highest = self.offset

    def reset(self, code: int, final_size: int, reliable_bytes: int) -> int:
        """RESET_STREAM (19.4): by how much it raises `highest`."""
        if (self.final_size is not None and final_size != self.final_size) or final_size < self.highest:
            raise QuicError(TransportErrorCode.FINAL_SIZE_ERROR, "the reset says another final size")
        grown = final_size - self.highest
        self.final_size = self.highest = final_size
        if self.reset_code is None and not self.is_complete:
            self.reset_code = code
            self.reliable_bytes = reliable_bytes
            if self.offset >= reliable_bytes:
                self._parts = None
        return grown

    def take(self, limit: int) -> bytes:
        """At most `limit` bytes, in order."""
        ready = self._ready
        if not ready:
            return b""
        if len(ready) == 1 and len(ready[0]) <= limit:
            data = ready.popleft()
        else:
            pieces: list[bytes] = []
            room = limit
            while ready and room:
                piece = ready.popleft()
                if len(piece) > room:
                    ready.appendleft(piece[room:])
                    piece = piece[:room]
                pieces.append(piece)
                room -= len(piece)
            data = b"".join(pieces)
        self.read_offset += len(data)
        return data

    def stop(self) -> None:
        """The application reads no more: what comes is only counted."""
        self.is_stopped = True
        self._ready.clear()
        self._parts = None
        self._skip(self.highest)

    def _skip(self, end: int) -> None:
        if end > self.offset and (self.is_stopped or end > self.reliable_bytes):
            self.offset = self.read_offset = max(self.offset, self.highest if self.is_stopped else self.offset)

    def _insert(self, start: int, data: bytes) -> None:
        """Data out of order: kept apart by its start, and drained as soon as it fits."""
        if self._parts is None:
            self._parts = {}
        parts = self._parts
        if start < self.offset:
            data = data[self.offset - start :]
            start = self.offset
        known = parts.get(start)
        if known is None or len(known) < len(data):
            parts[start] = data
        if len(parts) > MAX_PARTS:
            self._merge()
        while parts:
            piece = parts.pop(self.offset, None)
            if piece is None:
                piece = self._overlapping()
                if piece is None:
                    return
            self._ready.append(piece)
            self.offset += len(piece)
        self._parts = None

    def _overlapping(self) -> bytes | None:
        """A part that begins before `offset` and ends behind it, cut to fit; those that are all old are dropped."""
        parts = self._parts
        assert parts is not None
        if min(parts) > self.offset:
            return None
        for start in sorted(parts):
            if start > self.offset:
                return None
            data = parts.pop(start)
            if start + len(data) > self.offset:
                return data[self.offset - start :]
        return None

    def _merge(self) -> None:
        """Join parts that touch: what a peer sends in tiny pieces must not cost more than what it sends."""
        merged: dict[int, bytes] = {}
        run: list[bytes] = []
        first = end = -1
        assert self._parts is not None
        for start in sorted(self._parts):
            data = self._parts[start]
            if start <= end:
                rest = data[end - start :]
                run.append(rest)
                end += len(rest)
                continue
            if run:
                merged[first] = b"".join(run)
            first, run, end = start, [data], start + len(data)
        merged[first] = b"".join(run)
        self._parts = merged
        if len(merged) > MAX_PARTS // 2:
            raise QuicError(TransportErrorCode.INTERNAL_ERROR, f"stream {self.stream_id} arrives in too many pieces")


MAX_PARTS = 16_384
