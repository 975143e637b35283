"""Messages with file descriptors between two processes of ours: requests, answered before anything else happens.

One end asks and blocks until the other has answered; the other waits under trio. Each message is a JSON object, at most
`MESSAGE_BYTES` long, and may carry descriptors (SCM_RIGHTS), which belong to the receiver.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence

import trio

from transports.control.directory import Json
from transports.errors import TransportError


class RightsEnd:
    """One end of a connection; `pair` makes both."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def fileno(self) -> int:
        """The socket's file descriptor, which a child process inherits by number."""
        return self._socket.fileno()

    def ask(
        self, message: Mapping[str, Json], descriptors: Sequence[int] = (), *, timeout_s: float
    ) -> Mapping[str, Json]:
        """Send a message and block until it is answered. TransportError when that does not happen in time, or ever,
        and when this end is closed.
        """
        try:
            self._socket.settimeout(timeout_s)
            self._send(message, descriptors)
            received = self._socket.recv(MESSAGE_BYTES)
        except TimeoutError as error:
            raise TransportError("the other process does not answer") from error
        except OSError as error:
            raise TransportError(f"the other process is gone: {os.strerror(error.errno or 0).lower()}") from error
        if not received:
            raise TransportError("the other process is gone")
        return _decoded(received)

    def answer(self, message: Mapping[str, Json]) -> None:
        """Answer the message that was received last. TransportError when the other end is gone."""
        try:
            self._send(message, ())
        except OSError as error:
            raise TransportError(f"the other process is gone: {os.strerror(error.errno or 0).lower()}") from error

    async def next(self) -> tuple[Mapping[str, Json], list[int]] | None:
        """The next message and its descriptors; None when the other end is gone."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                received, descriptors, _, _ = socket.recv_fds(
                    self._socket, MESSAGE_BYTES, DESCRIPTORS, socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                continue
            except OSError:
                return None
            return (_decoded(received), list(descriptors)) if received else None

    def close(self) -> None:
        """Close this end; idempotent."""
        self._socket.close()

    def _send(self, message: Mapping[str, Json], descriptors: Sequence[int]) -> None:
        encoded = json.dumps(message).encode()
        if len(encoded) > MESSAGE_BYTES:
            raise TransportError(f"a message of {len(encoded)} bytes is longer than {MESSAGE_BYTES}")
        socket.send_fds(self._socket, [encoded], list(descriptors))


def rights_pair() -> tuple[RightsEnd, RightsEnd]:
    """Two connected ends."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MESSAGE_BYTES)
    return RightsEnd(near), RightsEnd(far)


def rights_end(descriptor: int) -> RightsEnd:
    """The end that a parent process left as an open file."""
    return RightsEnd(socket.socket(fileno=descriptor))


def _decoded(received: bytes) -> Mapping[str, Json]:
    message: Mapping[str, Json] = json.loads(received)
    return message


MESSAGE_BYTES = 96 << 10
DESCRIPTORS = 64
