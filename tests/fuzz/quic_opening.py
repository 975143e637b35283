"""Any beginning of a QUIC connection: what a server hears from a stranger, and a client instead of its server.

Keys of Initial packets follow from a connection ID that everyone sees, so that anyone can write such packets. The first
byte says who the victim is, which version is spoken, whether the server wants a Retry, and whether others are served
afterwards. Then records: frames in an Initial packet, with something odd about it, bytes as they are, long packets
whose keys nobody has, Retry, Version Negotiation; time passes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.errors import CRYPTO_ERROR, TransportErrorCode
from stacks.quic.keys import Sealer, initial_keys, retry_tag
from tests.fuzz.quic_frames import changed_frames
from tests.fuzz.records import changed_records, record, records
from tests.stacks.quic.rig import (
    CLIENT,
    MILLISECOND_NS,
    SECOND_NS,
    SERVER,
    Rig,
    client_configuration,
    server_configuration,
)
from transports.datagram import Transmit
from wire.errors import WireError
from wire.quic import packet as p
from wire.quic.frames import ConnectionClose, Crypto, Padding, Ping, Stream, read_frames

RECORDS_MAX = 30
ORIGINAL_CID = b"original"
OTHER_CLIENT = ("10.0.0.9", 50_009)
CODES = {*TransportErrorCode, *range(CRYPTO_ERROR, CRYPTO_ERROR + 256)}


def check(data: bytes) -> None:
    """Say all that, and check everything that must hold; raises whatever does not."""
    control = (data or b"\0")[0]
    stranger = Stranger(
        is_server=not control & 1, version=p.VERSION_2 if control & 2 else p.VERSION_1, is_retrying=bool(control & 4)
    )
    for kind, content in list(records(data[1:]))[:RECORDS_MAX]:
        KINDS[kind % len(KINDS)](stranger, content)
        stranger.run(22 * MILLISECOND_NS)
    if control & 24 == 24 and stranger.is_server:
        stranger.check_that_others_are_served()
    stranger.wait_for_the_end()


class Stranger:
    """is_server: whether the victim is. said, heard: bytes to and from the victim. token: of the last Retry."""

    def __init__(self, *, is_server: bool, version: int, is_retrying: bool) -> None:
        self.is_server = is_server
        self.version = version
        self.rig = Rig(
            client=client_configuration(initial_version=version), server=server_configuration(is_retrying=is_retrying)
        )
        here, self.victim_at = (CLIENT, SERVER) if is_server else (SERVER, CLIENT)
        self.here = here
        self.rig.network.detach(self.rig.client_host if is_server else self.rig.server_host)
        self.transport = self.rig.network.open(here)
        self.said = self.heard = 0
        self.token = b""
        self.numbers = 0
        self.original_cid, self.cid = ORIGINAL_CID, ORIGINAL_CID
        self.is_validated = False
        self.victims: list[Connection] = []
        if not is_server:
            self.victims.append(self.rig.connect())
            self.run(22 * MILLISECOND_NS)
        self.sealer = self._sealer(version)

    def initial(self, frames: bytes) -> None:
        """An Initial packet in good order."""
        self._send(self._initial(frames))

    def odd_initial(self, content: bytes) -> None:
        """The first byte says what is odd; frames follow."""
        odd, frames = (content or b"\0")[0], content[1:]
        if odd & 1:
            # The other version, whose keys follow from the same connection ID.
            self.version = p.VERSION_1 + p.VERSION_2 - self.version
            self.sealer = self._sealer(self.version)
        cid = (self.cid, self.original_cid, b"", bytes(20))[odd >> 1 & 3]
        token = self.token if odd & 8 else b"some token" if odd & 16 else b""
        self.is_validated = self.is_validated or bool(token and token == self.token)
        packet = self._initial(frames, cid=cid, token=token, pad=0 if odd & 32 else 1200)
        if odd & 64:
            # Two in a datagram.
            packet = self._initial(frames, cid=cid, token=token, pad=0) + packet
        self._send(packet[:1400])

    def datagram(self, content: bytes) -> None:
        """Bytes as they are."""
        self._send(content[:1400])

    def padded_datagram(self, content: bytes) -> None:
        """And as long as an Initial packet's datagram must be."""
        self._send(content[:1400].ljust(1200, b"\0"))

    def sealed_by_nobody(self, content: bytes) -> None:
        """A 0-RTT or Handshake packet, which may be kept until there are keys."""
        kind = p.KIND_ZERO_RTT if content[:1] < b"\x80" else p.KIND_HANDSHAKE
        self._send(self._long(kind, content[:1100].ljust(30, b"\0"), b"")[0])

    def retry(self, token: bytes) -> None:
        """A Retry, with the right tag."""
        packet = p.encode_retry(self.version, self._destination(), b"after retry", token[:1000])
        self._send(packet + retry_tag(self.version, self.original_cid, packet))
        if not self.is_server:
            # Keys follow from the new connection ID, where the client took it.
            self.original_cid = b"after retry" if token else self.original_cid
            self.sealer = self._sealer(self.version)

    def negotiation(self, content: bytes) -> None:
        """Version Negotiation."""
        versions = [int.from_bytes(content[at : at + 4], "big") for at in range(0, len(content) & ~3, 4)]
        self._send(p.encode_version_negotiation(self._destination(), self.cid, versions[:100]))

    def time(self, content: bytes) -> None:
        """A millisecond, or twice, or twice that."""
        self.run(MILLISECOND_NS << ((content or b"\0")[0] & 15))

    # What must hold

    def run(self, for_ns: int) -> None:
        """Let time pass, take what the victim says, and check it."""
        self.rig.run(for_ns)
        while (burst := self.transport.receive()) is not None:
            for start in range(0, len(burst.view), burst.segment_bytes):
                self._hear(bytearray(burst.view[start : start + burst.segment_bytes]))
        while (victim := self.rig.server.poll_accepted()) is not None:
            self.victims.append(victim)
        if self.is_server and not self.is_validated:
            assert self.heard <= 3 * self.said, "more than three times what came"  # RFC 9000 8.1
        for victim in self.victims:
            reason = victim.close_reason
            if reason is not None and not reason.by_peer and not reason.is_silent:
                assert reason.code in CODES, reason
            assert victim.state < ConnectionState.CONFIRMED or victim.state > ConnectionState.CONFIRMED

    def check_that_others_are_served(self) -> None:
        """A client comes to the same server."""
        rig = self.rig
        rig.network.attach(endpoint := Endpoint(OTHER_CLIENT, rng=random.Random(9)), OTHER_CLIENT)
        other = endpoint.connect(SERVER, client_configuration(), rig.now)
        stream = other.open_stream()
        other.write(stream, b"hello", is_fin=True)
        self.rig.run(2 * SECOND_NS)
        served = [data for each in rig.server.connections if (data := each.read(stream))]
        assert served == [b"hello"], "nobody else is served"
        other.close(now=rig.now)
        self.rig.run(5 * SECOND_NS)
        while self.rig.server.poll_accepted() is not None:
            pass

    def wait_for_the_end(self) -> None:
        """Nobody says more: victims give up, and nothing stays."""
        for _ in range(20):
            self.run(10 * SECOND_NS)
        endpoint = self.rig.server if self.is_server else self.rig.client
        assert endpoint.connections == (), "it waits for ever"
        for victim in self.victims:
            assert victim.state == ConnectionState.CLOSED

    # Packets

    def _hear(self, datagram: bytearray) -> None:
        self.heard += len(datagram)
        try:
            header = p.decode_header(datagram, 0, len(datagram), 8)
        except WireError:
            return  # a stateless reset may look like anything
        if header.kind == p.KIND_RETRY:
            # Keys follow from the server's connection ID now.
            self.token, self.cid = p.decode_retry(bytes(datagram)).token, header.source_cid
            self.original_cid = self.cid
            self.sealer = self._sealer(self.version)
        elif header.is_long and not self.is_server and self.cid == ORIGINAL_CID:
            self.original_cid, self.cid = header.destination_cid, header.destination_cid
            self.client_cid = header.source_cid
        elif header.kind == p.KIND_INITIAL and self.is_server:
            self.cid = header.source_cid

    def _sealer(self, version: int) -> Sealer:
        return initial_keys(version, self.original_cid, is_client=self.is_server)[0]

    def _destination(self) -> bytes:
        return self.cid if self.is_server else self.client_cid

    def _initial(self, frames: bytes, *, cid: bytes | None = None, token: bytes = b"", pad: int = 1200) -> bytes:
        payload = frames[:1100] or b"\0"
        overhead = 7 + 2 * 20 + 2 + 2 + len(token) + 2 + 4 + 16
        payload = payload.ljust(max(4, pad - overhead + 40), b"\0") if pad else payload.ljust(4, b"\0")
        packet, number_offset = self._long(p.KIND_INITIAL, bytes(4) + payload + bytes(16), token, cid)
        number = self.numbers = self.numbers + 1
        buffer = bytearray(packet)
        buffer[number_offset : number_offset + 4] = number.to_bytes(4, "big")
        self.sealer.seal(memoryview(buffer), [(0, number_offset, 4, number, len(buffer))])
        return bytes(buffer)

    def _long(self, kind: int, rest: bytes, token: bytes, cid: bytes | None = None) -> tuple[bytes, int]:
        buffer = bytearray(100 + len(token))
        destination = self._destination() if cid is None else cid
        # The hello says which connection ID it comes with.
        source = client_source_cid() if self.is_server else self.cid
        length_offset, at = p.encode_long_header(buffer, 0, kind, self.version, destination, source, token, 4)
        p.write_length(buffer, length_offset, len(rest))
        return bytes(buffer[:at]) + rest, at

    def _send(self, datagram: bytes) -> None:
        if datagram:
            self.said += len(datagram)
            self.rig.network.send(Transmit([datagram], 0, None, self.victim_at), self.here)


