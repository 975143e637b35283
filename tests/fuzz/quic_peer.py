"""A QUIC peer that has the keys and sends any frames, to a server or to a client.

The first byte says who the victim is, what it has in flight, whether others are served afterwards, and whether the same
is done to a victim without shortcuts, which must say the same byte for byte. Then records, each a kind, the length of
what follows in two bytes, and that: frames in a packet, in a run of equal packets, in one with something odd about it;
bulk data with gaps; bytes as they are; the victim's application does something; time passes.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.errors import CRYPTO_ERROR, TransportErrorCode
from stacks.quic.events import StreamReadable
from stacks.runtime import LocalError
from tests.fuzz.quic_frames import frames_to_begin_with
from tests.fuzz.records import changed_records, record, records
from tests.stacks.quic.malicious.stage import Rogue
from tests.stacks.quic.rig import (
    CLIENT,
    MILLISECOND_NS,
    SECOND_NS,
    SERVER,
    Rig,
    client_configuration,
    events_of,
    server_configuration,
)
from transports.datagram import Address, Transmit
from wire.quic.ack_frames import encode_ack
from wire.quic.frames import Ack, Stream

RECORDS_MAX = 40
HELD_MAX = 24 << 20
"""What a victim may hold for its application: three times its connection's window."""
QUIET_NS = 1000 * SECOND_NS


def check(data: bytes) -> None:
    """Attack, and check everything that must hold; raises whatever does not."""
    said = _attack(data, has_shortcuts=True)
    if data and data[0] & 16:
        assert said == _attack(data, has_shortcuts=False), "the shortcuts lead elsewhere"


def _attack(data: bytes, *, has_shortcuts: bool) -> list[tuple[Address, bytes]]:
    """What the victim sent, and where from it was heard."""
    control = (data or b"\0")[0]
    attack = Attack(is_server=not control & 1, is_busy=bool(control & 2), has_shortcuts=has_shortcuts)
    for kind, content in list(records(data[1:]))[:RECORDS_MAX]:
        KINDS[kind % len(KINDS)](attack, content)
        attack.look()
    if control & 12 == 12 and attack.is_server:
        attack.check_that_others_are_served()
    attack.wait_for_the_end()
    return attack.said


