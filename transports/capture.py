"""Capture: a pcapng file of everything that passes a datagram transport, framed as on a wire.

One Ethernet/IP/UDP frame a datagram, in both directions, even where the kernel moved a whole batch at once (a sniffer
on `lo` sees that batch as one datagram). What a socket does not tell is filled in as Linux does it: DF, TTL 64, and
Identification k for the k-th segment of a send. For bursts received through a socket that is an assumption, true when
the burst is what its sender sent in one go.

The file is written in the caller's thread. It never grows beyond its limit, always ends with a whole frame, and a
disk that fills up ends the capture, not the traffic.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from transports.clock import Clock, RealClock
from transports.datagram import Address, Buffer, Burst, DatagramTransport, MulticastTransport, Transmit
from transports.errors import TransportError
from transports.framing import UdpFramer
from transports.pump import HasFileno
from transports.segments import MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES, cut, total_bytes
from wire.pcapng import enhanced_packet, interface_description, section_header


class CaptureFile:
    """A pcapng file that stops growing at a limit or when the disk is full.

    path: created or overwritten. limit_bytes: the largest size of the file; 0 for no limit.
    on_stop: called once with one line that says why the capture ended early.
    interfaces: their names, all with the same link_type (1 Ethernet, 101 IP packets).

    TransportError when the file cannot be created.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        limit_bytes: int = 0,
        on_stop: Callable[[str], None] | None = None,
        interfaces: Sequence[str] = ("baremetal",),
        link_type: int = 1,
    ) -> None:
        self.path = Path(path)
        self.stopped = ""
        """Why the capture ended before `close`; empty while it goes on."""
        self.frames = 0
        """Frames captured so far."""
        self._limit_bytes = limit_bytes
        self._on_stop = on_stop
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written_bytes = 0
        try:
            self._file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise TransportError(f"cannot write the capture {path}: {error.strerror}", errno=error.errno or 0) from None
        self._append(section_header("baremetal"))
        for interface in interfaces:
            self._append(interface_description(interface, link_type=link_type))
        self.flush()

    @property
    def is_open(self) -> bool:
        """Whether frames are still taken."""
        return not (self.stopped or self._file.closed)

    def add(self, timestamp_ns: int, views: Sequence[Buffer], interface: int = 0) -> None:
        """Add one frame, given in pieces that are copied; `timestamp_ns` since 1970. interface: which of the file's."""
        if not self.is_open:
            return
        block = enhanced_packet(timestamp_ns, views, interface=interface)
        if self._limit_bytes and self._written_bytes + self._pending_bytes + len(block) > self._limit_bytes:
            self.flush()
            self._stop(f"capture {self.path}: stopped at its limit of {self._limit_bytes} bytes")
            return
        self._append(block)
        self.frames += 1
        if self._pending_bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what is pending to the operating system."""
        if not self._pending or not self.is_open:
            return
        data = memoryview(b"".join(self._pending))
        pending_blocks = len(self._pending)
        self._pending.clear()
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            # Back to the last whole frame, so that what was captured stays readable; a device has no size to give back.
            with contextlib.suppress(OSError):
                self._file.truncate(self._written_bytes)
            self.frames = max(0, self.frames - pending_blocks)
            self._stop(f"capture {self.path}: stopped, {os.strerror(error.errno or 0).lower()}")
        else:
            self._written_bytes += self._pending_bytes
        self._pending_bytes = 0

    def close(self) -> None:
        """Write what is pending and close the file; idempotent."""
        self.flush()
        self._file.close()

    def _append(self, block: bytes) -> None:
        self._pending.append(block)
        self._pending_bytes += len(block)

    def _stop(self, reason: str) -> None:
        if not self.stopped:
            self.stopped = reason
            if self._on_stop is not None:
                self._on_stop(reason)


class CaptureLog:
    """The capture file of what records, with timestamps.

    path: of the file to write, or a `CaptureFile` that several share, which stays the caller's to close.
    limit_bytes, on_stop: as of `CaptureFile`.
    clock: for the timestamps; with a `RealClock` they are the time of day, otherwise the clock's own nanoseconds.

    TransportError when the file cannot be created.
    """

    def __init__(
        self,
        path: str | Path | CaptureFile,
        clock: Clock,
        *,
        limit_bytes: int = 0,
        on_stop: Callable[[str], None] | None = None,
    ) -> None:
        self._owns_file = not isinstance(path, CaptureFile)
        self.file = (
            path if isinstance(path, CaptureFile) else CaptureFile(path, limit_bytes=limit_bytes, on_stop=on_stop)
        )
        self._now = clock.now
        self._epoch_ns = time.time_ns() - clock.now() if isinstance(clock, RealClock) else 0

    def now(self) -> int:
        """The timestamp of what happens now, in nanoseconds."""
        return self._epoch_ns + self._now()

    def close(self) -> None:
        """Close the file; one that is shared only gets what is pending. Idempotent."""
        if self._owns_file:
            self.file.close()
        else:
            self.file.flush()


class CapturingTransport:
    """A `DatagramTransport` around another that records what passes.

    inner: does the work, and is closed with this one. Other arguments and errors as of `CaptureLog`.
    """

    def __init__(
        self,
        inner: DatagramTransport,
        path: str | Path | CaptureFile,
        clock: Clock,
        *,
        limit_bytes: int = 0,
        on_stop: Callable[[str], None] | None = None,
    ) -> None:
        self.inner = inner
        self._log = CaptureLog(path, clock, limit_bytes=limit_bytes, on_stop=on_stop)
        self.file = self._log.file
        self._framers: dict[tuple[Address, Address], UdpFramer] = {}

    @property
    def address(self) -> Address:
        """The inner transport's address."""
        return self.inner.address

    @property
    def segment_limit(self) -> int:
        """The inner transport's limit, where it has one."""
        limit = getattr(self.inner, "segment_limit", MAX_SEGMENTS)
        assert isinstance(limit, int)
        return limit

    def fileno(self) -> int:
        """The inner transport's file descriptor; TransportError when it has none."""
        if not isinstance(self.inner, HasFileno):
            raise TransportError(f"{type(self.inner).__name__} has no file descriptor to wait for: use Driver.run")
        return self.inner.fileno()

    def send(self, transmit: Transmit) -> bool:
        """Send through the inner transport; recorded once it took everything."""
        if not self.inner.send(transmit):
            return False
        if self.file.is_open:
            self._record_transmit(transmit)
        return True

    def receive(self) -> Burst | None:
        """The inner transport's next burst, recorded. With nothing there, what is pending goes to the file."""
        burst = self.inner.receive()
        if burst is None:
            self.file.flush()
        elif self.file.is_open:
            step, view = burst.segment_bytes, burst.view
            payloads: list[list[Buffer]] = [[view[start : start + step]] for start in range(0, len(view), step)]
            self._record(burst.source, burst.destination, payloads, ecn=burst.ecn, first=burst.identification or 0)
        return burst

    async def wait_readable(self) -> None:
        """As of the inner transport."""
        await self.inner.wait_readable()

    async def wait_writable(self) -> None:
        """As of the inner transport."""
        await self.inner.wait_writable()

    def join(self, group: str) -> None:
        """Join through the inner transport; TransportError where it cannot."""
        self._multicast().join(group)

    def leave(self, group: str) -> None:
        """The inverse of `join`."""
        self._multicast().leave(group)

    def group_fileno(self) -> int | None:
        """As of the inner transport."""
        return self.inner.group_fileno() if isinstance(self.inner, MulticastTransport) else None

    def _multicast(self) -> MulticastTransport:
        if not isinstance(self.inner, MulticastTransport):
            raise TransportError(f"{type(self.inner).__name__} has no multicast groups")
        return self.inner

    def close(self) -> None:
        """Close the file, unless it is shared, then the inner transport; idempotent."""
        self._log.close()
        self.inner.close()

    def _record_transmit(self, transmit: Transmit) -> None:
        length = total_bytes(transmit.views)
        piece_bytes = transmit.segment_bytes or length
        if not piece_bytes:
            return
        # A transmit that exceeds what one send carries starts its Identifications again with each part.
        period = self.segment_limit
        if length > min(MAX_UDP_PAYLOAD_BYTES, piece_bytes * period):
            period = max(1, min(period, MAX_UDP_PAYLOAD_BYTES // piece_bytes))
        source = transmit.source or self.inner.address
        self._record(
            source, transmit.destination, cut(transmit.views, piece_bytes), ecn=transmit.ecn, first=0, period=period
        )

    def _record(
        self,
        source: Address,
        destination: Address,
        payloads: Iterable[list[Buffer]],
        *,
        ecn: int,
        first: int,
        period: int = 1 << 16,
    ) -> None:
        framer = self._framer(source, destination)
        timestamp_ns = self._log.now()
        for number, views in enumerate(payloads):
            payload = views[0] if len(views) == 1 else b"".join(views)
            headers = framer.headers(payload, ecn=ecn, identification=(first + number % period) & 0xFFFF)
            self.file.add(timestamp_ns, [headers, payload])

    def _framer(self, source: Address, destination: Address) -> UdpFramer:
        framer = self._framers.get((source, destination))
        if framer is None:
            if len(self._framers) >= FLOW_LIMIT:
                self._framers.clear()
            framer = self._framers[source, destination] = UdpFramer(source, destination)
        return framer


FLUSH_BYTES = 1 << 18
FLOW_LIMIT = 1024