KINDS: tuple[Callable[[Stranger, bytes], None], ...] = (
    Stranger.initial, Stranger.initial, Stranger.odd_initial, Stranger.datagram, Stranger.padded_datagram,
    Stranger.sealed_by_nobody, Stranger.retry, Stranger.negotiation, Stranger.time,
)  # fmt: skip


@cache
def hellos() -> dict[tuple[bool, int], bytes]:
    """What an honest client, and an honest server, says first in CRYPTO frames, by version: as in a packet trace."""
    found = {}
    for version in (p.VERSION_1, p.VERSION_2):
        rig = Rig(client=client_configuration(initial_version=version))
        packets: list[bytes] = []
        rig.network.trace = lambda now, what, packet: packets.append(bytes(packet.payload))  # noqa: B023
        rig.connect()
        rig.run(25 * MILLISECOND_NS)
        original = p.decode_header(packets[0], 0, len(packets[0]), 8).destination_cid
        for is_client in (True, False):
            found[is_client, version] = _crypto_of(packets, original, is_client=is_client)
    return found


@cache
def client_source_cid() -> bytes:
    """Source Connection ID of the client whose hello is said again: the same for a seed."""
    rig = Rig()
    rig.network.detach(rig.server_host)
    listening = rig.network.open(SERVER)
    rig.connect()
    rig.run(15 * MILLISECOND_NS)
    burst = listening.receive()
    assert burst is not None
    return p.decode_header(burst.view, 0, len(burst.view), 8).source_cid


