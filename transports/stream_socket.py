"""Connected kernel sockets, TCP or Unix, as streams."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence

import trio

from transports.datagram import Buffer
from transports.errors import TransportError


class SocketStream:
    """A connected stream socket, which it owns from now on. Implements `transports.stream.StreamTransport`."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        if connected.family in (socket.AF_INET, socket.AF_INET6):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._staging = memoryview(bytearray(STAGING_BYTES))
        self._failure = ""
        self._is_finished = False

    @property
    def failure(self) -> str:
        """Why the connection was lost; empty otherwise."""
        return self._failure

    def fileno(self) -> int:
        """The socket's file descriptor, for select and poll."""
        return self._socket.fileno()

    def send(self, views: Sequence[Buffer]) -> int:
        """Take as much of `views` as the socket has room for; returns bytes. TransportError when finished or closed."""
        if self._is_finished:
            raise TransportError("the stream is finished")
        length = sum(map(len, views))
        if self._failure:
            return length
        try:
            return self._socket.sendmsg(views[:MAX_VIEWS])
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lose(error)
            return length

    def receive(self) -> memoryview | None:
        """The next bytes; None when nothing is there; empty at the end or when the connection is lost."""
        if self._failure:
            return self._staging[:0]
        try:
            return self._staging[: self._socket.recv_into(self._staging)]
        except BlockingIOError:
            return None
        except OSError as error:
            self._lose(error)
            return self._staging[:0]

    def finish(self) -> None:
        """Send no more; idempotent."""
        if not self._is_finished:
            self._is_finished = True
            with contextlib.suppress(OSError):  # lost already: the peer cannot be told
                self._socket.shutdown(socket.SHUT_WR)

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""
        await trio.lowlevel.wait_readable(self._socket)

    async def wait_writable(self) -> None:
        """Return when `send` may take something."""
        await trio.lowlevel.wait_writable(self._socket)

    def close(self) -> None:
        """Close the socket; idempotent. Tasks that wait for it get trio.ClosedResourceError."""
        if self._socket.fileno() >= 0:
            self._is_finished = True
            with contextlib.suppress(RuntimeError):  # outside of trio nobody can be waiting
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def _lose(self, error: OSError) -> None:
        if error.errno == errno.EBADF:
            raise TransportError("the stream is closed", errno=errno.EBADF) from error
        self._failure = os.strerror(error.errno or 0)


STAGING_BYTES = 1 << 17
MAX_VIEWS = 1024
"""UIO_MAXIOV: the most views that one sendmsg takes."""
