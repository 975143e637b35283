"""Capture of streams: a pcapng file of everything that passes a stream network, as TCP segments on a wire.

    CapturingStreams(network, path, clock)    around a `StreamNetwork`; its connections are recorded

A socket shows bytes and no packets, so the segments are made up, in a way that could have been: a handshake when a
connection comes about, at most an MSS of an Ethernet in each, in order, an acknowledgment for each send or receive, and
FIN or RST when it ends. What the kernel does for itself (retransmissions, windows, delayed acknowledgments) is not
seen, and neither is what it took and never delivered. Connections without IP addresses, as of Unix sockets, are not
recorded.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast
from zlib import crc32

from transports.capture import CaptureFile, CaptureLog
from transports.clock import Clock
from transports.datagram import Address, Buffer
from transports.errors import TransportError
from transports.framing import TcpFramer
from transports.pump import HasFileno
from transports.stream import AwaitableStreams, StreamNetwork, StreamTransport
from transports.stream_pump import Waiting
from wire.seqnum import seq_add
from wire.tcp import NO_OPERATION, TcpFlag, TcpMssOption, TcpWindowScaleOption


class CapturingStreams:
    """A `StreamNetwork` around another that records what passes.

    inner: does the work, and is closed with this one. Other arguments and errors as of `CaptureLog`.
    """

    def __init__(
        self,
        inner: StreamNetwork,
        path: str | Path | CaptureFile,
        clock: Clock,
        *,
        limit_bytes: int = 0,
        on_stop: Callable[[str], None] | None = None,
    ) -> None:
        self.inner = inner
        self._log = CaptureLog(path, clock, limit_bytes=limit_bytes, on_stop=on_stop)
        self.file = self._log.file
        self._streams: dict[StreamTransport, CapturingStream] = {}
        self._count = 0

    def connect(self, address: Address) -> CapturingStream:
        """Begin to connect."""
        return self._recording(self.inner.connect(address), address, was_called=False)

    def accept(self) -> CapturingStream | None:
        """The next connection that somebody else made."""
        accepted = self.inner.accept()
        return None if accepted is None else self._recording(accepted, accepted.remote, was_called=True)

    def watch(self, transport: StreamTransport, *, reading: bool, writing: bool) -> None:
        """As of the inner network."""
        self.inner.watch(_inner(transport), reading=reading, writing=writing)

    def forget(self, transport: StreamTransport) -> None:
        """As of the inner network."""
        self.inner.forget(_inner(transport))
        self._streams.pop(_inner(transport), None)

    def poll(self) -> Sequence[StreamTransport]:
        """As of the inner network. With nothing there, what is pending goes to the file."""
        found = self.inner.poll()
        if not found:
            self.file.flush()
        return [self._streams[each] for each in found if each in self._streams]

    def wait(self, timeout_ns: int | None) -> None:
        """As of the inner network; TransportError when that cannot be waited for by itself."""
        if not isinstance(self.inner, Waiting):
            raise TransportError(f"{type(self.inner).__name__} cannot be waited for")
        self.file.flush()
        self.inner.wait(timeout_ns)

    def fileno(self) -> int:
        """The inner network's file descriptor; TransportError when it has none."""
        if not isinstance(self.inner, HasFileno):
            raise TransportError(f"{type(self.inner).__name__} has no file descriptor to wait for")
        return self.inner.fileno()

    async def wait_readable(self) -> None:
        """As of the inner network, which must be one that tasks can wait for."""
        await cast(AwaitableStreams, self.inner).wait_readable()

    def close(self) -> None:
        """Close the file, unless it is shared, then the inner network; idempotent."""
        self._log.close()
        self.inner.close()

    def add(self, views: list[Buffer]) -> None:
        """Record one frame, now."""
        self.file.add(self._log.now(), views)

    def _recording(self, inner: StreamTransport, remote: Address, *, was_called: bool) -> CapturingStream:
        self._count += 1
        flow = None
        if inner.local[0] and remote[1]:
            flow = TcpFlow(self.add, inner.local, remote, number=self._count, was_called=was_called)
        stream = self._streams[inner] = CapturingStream(inner, flow)
        return stream


class CapturingStream:
    """A `StreamTransport` around another, recorded as a flow, if it has one; made by `CapturingStreams`."""

    def __init__(self, inner: StreamTransport, flow: TcpFlow | None) -> None:
        self.inner = inner
        self._flow = flow

    @property
    def failure(self) -> str:
        """As of the inner connection."""
        return self.inner.failure

    @property
    def local(self) -> Address:
        """As of the inner connection."""
        return self.inner.local

    @property
    def remote(self) -> Address:
        """As of the inner connection."""
        return self.inner.remote

    def send(self, views: Sequence[Buffer]) -> int:
        """As of the inner connection; what it took is recorded."""
        had_failed = bool(self.inner.failure)
        taken = self.inner.send(views)
        if self._flow is not None and not had_failed:
            if self.inner.failure:
                self._flow.lost(self.inner.failure)
            elif taken:
                self._flow.sent(_first(views, taken))
        return taken

    def receive_into(self, views: Sequence[memoryview]) -> int | None:
        """As of the inner connection; what it brought is recorded."""
        length = self.inner.receive_into(views)
        if self._flow is not None and length is not None:
            if length:
                self._flow.received(_first(views, length))
            elif self.inner.failure:
                self._flow.lost(self.inner.failure)
            else:
                self._flow.ended()
        return length

    def finish(self) -> None:
        """As of the inner connection."""
        self.inner.finish()
        if self._flow is not None:
            self._flow.finished()

    async def wait_readable(self) -> None:
        """As of the inner connection."""
        await self.inner.wait_readable()

    async def wait_writable(self) -> None:
        """As of the inner connection."""
        await self.inner.wait_writable()

    def close(self) -> None:
        """As of the inner connection."""
        self.inner.close()
        if self._flow is not None:
            self._flow.finished()

    def abort(self) -> None:
        """As of the inner connection; recorded as its end, since whether anything was on its way is not seen."""
        self.inner.abort()
        if self._flow is not None:
            self._flow.finished()


