"""The stream shape: bytes in order, both ways, over one connection (kernel TCP, Unix sockets, their twins in memory).

A lost connection is a status with its cause: reading then ends, what is sent goes nowhere, and `failure` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from transports.datagram import Buffer


@runtime_checkable
class StreamTransport(Protocol):
    """One end of a connection, without blocking. Contract suite: tests/transports/stream_contract.py."""

    @property
    def failure(self) -> str:
        """Why the connection was lost; empty while it stands or when it ended in order."""

    def send(self, views: Sequence[Buffer]) -> int:
        """Take as much of `views`, from the start, as there is room for; returns bytes, 0 when full.

        views: flat, borrowed until the call returns. With the connection lost all is taken, and discarded.
        TransportError after `finish` or `close`.
        """

    def receive(self) -> memoryview | None:
        """The next bytes, valid until the next call; None when nothing is there; empty at the end, each time."""

    def finish(self) -> None:
        """Send no more: the peer reads to the end of what was sent, then the end; idempotent."""

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""

    async def wait_writable(self) -> None:
        """Return when `send` may take something."""

    def close(self) -> None:
        """Release everything; the peer sees the end, or a loss when it still sends; idempotent."""
