"""Connected kernel sockets, TCP or Unix, as streams."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Callable, Sequence

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
        self._local: Address | None = None
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
    def local(self) -> Address:
        """This end's address; empty text and 0 without one. Still known when the socket is closed, once asked for."""
        if self._local is None:
            self._local = _address_of(self._socket.getsockname)
        return self._local or NO_ADDRESS

    @property
    def remote(self) -> Address:
        """The peer's address, as with `local`."""
        if self._remote is None:
            self._remote = _address_of(self._socket.getpeername)
        return self._remote or NO_ADDRESS

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

    def abort(self) -> None:
        """Close the socket, and reset the connection when the peer's system does not have everything; idempotent."""
        if self._socket.fileno() >= 0 and self._unsent_bytes():
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def _unsent_bytes(self) -> int:
        """How much the peer has not acknowledged; a Unix socket has nothing on its way."""
        if self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return 0
        try:
            answer = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            return 0
        return int.from_bytes(answer, sys.byteorder)

    def _lose(self, error: OSError) -> None:
        if error.errno == errno.EBADF:
            raise TransportError("the stream is closed", errno=errno.EBADF) from error
        self._failure = os.strerror(error.errno or 0)


def _address_of(ask: Callable[[], object]) -> Address | None:
    """None while there is nothing to tell, as before a connection has come about."""
    try:
        name = ask()
    except OSError:
        return None
    return (name[0], name[1]) if isinstance(name, tuple) else NO_ADDRESS


NO_ADDRESS: Address = ("", 0)
RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: closing discards what is not acknowledged, and says so with RST."""
MAX_VIEWS = 1024
"""UIO_MAXIOV: the most views that one sendmsg takes."""
