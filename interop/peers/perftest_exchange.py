"""How perftest's two sides agree over TCP: each exchange is the client's bytes, then the server's, as many.

    version (16, text) - cycle buffer, cache line (4 each, big-endian) - path MTU (2, its number as text)
    - keys (108, text), several times, also as a barrier - after a bandwidth test, five numbers of 8 bytes - "done"

Follows what version 6.06 (Debian's 4.5+0.17) puts on the wire.
"""

from __future__ import annotations

import random
import re
import socket
import struct
from dataclasses import dataclass

from interop.peers.link import PATIENCE_NS
from interop.peers.rendezvous import Place, address_of, gid_of
from interop.peers.terms import PeerError
from stacks.rdma.cm.parameters import MTU_CODES
from stacks.rdma.sync import Endpoint

VERSION = b"6.06"
CYCLE_BYTES = 4096
"""Addresses of a test go round in a buffer of at least this size,"""
LINE_BYTES = 64
"""in steps of at least this size."""
KEY_BYTES = 108
POLL_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Keys:
    """A queue pair and the memory that the other side may use. reads: READs and atomics that it serves at a time."""

    place: Place
    reads: int
    rkey: int
    address: int

    def encode(self) -> bytes:
        """As text, with its NUL; LID and SRQ number are 0."""
        gid = ":".join(f"{byte:02x}" for byte in gid_of(self.place.address))
        head = f"0000:{self.reads:04x}:{self.place.qpn:06x}:{self.place.psn:06x}:{self.rkey:08x}:{self.address:016x}"
        return f"{head}:{gid}:00000000:".encode() + b"\0"

    @classmethod
    def decode(cls, data: bytes) -> Keys:
        """From 108 bytes; PeerError when they are something else."""
        match = re.fullmatch(KEY_PATTERN, data)
        if not match:
            raise PeerError(f"no keys of perftest: {data!r}")
        reads, qpn, psn, rkey, address = (int(match[number], 16) for number in range(1, 6))
        gid = bytes.fromhex(match[6].decode().replace(":", ""))
        return cls(Place(qpn, psn, address_of(gid)), reads, rkey, address)


class Exchange:
    """One side's end of the TCP connection. While it waits, the device moves on."""

    def __init__(self, endpoint: Endpoint, stream: socket.socket, *, is_server: bool) -> None:
        self._endpoint = endpoint
        self._stream = stream
        self._stream.setblocking(False)
        self._is_server = is_server
        self._pending = b""

    def swap(self, ours: bytes) -> bytes:
        """Give ours, and take as many bytes of theirs, in the order of the roles."""
        if self._is_server:
            theirs = self._take(len(ours))
            self._stream.sendall(ours)
            return theirs
        self._stream.sendall(ours)
        return self._take(len(ours))

    def agree(self, path_mtu: int) -> None:
        """Everything before the keys; PeerError when the other side does it differently."""
        theirs = self.swap(VERSION.ljust(16, b"\0")).rstrip(b"\0")
        if not theirs.startswith(b"6."):
            raise PeerError(f"perftest {theirs.decode(errors='replace')} may speak differently from {VERSION.decode()}")
        for own in (CYCLE_BYTES, LINE_BYTES):
            found = int.from_bytes(self.swap(own.to_bytes(4, "big")), "big")
            if found != own:
                raise PeerError(f"they go round in steps of {found} bytes, not {own}")
        code = self.swap(b"%d\0" % MTU_CODES[path_mtu])
        if code[:1] != b"%d" % MTU_CODES[path_mtu]:
            raise PeerError(f"they have path MTU number {code!r}, not {path_mtu} bytes")

    def keys(self, own: Keys) -> Keys:
        """Tell ours, and learn theirs; also what both sides wait for each other with."""
        return Keys.decode(self.swap(own.encode()))

    def report(self, size: int, count: int) -> None:
        """Exchange the results of a bandwidth test; PeerError when theirs is of another one."""
        found = [self.swap(struct.pack(">Q", number)) for number in (size, count)]
        if not self._is_server:
            found = [struct.pack(">Q", number) for number in (size, count)]
        for _ in range(3):
            self.swap(struct.pack(">d", 1.0))
        if [int.from_bytes(data, "big") for data in found] != [size, count]:
            raise PeerError(f"their report is of {[data.hex() for data in found]}, not of {count} x {size} bytes")

    def close(self, own: Keys) -> None:
        """The last barrier, and the farewell."""
        self.keys(own)
        self._stream.sendall(b"done\0")

    def _take(self, length: int) -> bytes:
        if not self._endpoint.wait_until(lambda: self._has(length), timeout_ns=0):
            for _ in range(PATIENCE_NS // POLL_NS):
                if self._endpoint.wait_until(lambda: self._has(length), timeout_ns=POLL_NS):
                    break
            else:
                raise PeerError(f"the other side is silent, after {len(self._pending)} of {length} bytes")
        taken, self._pending = self._pending[:length], self._pending[length:]
        return taken

    def _has(self, length: int) -> bool:
        try:
            piece = self._stream.recv(4096)
        except BlockingIOError:
            return len(self._pending) >= length
        self._pending += piece
        if not piece and len(self._pending) < length:
            raise PeerError("the other side ended the exchange")
        return len(self._pending) >= length


def own_keys(qpn: int, address: str, *, rkey: int, memory: int, reads: int) -> Keys:
    """Our keys, with a first PSN of our choice. address: of our device. memory: what they may use."""
    return Keys(Place(qpn, random.getrandbits(24), address), reads, rkey, memory)


KEY_PATTERN = (
    rb"[0-9a-f]{4}:([0-9a-f]{4}):([0-9a-f]{6}):([0-9a-f]{6}):([0-9a-f]{8}):([0-9a-f]{16}):"
    rb"((?:[0-9a-f]{2}:){15}[0-9a-f]{2}):[0-9a-f]{8}:\0"
)
