"""A handshake that stands still, and a peer with its keys who goes on with whatever it likes, in long packets.

    Opening("server", "initial")     the client's first datagram came, and nothing since
    Opening("server", "handshake")   the same, and the client has the server's flight
    Opening("server", "zero_rtt")    the client has a ticket; of its early data nothing came
    Opening("client", "initial")     nothing came of the server
    Opening("client", "handshake")   the server's first datagram came
"""

from __future__ import annotations

import contextlib
from typing import Any

from stacks.quic.connection import Connection
from stacks.quic.events import TicketReceived
from stacks.quic.keys import Opener, Sealer, initial_keys
from stacks.quic.tls import Ticket
from tests.stacks.quic.malicious.stage import ROUND_TRIP_NS, SUITE
from tests.stacks.quic.rig import CLIENT, SECOND_NS, SERVER, Rig, client_configuration, events_of, server_configuration
from transports.datagram import Transmit
from transports.packets import Packet
from wire.errors import WireError
from wire.quic.frames import ConnectionClose, read_frames
from wire.quic.packet import (
    KIND_HANDSHAKE,
    KIND_INITIAL,
    KIND_ZERO_RTT,
    decode_header,
    encode_long_header,
    write_length,
)

KINDS = {"initial": KIND_INITIAL, "handshake": KIND_HANDSHAKE, "zero_rtt": KIND_ZERO_RTT}
LABELS = {
    ("server", "handshake"): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    ("client", "handshake"): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    ("server", "zero_rtt"): "CLIENT_EARLY_TRAFFIC_SECRET",
}
FIRST_NUMBER = 100


class Opening:
    """victim: the connection, None where the server has none. closes: CONNECTION_CLOSE frames of Initial packets."""

    def __init__(
        self, victim: str, level: str, *, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None
    ) -> None:
        self.lines: list[str] = []
        self.is_server = victim == "server"
        self.kind = KINDS[level]
        log: dict[str, Any] = {"key_log": self.lines.append, "cipher_suites": (0x1301,)}
        self.rig = Rig(
            client=client_configuration(**{**log, **(client or {})}),
            server=server_configuration(**{**log, **(server or {})}),
        )
        self.closes: list[ConnectionClose] = []
        self.answers: list[bytes] = []
        self.number = FIRST_NUMBER
        self._passed = {CLIENT: 0, SERVER: 0}
        self._allowed = {CLIENT: 1, SERVER: 99 if level == "handshake" and self.is_server else 0}
        if not self.is_server:
            self._allowed = {CLIENT: 99, SERVER: 1 if level == "handshake" else 0}
        ticket = self._ticket() if level == "zero_rtt" else None
        self._first: bytes = b""
        self.rig.network.hook = self._pass
        self._peer = self.rig.connect(ticket=ticket)
        if level == "zero_rtt":
            self._peer.write(self._peer.open_stream(), b"early")
        self.rig.run(ROUND_TRIP_NS)
        header = decode_header(self._first, 0, len(self._first), 8)
        self._cids = self._find_cids(header.destination_cid, header.source_cid)
        self.victim = self._accepted() if self.is_server else self._peer
        self._sealer, self._opener = self._keys(victim, level, header.destination_cid)

    @property
    def code(self) -> int | None:
        """With which code the victim closed, None while it lives."""
        reason = self.victim.close_reason if self.victim is not None else None
        return None if reason is None or reason.by_peer or reason.is_silent else reason.code

    def packet(
        self, frames: bytes, *, size: int = 1200, token: bytes = b"", reserved: int = 0, number: int | None = None
    ) -> bytes:
        """A long packet of the level with `frames` and PADDING behind them."""
        if number is None:
            number = self.number
            self.number += 1
        buffer = bytearray(size)
        length_offset, number_offset = encode_long_header(buffer, 0, self.kind, 1, *self._cids, token, 4)
        buffer[0] |= reserved << 2
        payload = number_offset + 4
        buffer[number_offset:payload] = number.to_bytes(4, "big")
        buffer[payload : payload + len(frames)] = frames
        if not frames:
            buffer = buffer[: payload + 16]
        write_length(buffer, length_offset, len(buffer) - number_offset)
        self._sealer.seal(memoryview(buffer), [(0, number_offset, 4, number, len(buffer))])
        return bytes(buffer) + bytes(size - len(buffer))

    def send(self, datagram: bytes) -> None:
        """Any datagram, from the peer's address."""
        source, destination = (CLIENT, SERVER) if self.is_server else (SERVER, CLIENT)
        self.rig.network.hook = None
        self.rig.network.send(Transmit([datagram], 0, None, destination), source)
        self.rig.network.hook = self._pass

    def attack(self, frames: bytes, **options: Any) -> int | None:
        """Send a packet, and see what the victim makes of it."""
        self.send(self.packet(frames, **options))
        self.rig.run(ROUND_TRIP_NS)
        return self.code

    def _pass(self, packet: Packet) -> tuple[Packet, ...]:
        source = packet.source
        if not self._first and source == CLIENT:
            self._first = packet.payload
        if (source == SERVER) == self.is_server:
            self.answers.append(packet.payload)
            self._read_initial(packet.payload)
        self._passed[source] += 1
        return (packet,) if self._passed[source] <= self._allowed[source] else ()

    def _read_initial(self, datagram: bytes) -> None:
        """CONNECTION_CLOSE in the Initial packet of a datagram, if there is one."""
        with contextlib.suppress(WireError, AttributeError):
            buffer = bytearray(datagram)
            header = decode_header(buffer, 0, len(buffer), 8)
            if header.kind != KIND_INITIAL:
                return
            place = (0, header.number_offset, header.end)
            (opened,) = self._opener.open_burst(memoryview(buffer), [place], -1)
            if opened is not None:
                frames = (frame for _, frame in read_frames(memoryview(bytes(opened[2]))))
                self.closes += [frame for frame in frames if isinstance(frame, ConnectionClose)]

    def _find_cids(self, destination_cid: bytes, source_cid: bytes) -> tuple[bytes, bytes]:
        """Destination and Source Connection ID of the rogue's packets."""
        if self.is_server:
            return (self._server_cid() or destination_cid), source_cid
        return source_cid, self._server_cid() or b"rogue-id"

    def _server_cid(self) -> bytes:
        """What the server chose, where the client has heard of it."""
        cid = self._peer.peer_ids.handshake_cid
        return cid if self._passed[SERVER] and self._allowed[SERVER] else b""

    def _accepted(self) -> Connection:
        connection = self.rig.server.poll_accepted()
        assert connection is not None
        return connection

    def _keys(self, victim: str, level: str, original: bytes) -> tuple[Sealer, Opener]:
        sealer, opener = initial_keys(1, original, is_client=self.is_server)
        if level != "initial":
            label = LABELS[victim, level]
            secret = next(line.split()[2] for line in reversed(self.lines) if line.startswith(label))
            sealer = Sealer(SUITE, bytes.fromhex(secret), 1)
        return sealer, opener

    def _ticket(self) -> Ticket:
        first, _ = self.rig.establish()
        first.close(now=self.rig.now)
        self.rig.run(10 * SECOND_NS)
        return next(Ticket.from_bytes(event.ticket) for event in events_of(first) if isinstance(event, TicketReceived))
