"""A peer that has the keys and writes whatever it likes, its victim, and a bystander at the victim's endpoint.

    Stage(victim=...) -> an honest handshake, after which the peer's host is taken off the network and a `Rogue` sits at
                         its address, with the keys from the key log
    rogue.send(frames) -> victim.state, victim.close_reason; rogue.heard: frames that the victim sent
    stage.bystander_lives(): another connection of the victim's endpoint still moves data
"""

from __future__ import annotations

import random
from typing import Any

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import StreamReadable
from stacks.quic.keys import SUITES, Opener, Sealer, next_secret
from tests.stacks.quic.rig import CLIENT, MILLISECOND_NS, SERVER, Rig, client_configuration, server_configuration
from transports.datagram import Address, Transmit
from transports.packets import Packet
from transports.simulation import Host
from wire.quic.frames import ConnectionClose, Crypto, Frame, Padding, read_frames
from wire.quic.packet import SHORT_FIRST, decode_header

SUITE = SUITES[0x1301]
OTHER_CLIENT, OTHER_SERVER = ("10.0.0.3", 50_003), ("10.0.0.4", 4434)
FIRST_NUMBER = 1000
"""Above all that the honest peer used."""
ROUND_TRIP_NS = 25 * MILLISECOND_NS


class Rogue:
    """1-RTT packets of an end that keeps no rule.

    number: of the next packet. heard: frames of the victim, with their packets' numbers; closes: its CONNECTION_CLOSE
    frames. cid: of the victim, that packets carry. datagrams: sizes of what came, per address.
    """

    def __init__(
        self, rig: Rig, *, at: Address, victim_at: Address, cid: bytes, sending: bytes, receiving: bytes
    ) -> None:
        self.rig = rig
        self.at = at
        self.victim_at = victim_at
        self.cid = cid
        self.number = FIRST_NUMBER
        self.sealer = Sealer(SUITE, sending, 1)
        first = Opener(SUITE, receiving, 1)
        self.openers = [first, Opener(SUITE, next_secret(SUITE, receiving, 1), 1, like=first)]
        self.phase = 0
        self.heard: list[tuple[int, Frame]] = []
        self.closes: list[ConnectionClose] = []
        self.datagrams: list[tuple[Address, bytes]] = []
        self._transports = {at: rig.network.open(at)}

    def packet(
        self,
        frames: bytes,
        *,
        number: int | None = None,
        cid: bytes | None = None,
        reserved: int = 0,
        first_bit: int = SHORT_FIRST,
    ) -> bytes:
        """A protected packet with `frames` as they are. number: the next where None; it may be any."""
        if number is None:
            number = self.number
            self.number += 1
        cid = self.cid if cid is None else cid
        head = bytes((first_bit | self.phase << 2 | reserved << 3 | 3,)) + cid
        buffer = bytearray(head + number.to_bytes(4, "big") + frames + bytes(16))
        self.sealer.seal(memoryview(buffer), [(0, len(head), 4, number, len(buffer))])
        return bytes(buffer)

    def send(self, frames: bytes, **options: Any) -> None:
        """One packet, in a datagram of its own."""
        self.send_datagram(self.packet(frames, **options))

    def send_datagram(self, datagram: bytes, *, source: Address | None = None) -> None:
        """Any bytes, from any address."""
        self.rig.network.send(Transmit([datagram], 0, None, self.victim_at), source or self.at)

    def update_keys(self) -> None:
        """The next key phase for what is sent (RFC 9001 6.1)."""
        self.sealer = Sealer(SUITE, next_secret(SUITE, self.sealer.secret, 1), 1, like=self.sealer)
        self.phase ^= 1

    def listen_at(self, address: Address) -> None:
        """Hear what comes to another address as well."""
        self._transports[address] = self.rig.network.open(address)

    def run(self, for_ns: int = ROUND_TRIP_NS) -> None:
        """Let time pass, and read what the victim sent."""
        self.rig.run(for_ns)
        for address, transport in self._transports.items():
            while (burst := transport.receive()) is not None:
                for start in range(0, len(burst.view), burst.segment_bytes):
                    datagram = bytes(burst.view[start : start + burst.segment_bytes])
                    self.datagrams.append((address, datagram))
                    self._read(bytearray(datagram))

    def all(self, kind: type[Frame]) -> list[Any]:
        """What was heard of one kind, without packet numbers."""
        return [frame for _, frame in self.heard if isinstance(frame, kind)]

    def _read(self, datagram: bytearray) -> None:
        header = decode_header(datagram, 0, len(datagram), 8)
        if header.is_long:
            return
        place = (0, header.number_offset, len(datagram))
        both = [opener.open_burst(memoryview(bytearray(datagram)), [place], -1)[0] for opener in self.openers]
        opened = both[0] or both[1]
        if opened is None:
            return
        number, _, payload = opened
        for _, frame in read_frames(memoryview(bytes(payload))):
            if not isinstance(frame, Padding):
                self.heard.append((number, frame))
            if isinstance(frame, ConnectionClose):
                self.closes.append(frame)


