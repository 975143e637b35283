"""Frame links within one process: frames ride in the packets of the datagram networks, one address an end."""

from __future__ import annotations

from collections.abc import Sequence

from transports.datagram import Address, Buffer, DatagramTransport, Transmit
from transports.errors import TransportError
from transports.segments import MAX_UDP_PAYLOAD_BYTES, total_bytes


class FrameEnd:
    """One end of a link over `carrier`, a simulated or memory transport without merging. A `FrameTransport`.

    peer: the other end's address. frame_limit_bytes: 14 + 1,500 for plain Ethernet, at most 65,507.
    """

    def __init__(self, carrier: DatagramTransport, peer: Address, frame_limit_bytes: int) -> None:
        if not 0 < frame_limit_bytes <= MAX_UDP_PAYLOAD_BYTES:
            raise TransportError(f"a frame has 1 to {MAX_UDP_PAYLOAD_BYTES} bytes, not {frame_limit_bytes}")
        self._carrier = carrier
        self._peer = peer
        self._frame_limit_bytes = frame_limit_bytes

    @property
    def frame_limit_bytes(self) -> int:
        """The largest frame that it takes, link-layer header included."""
        return self._frame_limit_bytes

    def send(self, views: Sequence[Buffer]) -> bool:
        """Send one frame; False while full. TransportError when it is empty or exceeds the limit, or after `close`."""
        length = total_bytes(views)
        if not 0 < length <= self._frame_limit_bytes:
            raise TransportError(f"a frame of {length} bytes does not fit 1 to {self._frame_limit_bytes}")
        return self._carrier.send(Transmit(views, 0, None, self._peer))

    def receive(self) -> memoryview | None:
        """The next frame, or None."""
        burst = self._carrier.receive()
        return None if burst is None else burst.view

    async def wait_readable(self) -> None:
        """As of the carrier."""
        await self._carrier.wait_readable()

    async def wait_writable(self) -> None:
        """As of the carrier."""
        await self._carrier.wait_writable()

    def close(self) -> None:
        """Leave the link; idempotent."""
        self._carrier.close()


ETHERNET_FRAME_BYTES = 1514
NEAR_END, FAR_END = ("near", 0), ("far", 0)
