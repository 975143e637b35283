"""Buffers for bursts that are being sent: taken, borrowed by a Transmit, and given back when it was sent."""

from __future__ import annotations

from stacks.quic.keys import PacketViews


class BurstBuffer(bytearray):
    """Room for one burst. view: of all of it."""

    __slots__ = ("_views", "view")

    def __init__(self) -> None:
        super().__init__(BUFFER_BYTES)
        self.view = memoryview(self)
        self._views: PacketViews | None = None

    def packets(self, step: int, number_offset: int) -> PacketViews:
        """Its slices as equal packets of `step` bytes, kept as long as they are asked for."""
        views = self._views
        if views is None or views.step != step or views.number_offset != number_offset:
            views = self._views = PacketViews(self.view, step, number_offset, min(BUFFER_BYTES // step, MAX_PACKETS))
        return views


class BufferPool:
    """Of one endpoint. A few buffers are kept; a driver that holds many transmits back gets more, which are dropped."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: list[BurstBuffer] = []

    def take(self) -> BurstBuffer:
        """A buffer for one burst; what is in it is of no meaning."""
        return self._free.pop() if self._free else BurstBuffer()

    def give_back(self, buffer: BurstBuffer) -> None:
        """Nobody looks at it any more."""
        if len(self._free) < KEPT:
            self._free.append(buffer)


BUFFER_BYTES = 1 << 16
MAX_PACKETS = 64
"""As many as one system call sends."""
KEPT = 8
