"""Connected kernel sockets, TCP or Unix, as streams."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence

import trio

from transports.datagram import Address, Buffer
from transports.errors import TransportError
from transports.segments import total_bytes


class SocketStream:
    """A stream socket, connected or about to be, which it owns. Implements `transports.stream.StreamTransport`."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        if connected.family in (socket.AF_INET, socket.AF_INET6):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._remote: Address | None = None
        self._failure = ""
        self._is_finished = False

    def connect(self, where: Address | str) -> None:
        """Begin to connect, to an address or a path; until that is done the stream is full and has nothing to read."""
        try:
            number = self._socket.connect_ex(where)
        except OSError as error:  # a path that is too long, which Python finds out itself
            self._failure = str(error)
        else:
            if number not in (0, errno.EINPROGRESS):
                self._failure = os.strerror(number)

    def detach(self) -> socket.socket:
        """The socket, which is the caller's from now on."""
        connected = socket.socket(fileno=self._socket.detach())
        self._is_finished = True
        return connected

    @property
    def failure(self) -> str:
        """Why the connection was lost; empty otherwise."""
        return self._failure

    @property
    def remote(self) -> Address:
        """The peer's address; empty text and 0 without one."""
        if self._remote is None:
            self._remote = _remote_of(self._socket)
        return self._remote

    def fileno(self) -> int:
        """The socket's file descriptor, for select and poll."""
        return self._socket.fileno()

    def send(self, views: Sequence[Buffer]) -> int:
        """Take as much of `views` as the socket has room for; returns bytes. TransportError when finished or closed."""
        if self._is_finished:
            raise TransportError("the stream is finished")
        if self._failure:
            return total_bytes(views)
        try:
            return self._socket.sendmsg(views if len(views) <= MAX_VIEWS else views[:MAX_VIEWS])
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lose(error)
            return total_bytes(views)

    def receive_into(self, views: Sequence[memoryview]) -> int | None:
        """Fill `views` with the next bytes; None when nothing is there, 0 at the end or when the connection is lost."""
        if self._failure:
            return 0
        try:
            if len(views) == 1:
                return self._socket.recv_into(views[0])
            return self._socket.recvmsg_into(views)[0]
        except BlockingIOError:
            return None
        except OSError as error:
            self._lose(error)
            return 0

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


def _remote_of(connected: socket.socket) -> Address:
    try:
        name = connected.getpeername()
    except OSError:
        return NO_ADDRESS
    return (name[0], name[1]) if isinstance(name, tuple) else NO_ADDRESS


NO_ADDRESS: Address = ("", 0)
MAX_VIEWS = 1024
"""UIO_MAXIOV: the most views that one sendmsg takes."""
