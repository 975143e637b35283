"""How libibverbs' examples tell each other where their queue pairs are: 52 bytes of text over TCP, then "done".

The client sends LID:QPN:PSN:GID in hexadecimal with a NUL at the end, the server answers alike, the client confirms.
Programs with several queue pairs send one after the other.
"""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from interop.peers.link import dial, take_call
from interop.peers.terms import PeerError, Terms

DONE = b"done\0"
MESSAGE_BYTES = 52


@dataclass(frozen=True, slots=True)
class Place:
    """A queue pair: number and first PSN, 24 bits each; address of its device, in numeric text form."""

    qpn: int
    psn: int
    address: str

    def encode(self) -> bytes:
        """As text, with its NUL."""
        return f"{0:04x}:{self.qpn:06x}:{self.psn:06x}:{gid_of(self.address).hex()}".encode() + b"\0"

    @classmethod
    def decode(cls, data: bytes) -> Place:
        """From 52 bytes; PeerError when they are something else."""
        match = re.fullmatch(rb"[0-9a-f]{4}:([0-9a-f]{6}):([0-9a-f]{6}):([0-9a-f]{32})\0", data)
        if not match:
            raise PeerError(f"no place of a queue pair: {data!r}")
        return cls(int(match[1], 16), int(match[2], 16), address_of(bytes.fromhex(match[3].decode())))


def gid_of(address: str) -> bytes:
    """The 16 bytes of an address's GID (IBTA annex A17.4.2)."""
    found = ip_address(address)
    return found.packed if isinstance(found, IPv6Address) else bytes(10) + b"\xff\xff" + found.packed


def address_of(gid: bytes) -> str:
    """The address behind a GID, in numeric text form."""
    found = IPv6Address(gid)
    return str(found.ipv4_mapped or found)


def meet(
    terms: Terms, own: Sequence[int], get_ready: Callable[[list[Place], list[Place]], None], *, slots: int = 1
) -> None:
    """Exchange places with the other side. own: numbers of our queue pairs. slots: messages that each side sends.

    get_ready: called with our places and theirs; after it, ours must take what theirs send.
    """
    ours = [Place(qpn, random.getrandbits(24), terms.own) for qpn in own]
    sent = b"".join(place.encode() for place in [*ours, *[Place(0, 0, "::")] * (slots - len(ours))])
    with take_call(terms) if terms.is_server else dial(terms) as stream:
        if terms.is_server:
            theirs = _take_places(stream, slots)
            get_ready(ours, theirs[: len(ours)])
            stream.sendall(sent)
            if exactly(stream, len(DONE)) != DONE:
                raise PeerError("the client does not confirm the exchange")
        else:
            stream.sendall(sent)
            theirs = _take_places(stream, slots)
            get_ready(ours, theirs[: len(ours)])
            stream.sendall(DONE)


def exactly(stream: socket.socket, length: int) -> bytes:
    """`length` bytes; PeerError when the other side ends before."""
    data = b""
    while len(data) < length:
        piece = stream.recv(length - len(data))
        if not piece:
            raise PeerError(f"the other side ended the exchange after {len(data)} of {length} bytes")
        data += piece
    return data


def _take_places(stream: socket.socket, count: int) -> list[Place]:
    return [Place.decode(exactly(stream, MESSAGE_BYTES)) for _ in range(count)]
