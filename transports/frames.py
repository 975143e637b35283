"""The frame shape: whole link-layer frames or IP packets (TAP, TUN, and their twins without a kernel).

Frames may be lost, reordered and duplicated like datagrams, but every header is there to see: addresses,
Identification, checksums. What a virtio network header adds, offload in both directions, comes with the kernel members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from transports.datagram import Buffer


@runtime_checkable
class FrameTransport(Protocol):
    """Something that moves frames without blocking. Contract suite: tests/transports/frame_contract.py."""

    @property
    def frame_limit_bytes(self) -> int:
        """The largest frame that it takes, link-layer header included."""

    def send(self, views: Sequence[Buffer]) -> bool:
        """Send one frame, the views joined; False when there is no room now.

        views: borrowed until the call returns. TransportError when the frame is empty or exceeds the limit, or after
        `close`.
        """

    def receive(self) -> memoryview | None:
        """The next frame, valid until the next call; None when nothing is there."""

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""

    async def wait_writable(self) -> None:
        """Return when `send` may succeed."""

    def close(self) -> None:
        """Release the device or link end; idempotent."""
