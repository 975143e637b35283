"""Streams within one process under trio, for tests of asynchronous code."""

from __future__ import annotations

import random
from collections.abc import Callable

import trio

from transports.pipes import Pipe, StreamEnd


class MemoryStream(StreamEnd):
    """One end of a connection in memory. Implements `transports.stream.StreamTransport`."""

    def __init__(self, outgoing: Pipe, incoming: Pipe) -> None:
        super().__init__(outgoing, incoming)
        self._peer = self
        self._lot = trio.lowlevel.ParkingLot()

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something; trio.ClosedResourceError when closed."""
        await self._wait(lambda: self._incoming.is_readable)

    async def wait_writable(self) -> None:
        """Return when `send` may take something; trio.ClosedResourceError when closed."""
        await self._wait(lambda: self._outgoing.is_abandoned or self._outgoing.room_bytes > 0)

    def join(self, peer: MemoryStream) -> None:
        """Say which end is the other one."""
        self._peer = peer

    async def _wait(self, is_ready: Callable[[], bool]) -> None:
        await trio.lowlevel.checkpoint()
        while not (self._is_closed or self._failure or is_ready()):
            await self._lot.park()
        if self._is_closed:
            raise trio.ClosedResourceError("the stream was closed")

    def _travel(self, arrive: Callable[[], None]) -> None:
        arrive()
        self._peer.notify()

    def _made_room(self) -> None:
        self._peer.notify()

    def notify(self) -> None:
        """Something changed: whoever waits looks again."""
        self._lot.unpark_all()


def memory_stream_pair(seed: int | None = 0, *, capacity_bytes: int = 1 << 16) -> tuple[MemoryStream, MemoryStream]:
    """Two connected ends. seed: of the cuts that reading makes; None for none. capacity_bytes: each way."""
    rng = None if seed is None else random.Random(seed)
    there, back = Pipe(capacity_bytes, rng), Pipe(capacity_bytes, rng)
    near, far = MemoryStream(there, back), MemoryStream(back, there)
    near.join(far)
    far.join(near)
    return near, far
