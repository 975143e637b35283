"""Kernel connections, TCP and Unix, for a pump: listening, connecting, and one epoll for all of them."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Sequence
from pathlib import Path

import trio

from transports.datagram import Address
from transports.errors import TransportError
from transports.stream import StreamTransport
from transports.stream_socket import SocketStream


class KernelStreams:
    """A `StreamNetwork` of sockets.

    local: numeric address that connections are made from; empty for what the system chooses.
    """

    def __init__(self, *, local: str = "") -> None:
        self._local = local
        self._poller = select.epoll()
        self._streams: dict[int, SocketStream] = {}
        self._registered: dict[int, int] = {}
        """What the poller looks for, by file; nothing is not registered, since it tells of ended connections anyway."""
        self._listening: dict[int, socket.socket] = {}
        self._calling: list[socket.socket] = []
        self._seen: list[tuple[int, int]] | None = None
        self._spare = _spare_file()

    def listen(self, listening: socket.socket) -> None:
        """Take connections of a socket that listens (`tcp_listener`, `unix_listener`), which is ours from now on."""
        listening.setblocking(False)
        self._listening[listening.fileno()] = listening
        self._poller.register(listening.fileno(), select.EPOLLIN)

    def stop_listening(self) -> None:
        """Take no more connections; who tries is refused. Idempotent."""
        for number, listening in self._listening.items():
            self._poller.unregister(number)
            listening.close()
        self._listening.clear()
        self._calling.clear()

    def connect(self, address: Address) -> SocketStream:
        """Begin to connect to a numeric address, or with port 0 to the path of a Unix socket.

        TransportError when `local` or a socket cannot be had; that the peer cannot, shows when the connection is used.
        """
        host, port = address
        family = socket.AF_UNIX if not port else _family(host)
        try:
            connecting = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise TransportError(f"cannot open a socket: {_reason(error)}", errno=error.errno or 0) from error
        if self._local and port:
            _bind(connecting, self._local)
        stream = SocketStream(connecting)
        stream.connect(address if port else host)
        return stream

    def accept(self) -> SocketStream | None:
        """The next connection of whoever `poll` saw at the door."""
        while self._calling:
            try:
                connected, _ = self._calling[-1].accept()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    self._calling.pop()
                    continue
                if not self._turn_away(self._calling[-1]):
                    return None
            else:
                return SocketStream(connected)
        return None

    def _turn_away(self, listening: socket.socket) -> bool:
        # No file is left for a connection. Who waits would keep the poller ready, so he is let in by the file kept for
        # this, and out again.
        if self._spare < 0:
            self._spare = _spare_file()
        if self._spare < 0:
            return False
        os.close(self._spare)
        try:
            listening.accept()[0].close()
        except OSError:
            self._calling.remove(listening)
        self._spare = _spare_file()
        return self._spare >= 0

    def watch(self, transport: StreamTransport, *, reading: bool, writing: bool) -> None:
        """Look for bytes or their end, and for room."""
        assert isinstance(transport, SocketStream)
        events = (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if writing else 0)
        number = transport.fileno()
        self._streams[number] = transport
        self._register(number, events)

    def forget(self, transport: StreamTransport) -> None:
        """Look for nothing there any more."""
        assert isinstance(transport, SocketStream)
        if self._streams.pop(transport.fileno(), None) is not None:
            self._register(transport.fileno(), 0)

    def _register(self, number: int, events: int) -> None:
        before = self._registered.pop(number, 0)
        if events:
            self._registered[number] = events
        if not before and events:
            self._poller.register(number, events)
        elif before and not events:
            self._poller.unregister(number)
        elif before != events:
            self._poller.modify(number, events)

    def poll(self) -> Sequence[StreamTransport]:
        """Which connections have something, in one system call."""
        found = []
        seen, self._seen = self._seen or self._poller.poll(0), None
        for number, _ in seen:
            stream = self._streams.get(number)
            if stream is not None:
                found.append(stream)
            elif number in self._listening and self._listening[number] not in self._calling:
                self._calling.append(self._listening[number])
        return found

    def wait(self, timeout_ns: int | None) -> None:
        """Block the thread until `poll` has something, or for `timeout_ns`; what was seen is what `poll` says next."""
        self._seen = self._poller.poll(None if timeout_ns is None else timeout_ns / 1e9)

    def fileno(self) -> int:
        """Readable when `poll` has something."""
        return self._poller.fileno()

    async def wait_readable(self) -> None:
        """Return when `poll` has something."""
        await trio.lowlevel.wait_readable(self._poller.fileno())

    def close(self) -> None:
        """Stop listening, and forget the connections, which are closed by who has them. Idempotent."""
        if not self._poller.closed:
            self.stop_listening()
            with contextlib.suppress(RuntimeError):  # outside of trio nobody can be waiting
                trio.lowlevel.notify_closing(self._poller.fileno())
            self._poller.close()
            if self._spare >= 0:
                os.close(self._spare)


def tcp_listener(host: str, port: int) -> socket.socket:
    """A socket that listens at a numeric address; port 0 for a free one. TransportError: the address cannot be had."""
    family = _family(host)
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise TransportError(f"cannot listen on {host} port {port}: {_listen_advice(error)}") from error
    return listening


def unix_listener(path: str) -> socket.socket:
    """A socket that listens at a path; one that nobody holds any more is replaced. TransportError: it cannot be had."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abandoned(path):
            Path(path).unlink()
        listening.bind(path)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise TransportError(f"cannot listen at {path}: {_listen_advice(error)}") from error
    return listening


def _is_abandoned(path: str) -> bool:
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def _bind(connecting: socket.socket, local: str) -> None:
    try:
        connecting.bind((local, 0))
    except OSError as error:
        connecting.close()
        raise TransportError(f"cannot connect from {local}: {_reason(error)}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _spare_file() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _listen_advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "it is taken; does something run there already?"
    return _reason(error)


BACKLOG = 128
