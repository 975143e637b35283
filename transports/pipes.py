"""Bytes in order within one process: what memory and simulated streams are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from transports.datagram import Address, Buffer
from transports.errors import TransportError
from transports.segments import total_bytes


class Pipe:
    """One direction of a stream: a bounded buffer that gives its bytes back in pieces of seeded sizes.

    capacity_bytes: how much may be on the way or waiting. rng: cuts what is read at places that no writer chose, as
    networks do; None for no cuts.
    """

    def __init__(self, capacity_bytes: int, rng: random.Random | None) -> None:
        self._capacity_bytes = capacity_bytes
        self._draw = rng.random if rng is not None else None
        self._arrived = bytearray()
        self._travelling_bytes = 0
        self._is_ended = False
        self.is_abandoned = False
        """Whether the reader is gone: what is written goes nowhere."""
        self.is_reset = False
        """Whether the writer took back something that had not arrived."""
        self._is_discarded = False

    @property
    def room_bytes(self) -> int:
        """How much `take` accepts."""
        return self._capacity_bytes - self._travelling_bytes - len(self._arrived)

    @property
    def is_readable(self) -> bool:
        """Whether `read` yields bytes or the end."""
        return bool(self._arrived) or self._is_ended

    def take(self, views: Sequence[Buffer]) -> bytes:
        """Copy as much of `views` as there is room for; it travels until handed to `arrive`."""
        data = b"".join(views)[: self.room_bytes] if total_bytes(views) else b""
        self._travelling_bytes += len(data)
        return data

    def arrive(self, data: bytes) -> None:
        """What was taken reaches the reader."""
        self._travelling_bytes -= len(data)
        if self._is_discarded:
            self.is_reset = True
        else:
            self._arrived += data

    def end(self) -> None:
        """Nothing more will arrive."""
        self._is_ended = True

    def discard(self) -> None:
        """What has not arrived never will."""
        self._is_discarded = True

    def read_into(self, views: Sequence[memoryview]) -> int | None:
        """Fill `views` with the next bytes; None when nothing is there, 0 at the end."""
        if not self._arrived:
            return 0 if self._is_ended else None
        length = min(len(self._arrived), total_bytes(views))
        if self._draw is not None:
            length = 1 + int(self._draw() * length)
        at = 0
        for view in views:
            piece = self._arrived[at : min(at + len(view), length)]
            view[: len(piece)] = piece
            at += len(piece)
        del self._arrived[:length]
        return length


class StreamEnd:
    """One end of a connection made of two pipes, without the waiting: subclasses say how bytes travel.

    outgoing, incoming: this end's directions. The other end holds them the other way round.
    local, remote: addresses of this end and the other, where they have any.
    """

    def __init__(
        self, outgoing: Pipe, incoming: Pipe, *, local: Address = ("", 0), remote: Address = ("", 0)
    ) -> None:
        self._local = local
        self._remote = remote
        self._outgoing = outgoing
        self._incoming = incoming
        self._is_finished = False
        self._is_closed = False
        self._failure = ""

    @property
    def local(self) -> Address:
        """This end's address; empty text and 0 without one."""
        return self._local

    @property
    def remote(self) -> Address:
        """The other end's address; empty text and 0 without one."""
        return self._remote

    @property
    def is_readable(self) -> bool:
        """Whether reading yields bytes or the end."""
        return bool(self._failure) or self._incoming.is_readable

    @property
    def is_writable(self) -> bool:
        """Whether there is room, or nobody who needs any."""
        return bool(self._failure) or self._outgoing.is_abandoned or self._outgoing.room_bytes > 0

    @property
    def failure(self) -> str:
        """Why the connection was lost; empty otherwise."""
        return self._failure

    def send(self, views: Sequence[Buffer]) -> int:
        """Take as much of `views` as there is room for; returns bytes. TransportError when finished or closed."""
        if self._is_finished:
            raise TransportError("the stream is finished")
        if self._outgoing.is_abandoned:
            self.lose("the peer closed the connection")
        if self._failure:
            return total_bytes(views)
        data = self._outgoing.take(views)
        if data:
            self._travel(lambda: self._outgoing.arrive(data))
        return len(data)

    def receive_into(self, views: Sequence[memoryview]) -> int | None:
        """Fill `views` with the next bytes; None when nothing is there, 0 at the end or when the connection is lost."""
        if self._is_closed:
            raise TransportError("the stream is closed")
        length = 0 if self._failure else self._incoming.read_into(views)
        if length:
            self._made_room()
        elif length == 0 and self._incoming.is_reset:
            self.lose("Connection reset by peer")
        return length

    def finish(self) -> None:
        """Send no more; idempotent."""
        if not self._is_finished:
            self._is_finished = True
            self._travel(self._outgoing.end)

    def lose(self, cause: str) -> None:
        """The connection is lost, as seen from this end: a fault plan's doing, or the peer was closed."""
        if not self._failure and not self._is_closed:
            self._failure = cause
            self.notify()

    def close(self) -> None:
        """Send no more and read no more; idempotent."""
        if not self._is_closed:
            self.finish()
            self._is_closed = True
            self._incoming.is_abandoned = True
            self.notify()
            self._made_room()

    def abort(self) -> None:
        """Close, and take back what has not arrived; idempotent."""
        if not self._is_closed:
            self._outgoing.discard()
            self.close()

    def notify(self) -> None:
        """Something changed: whoever waits should look again."""

    def _travel(self, arrive: Callable[[], None]) -> None:
        """Have `arrive` called, in order, when what was just sent reaches the other end."""
        raise NotImplementedError

    def _made_room(self) -> None:
        """Something was read: the other end may send."""