class Attack:
    """A handshake in good order; from then on the peer is ours.

    read: how much the victim's application was given. said: the victim's datagrams.
    """

    def __init__(self, *, is_server: bool, is_busy: bool, has_shortcuts: bool) -> None:
        lines: list[str] = []
        self.is_server = is_server
        self.rig = rig = Rig(
            client=client_configuration(key_log=lines.append, cipher_suites=(0x1301,), shortcuts=has_shortcuts),
            server=server_configuration(shortcuts=has_shortcuts),
        )
        client, server = rig.establish()
        self.victim, honest = (server, client) if is_server else (client, server)
        self.endpoint = rig.server if is_server else rig.client
        self.host = rig.server_host if is_server else rig.client_host
        self.read = 0
        self.said: list[tuple[Address, bytes]] = []
        if is_busy:
            # Streams of both ends, acknowledged in part and in part not.
            stream = honest.open_stream()
            honest.write(stream, b"from the peer", is_fin=False)
            for size in (100, 100_000):
                self.victim.write(self.victim.open_stream(), bytes(size))
            rig.run(30 * MILLISECOND_NS)
        secrets = {line.split()[0]: bytes.fromhex(line.split()[2]) for line in lines}
        theirs, ours = secrets["CLIENT_TRAFFIC_SECRET_0"], secrets["SERVER_TRAFFIC_SECRET_0"]
        rig.network.detach(rig.client_host if is_server else rig.server_host)
        self.rogue = Rogue(
            rig,
            at=CLIENT if is_server else SERVER,
            victim_at=SERVER if is_server else CLIENT,
            cid=honest.path.peer_cid,
            sending=theirs if is_server else ours,
            receiving=ours if is_server else theirs,
        )

    # What happens

    def packet(self, frames: bytes) -> None:
        """Frames, in a packet in good order."""
        self.rogue.send(frames[:MAX_FRAMES])

    def odd_packet(self, content: bytes) -> None:
        """The first byte says what is odd; frames follow."""
        odd, frames = (content or b"\0")[0], content[1:MAX_FRAMES]
        number = (None, self.rogue.number + (1 << 20), self.rogue.number - 1, 3)[odd & 3]
        source = (self.rogue.at[0], self.rogue.at[1] + 1) if odd & 4 else None
        if odd & 8:
            self.rogue.update_keys()
        first_bit = 0x40 if not odd & 16 else 0
        packet = self.rogue.packet(frames, number=number, first_bit=first_bit, reserved=3 if odd & 32 else 0)
        if number is not None:
            self.rogue.number = max(self.rogue.number, number + 1)
        self.rogue.send_datagram(packet, source=source)

    def run(self, frames: bytes) -> None:
        """Several packets of the same frames in one burst, as a driver hands them over."""
        packets = [self.rogue.packet(frames[:MAX_FRAMES]) for _ in range(4)]
        burst = Transmit([b"".join(packets)], len(packets[0]), None, self.rogue.victim_at)
        self.rig.network.send(burst, self.rogue.at)

    def bulk(self, content: bytes) -> None:
        """Data of one stream in equal packets: stream, where it begins, how many; a mask of those that are lost."""
        stream, begin, count, lost = (content + bytes(4))[:4]
        packets = []
        for place in range(1 + count % 24):
            frame = Stream(stream & 15, begin * BULK_BYTES + place * BULK_BYTES, bytes(BULK_BYTES))
            packet = self.rogue.packet(frame.encode(is_last=True))
            if not lost >> place % 8 & 1:
                packets.append(packet)
        for burst in itertools.groupby(packets, len):
            same = list(burst[1])
            self.rig.network.send(Transmit([b"".join(same)], len(same[0]), None, self.rogue.victim_at), self.rogue.at)

    def datagram(self, content: bytes) -> None:
        """Bytes as they are."""
        if content:
            self.rogue.send_datagram(content[:MAX_FRAMES])

    def application(self, content: bytes) -> None:
        """The victim's application does something, right or not."""
        what, stream = (content + b"\0\0")[:2]
        with contextlib.suppress(LocalError):
            ACTIONS[what % len(ACTIONS)](self.victim, stream, self.rig.now)
        self.host.wake()

    def time(self, content: bytes) -> None:
        """A millisecond, or twice, or twice that."""
        self.rogue.run(MILLISECOND_NS << ((content or b"\0")[0] & 15))

    # What must hold

    def look(self) -> None:
        """Let the victim answer, take what it has for its application, and check what it says."""
        self.rogue.run(22 * MILLISECOND_NS)
        for event in events_of(self.victim):
            if isinstance(event, StreamReadable) and event.stream_id & 8 == 0:
                # One stream in two is read, the others fill up.
                self.read += len(self.victim.read(event.stream_id))
        self.host.wake()
        assert self.read <= HELD_MAX
        for number, ack in ((number, frame) for number, frame in self.rogue.heard if isinstance(frame, Ack)):
            assert number >= 0
            assert ack.ranges[0][1] < self.rogue.number, "a packet was acknowledged that was not sent"
        reason = self.victim.close_reason
        if reason is not None and not reason.by_peer and not reason.is_silent and not reason.is_application:
            assert reason.code in CODES, reason
        for close in self.rogue.closes:
            assert close.error_code in CODES or close.is_application
        self._forget()

    def check_that_others_are_served(self) -> None:
        """A client comes to the same server."""
        rig = self.rig
        endpoint = Endpoint(OTHER_CLIENT, rng=random.Random(9))
        host = rig.network.attach(endpoint, OTHER_CLIENT)
        other = endpoint.connect(SERVER, client_configuration(), rig.now)
        host.wake()
        stream = other.open_stream()
        other.write(stream, b"hello", is_fin=True)
        host.wake()
        rig.run(2 * SECOND_NS)
        served = rig.server.poll_accepted()
        assert served is not None, "nobody else is served"
        assert served.read(stream) == b"hello"
        other.close(now=rig.now)
        host.wake()
        rig.run(5 * SECOND_NS)
        rig.network.detach(host)

    def wait_for_the_end(self) -> None:
        """The peer says no more: the victim gives up, and nothing of the connection stays."""
        for _ in range(10):
            self.rogue.run(QUIET_NS // 10)
            self._forget()
            if self.victim.state == ConnectionState.CLOSED:
                break
        assert self.victim.state == ConnectionState.CLOSED, "it waits for ever"
        assert self.victim not in self.endpoint.connections

    def _forget(self) -> None:
        self.said += self.rogue.datagrams
        self.rogue.heard.clear()
        self.rogue.datagrams.clear()


def _write(victim: Connection, stream: int, now: int) -> None:
    victim.write(victim.open_stream(is_unidirectional=bool(stream & 1)), bytes(10 << (stream & 15)))


ACTIONS: tuple[Callable[[Connection, int, int], object], ...] = (
    _write,
    lambda victim, stream, now: victim.write(stream & 15, b"some more", is_fin=bool(stream & 16)),
    lambda victim, stream, now: victim.read(stream & 15),
    lambda victim, stream, now: victim.reset_stream(stream & 15, 7, reliable_bytes=stream & 16),
    lambda victim, stream, now: victim.stop_sending(stream & 15, 8),
    lambda victim, stream, now: victim.send_datagram(bytes(stream)),
    lambda victim, stream, now: victim.update_keys(now),
    lambda victim, stream, now: victim.ping(),
    lambda victim, stream, now: victim.close(stream, "enough", now=now),
)
KINDS: tuple[Callable[[Attack, bytes], None], ...] = (
    Attack.packet, Attack.packet, Attack.run, Attack.odd_packet, Attack.datagram, Attack.application, Attack.time,
    Attack.bulk,
)  # fmt: skip
OTHER_CLIENT = ("10.0.0.9", 50_009)
MAX_FRAMES, BULK_BYTES = 1300, 1000
CODES = {*TransportErrorCode, *range(CRYPTO_ERROR, CRYPTO_ERROR + 256)}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Other frames, other order, other kinds."""
    control = int(rng.random() * 32) if rng.random() < 0.3 else (data or b"\0")[0]
    return bytes((control,)) + changed_records(data[1:], rng, kinds=len(KINDS))


def seeds() -> list[bytes]:
    """Inputs to begin with: every frame to both ends, busy and idle, runs of them, and what applications do."""
    frames = frames_to_begin_with()
    found = []
    for number, each in enumerate(frames):
        kind = number % 4
        found.append(bytes((number & 3,)) + record(kind, bytes(kind == 3) + each))
        found.append(bytes((16 | number & 3,)) + record(2, each))
    done = b"".join(record(5, bytes((action, 0x10 | action))) + record(6, b"\4") for action in range(len(ACTIONS) - 1))
    found += [bytes((control,)) + done for control in range(4)]
    found += [b"\x0c" + record(0, frames[1]) + record(5, bytes((8, 1))) + record(0, frames[1])]
    for control in (18, 19):
        found += [bytes((control,)) + record(3, bytes((odd,)) + b"\1") for odd in (1, 2, 4, 8, 16, 32, 63)]
        bulk = record(7, b"\0\0\x14\0") + record(7, b"\0\x15\x14\x12") + record(7, b"\0\x16\1\0")
        found.append(bytes((control,)) + bulk + record(6, b"\5") + record(0, encode_ack([(0, 9)], 5)) + bulk)
    return found
