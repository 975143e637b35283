"""What a peer is told of the run it takes part in, and how it says that something is wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass


class PeerError(Exception):
    """The other side did not do what the program's exchange asks for, or its data is wrong."""


@dataclass(frozen=True, slots=True)
class Terms:
    """One run of a program.

    own: our address. remote: the server's address; None: we are the server. port: TCP or rdma_cm port.
    size: of a message, in bytes. count: of messages, or of round trips. path_mtu: bytes; None for the largest.
    options: of the program, for those that have several exchanges. meeting: the server's address for TCP, where it is
    not the one for RDMA: theirs listen for it on IPv4 only.
    """

    own: str
    remote: str | None
    port: int
    size: int = 64
    count: int = 10
    path_mtu: int | None = None
    options: frozenset[str] = frozenset()
    meeting: str | None = None

    @property
    def is_server(self) -> bool:
        """Whether the other side comes to us."""
        return self.remote is None


def pattern(number: int, size: int) -> bytes:
    """`size` bytes that differ from one message to the next; the same on every call."""
    return random.Random(number).randbytes(size)


def check_data(what: str, found: bytes | bytearray | memoryview, expected: bytes) -> None:
    """Raise PeerError with the first difference, if there is any."""
    if found == expected:
        return
    if len(found) != len(expected):
        raise PeerError(f"{what}: {len(found)} bytes instead of {len(expected)}")
    place = next(at for at, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other)
    raise PeerError(f"{what}: byte {place} of {len(expected)} is {found[place]:#04x} instead of {expected[place]:#04x}")