class Stage:
    """victim: "server" or "client". client, server: changes of the configurations. has_bystander: False is faster."""

    def __init__(
        self,
        victim: str,
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        seed: int = 1,
        has_bystander: bool = True,
    ) -> None:
        lines: list[str] = []
        self.rig = rig = Rig(
            seed=seed,
            client=client_configuration(**{"key_log": lines.append, "cipher_suites": (0x1301,), **(client or {})}),
            server=server_configuration(**(server or {})),
        )
        passed: list[Packet] = []
        rig.network.trace = lambda _, what, packet: passed.append(packet) if what == "sent" else None
        self.peer, server_end = rig.establish()
        rig.network.trace = None
        self.victim, self.endpoint = (server_end, rig.server) if victim == "server" else (self.peer, rig.client)
        secrets = {line.split()[0]: bytes.fromhex(line.split()[2]) for line in lines}
        theirs, ours = secrets["CLIENT_TRAFFIC_SECRET_0"], secrets["SERVER_TRAFFIC_SECRET_0"]
        self._bystander = self._make_bystander(victim) if has_bystander else None
        is_server = victim == "server"
        honest = self.peer if is_server else server_end
        cid = honest.path.peer_cid
        rig.network.detach(rig.client_host if is_server else rig.server_host)
        self.rogue = Rogue(
            rig,
            at=CLIENT if is_server else SERVER,
            victim_at=SERVER if is_server else CLIENT,
            cid=cid,
            sending=theirs if is_server else ours,
            receiving=ours if is_server else theirs,
        )
        self.tickets_bytes = self._count_tickets(passed, ours)

    @property
    def code(self) -> int | None:
        """With which code the victim closed; None where it lives, -1 where it ended in silence or by the peer."""
        reason = self.victim.close_reason
        if reason is None:
            return None
        return -1 if reason.by_peer or reason.is_silent else reason.code

    @property
    def is_alive(self) -> bool:
        """Whether the victim still holds the connection open."""
        return self.victim.state == ConnectionState.CONFIRMED

    def attack(self, *payloads: bytes) -> int | None:
        """Send packets, wait for a round trip, and see that the victim's CONNECTION_CLOSE says what it thinks."""
        for payload in payloads:
            self.rogue.send(payload)
        self.rogue.run()
        if self.code is not None and self.code >= 0:
            assert self.rogue.closes, "the victim closed and did not say so"
            assert self.rogue.closes[0].error_code == self.code
        return self.code

    def bystander_lives(self) -> bool:
        """Whether the other connection of the endpoint carries data, both ways."""
        assert self._bystander is not None
        near, far = self._bystander
        stream = near.open_stream()
        near.write(stream, b"ping" * 1000, is_fin=True)
        got = self._collect(far, stream)
        far.write(stream, b"pong" * 1000, is_fin=True)
        return got == b"ping" * 1000 and self._collect(near, stream) == b"pong" * 1000

    def _collect(self, end: Connection, stream: int) -> bytes:
        data = bytearray()
        for _ in range(40):
            self.rogue.run()
            while (event := end.poll_event()) is not None:
                if isinstance(event, StreamReadable) and event.stream_id == stream:
                    data += end.read(stream)
            if end.streams.is_finished(stream):
                break
        return bytes(data)

    def _count_tickets(self, passed: list[Packet], secret: bytes) -> int:
        """Where the CRYPTO stream of the honest server's 1-RTT packets ended."""
        opener, end = Opener(SUITE, secret, 1), 0
        for packet in passed:
            payload = bytearray(packet.payload)
            if packet.source == SERVER and not payload[0] & 0x80:
                (opened,) = opener.open_burst(memoryview(payload), [(0, 9, len(payload))], -1)
                for _, frame in read_frames(opened[2]) if opened is not None else ():
                    if isinstance(frame, Crypto):
                        end = max(end, frame.offset + len(frame.data))
        return end

    def _make_bystander(self, victim: str) -> tuple[Connection, Connection]:
        rig = self.rig
        host: Host
        if victim == "server":
            endpoint = Endpoint(OTHER_CLIENT, rng=random.Random(77))
            host = rig.network.attach(endpoint, OTHER_CLIENT)
            near = endpoint.connect(SERVER, client_configuration(), rig.now)
            accepting = rig.server
        else:
            accepting = Endpoint(OTHER_SERVER, rng=random.Random(78), server=server_configuration())
            rig.network.attach(accepting, OTHER_SERVER)
            host = rig.client_host
            near = rig.client.connect(OTHER_SERVER, client_configuration(), rig.now)
        host.wake()
        rig.run(200 * MILLISECOND_NS)
        far = accepting.poll_accepted()
        assert far is not None
        return near, far