def _crypto_of(packets: list[bytes], original: bytes, *, is_client: bool) -> bytes:
    for packet in packets:
        buffer = bytearray(packet)
        header = p.decode_header(buffer, 0, len(buffer), 8)
        if header.kind == p.KIND_INITIAL and (header.destination_cid == original) == is_client:
            place = (0, header.number_offset, header.end)
            # The server may have chosen the other version.
            opener = initial_keys(header.version, original, is_client=not is_client)[1]
            opened = opener.open_burst(memoryview(buffer), [place], -1)[0]
            assert opened is not None
            frames = read_frames(memoryview(bytes(opened[2])))
            return b"".join(frame.encode() for _, frame in frames if isinstance(frame, Crypto))
    raise AssertionError("nobody said hello")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Other frames, other order, other kinds."""
    control = int(rng.random() * 32) if rng.random() < 0.3 else (data or b"\0")[0]
    return bytes((control,)) + changed_records(data[1:], rng, kinds=len(KINDS), change=_changed)


def _changed(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3 or len(content) < 100:
        return changed_frames(content, rng)
    # A hello: one byte, or a few, deep in it.
    changed = bytearray(content)
    for _ in range(1 + int(rng.random() * 4)):
        value = (0, 1, 0x39, 0x40, 0xFF, int(rng.random() * 256))[int(rng.random() * 6)]
        changed[int(rng.random() * len(changed))] = value
    return bytes(changed)


def seeds() -> list[bytes]:
    """Inputs to begin with: hellos whole and in pieces, Retry and Version Negotiation to both ends."""
    found = []
    for control in range(8):
        hello = hellos()[not control & 1, p.VERSION_2 if control & 2 else p.VERSION_1]
        head = bytes((control | 24,))
        crypto = hello[hello.index(b"\x06") :]
        [(_, whole), *_] = read_frames(memoryview(crypto))
        assert isinstance(whole, Crypto)
        pieces = [Crypto(at, whole.data[at : at + 90]).encode() for at in range(0, len(whole.data), 90)]
        found.append(head + record(0, hello))
        found.append(head + record(0, hello) + record(2, b"\x08" + hello) + record(8, b"\x09"))
        found.append(head + b"".join(record(0, piece) for piece in pieces[::-1]))
        found += [head + record(2, bytes((odd,)) + hello) for odd in (1, 2, 4, 6, 16, 32, 64, 72)]
        found.append(head + record(5, b"\0" * 60) + record(5, b"\xff" * 60) + record(0, hello))
        found.append(head + record(6, b"token") + record(0, hello) + record(6, b"another"))
        found.append(head + record(7, p.VERSION_2.to_bytes(4, "big") + b"\x1a\x2a\x3a\x4a") + record(0, hello))
        found.append(head + record(3, b"\x40" * 40) + record(4, b"\xc0\x0a\x1a\x2a\x3a\x03abc\x04defg"))
        for frame in (Ping(), ConnectionClose(0, b""), Stream(0, 0, b"x"), Padding(9)):
            found.append(head + record(0, hello) + record(0, frame.encode()))
    return found