class TcpFlow:
    """The segments of one connection, made up from what its ends see.

    add: records a frame. near, far: addresses; number: tells connections of the same addresses apart; was_called:
    whether the far end made the connection.
    """

    def __init__(
        self, add: Callable[[list[Buffer]], None], near: Address, far: Address, *, number: int, was_called: bool
    ) -> None:
        self._near = _Side(add, near, far, number)
        self._far = _Side(add, far, near, number)
        self._calling, self._called = (self._far, self._near) if was_called else (self._near, self._far)
        self._is_open = self._is_lost = False
        self._calling.say(b"", TcpFlag.SYN, options=_syn_options(self._calling.mss), ack=None)
        if was_called:
            self._open()

    def sent(self, data: bytes) -> None:
        """This end's bytes."""
        self._open()
        self._carry(self._near, self._far, data)

    def received(self, data: bytes) -> None:
        """The other end's bytes."""
        self._open()
        self._carry(self._far, self._near, data)

    def finished(self) -> None:
        """This end sends no more."""
        self._end(self._near, self._far)

    def ended(self) -> None:
        """The other end sends no more."""
        self._open()
        self._end(self._far, self._near)

    def lost(self, failure: str) -> None:
        """The connection is lost: refused or reset, as a segment tells, or without a word."""
        if self._is_lost:
            return
        self._is_lost = True
        if not self._is_open and failure == REFUSED:
            # Who refuses has no sequence numbers (RFC 9293 3.10.7.1).
            self._called.next = 0
            self._called.say(b"", TcpFlag.RST | TcpFlag.ACK, ack=self._calling)
        elif self._is_open and failure in RESET:
            self._far.say(b"", TcpFlag.RST | TcpFlag.ACK, ack=self._near)

    def _open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        self._called.say(b"", TcpFlag.SYN | TcpFlag.ACK, options=_syn_options(self._called.mss), ack=self._calling)
        self._calling.say(b"", TcpFlag.ACK, ack=self._called)

    def _carry(self, speaker: _Side, listener: _Side, data: bytes) -> None:
        view, mss = memoryview(data), speaker.mss
        for at in range(0, len(data), mss):
            flags = TcpFlag.ACK | (TcpFlag.PSH if at + mss >= len(data) else 0)
            speaker.say(view[at : at + mss], flags, ack=listener)
        listener.say(b"", TcpFlag.ACK, ack=speaker)

    def _end(self, speaker: _Side, listener: _Side) -> None:
        if self._is_open and not self._is_lost and not speaker.is_finished:
            speaker.is_finished = True
            speaker.say(b"", TcpFlag.FIN | TcpFlag.ACK, ack=listener)
            listener.say(b"", TcpFlag.ACK, ack=speaker)


class _Side:
    """One end as a sender: its MSS, the sequence number that comes next, and how its segments are framed."""

    def __init__(self, add: Callable[[list[Buffer]], None], source: Address, destination: Address, number: int) -> None:
        self.is_finished = False
        self._add = add
        self._framer = TcpFramer(source, destination)
        self.mss = self._framer.mss
        # Any number does, as long as the same run has the same; so it depends on the ends and the connection alone.
        self.next = crc32(f"{source} {destination} {number}".encode())

    def say(self, payload: Buffer, flags: int, *, options: bytes = b"", ack: _Side | None) -> None:
        """A segment; ack: whose bytes it acknowledges."""
        acknowledgment = ack.next if ack is not None else 0
        headers = self._framer.headers(
            payload, sequence=self.next, acknowledgment=acknowledgment, flags=flags, options=options
        )
        self._add([headers, payload])
        self.next = seq_add(self.next, len(payload) + bool(flags & (TcpFlag.SYN | TcpFlag.FIN)))


def _inner(transport: StreamTransport) -> StreamTransport:
    return transport.inner if isinstance(transport, CapturingStream) else transport


def _first(views: Sequence[Buffer], length: int) -> bytes:
    found = []
    for view in views:
        piece = view[:length]
        found.append(piece)
        length -= len(piece)
        if not length:
            break
    return b"".join(found)


def _syn_options(mss: int) -> bytes:
    return TcpMssOption(mss=mss).encode() + NO_OPERATION + TcpWindowScaleOption(shift=WINDOW_SHIFT).encode()


WINDOW_SHIFT = 14
"""The most that there is (RFC 7323 2.3), so that no window is ever full."""
REFUSED = os.strerror(errno.ECONNREFUSED)
RESET = (os.strerror(errno.ECONNRESET), os.strerror(errno.EPIPE))
