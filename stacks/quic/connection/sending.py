"""Datagrams out: which spaces have something to say, into which datagrams, and when (RFC 9000 12.2, 13, 14).

    spaces in order -> ACK, then the frame sources of the level -> padding -> sealed bursts of equal datagrams

A burst ends with the first datagram that is shorter than the others, or when the window, the pacer, the
amplification limit or the buffer does. ACKs are not held back by the window; probes (RFC 9002 6.2.4) by nothing but
the amplification limit.
"""

from __future__ import annotations

from stacks.quic.connection.assembly import Assembly
from stacks.quic.connection.buffers import BufferPool
from stacks.quic.connection.building import Building
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.lone_datagrams import PING, LoneDatagrams
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.sending_runs import SendingRuns
from stacks.quic.connection.space import Space
from stacks.quic.connection.states import ConnectionState
from stacks.quic.keys import Sealer
from stacks.quic.levels import (
    LEVEL_INITIAL,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_HANDSHAKE,
    SPACE_INITIAL,
)
from stacks.quic.packet_writer import FrameSource, PacketWriter
from stacks.quic.paths import Path
from transports.datagram import Transmit


class Sending:
    """The outgoing side of one connection. pool: of buffers for bursts, shared by all of an endpoint.

    pacing_due_ns: when the pacer lets the next burst leave, None where it holds nothing back.
    """

    __slots__ = (
        "_application", "_building", "_early_sources", "_lone", "_parts", "_runs", "_sources", "pacing_due_ns",
    )  # fmt: skip

    def __init__(self, parts: Parts, handshake: Handshake, pool: BufferPool) -> None:
        self._parts = parts
        self._building = Building(parts, handshake, pool)
        self._lone = LoneDatagrams(parts, self._building)
        self._runs = SendingRuns(parts)
        self.pacing_due_ns: int | None = None
        self._application = application = parts.spaces[SPACE_APPLICATION]
        self._sources: tuple[FrameSource, ...] = (
            application.crypto_out,
            parts.control,
            parts.local_ids,
            parts.peer_ids,
            parts.datagrams,
            parts.streams,
        )
        self._early_sources: tuple[FrameSource, ...] = (parts.datagrams, parts.streams)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next burst, or None when nothing may leave now."""
        parts = self._parts
        if parts.state >= ConnectionState.CLOSING:
            return self._lone.close(now) if parts.state == ConnectionState.CLOSING and parts.repeater.is_due else None
        for path in parts.paths.with_frames(now):
            transmit = self._lone.on_path(path, now)
            if transmit is not None:
                return transmit
        path = parts.paths.active
        if parts.state == ConnectionState.CONFIRMED and path.is_validated:
            # Before what waits: a connection that has data from its beginning on would never send one otherwise.
            transmit = self._lone.mtu_probe(path, now)
            if transmit is not None:
                return transmit
        return self._burst(path, now)

    # Bursts on the active path

    def _burst(self, path: Path, now: int) -> Transmit | None:
        parts = self._parts
        segment = min(path.datagram_bytes, parts.peer_max_payload_bytes)
        if parts.state == ConnectionState.CONFIRMED and not self._wants(self._application, self._sources, True, now):
            self.pacing_due_ns = path.congestion.end_burst(now, has_more=False)
            parts.recovery.timer.is_blocked = path.budget_bytes() < segment and not parts.is_client
            return None  # what most calls come to
        if not path.is_validated and parts.state == ConnectionState.CONFIRMED and path.budget_bytes() < segment:
            # What little may be sent to an address that is not validated is for its challenges (9.3).
            parts.recovery.timer.is_blocked = not parts.is_client
            return None
        assembly = self._building.assembly()
        count = 0
        if parts.streams.has_frames and path.congestion.may_send(now):
            count = self._runs.extend(assembly, path, segment, MAX_SEGMENTS, now)
        while count < MAX_SEGMENTS and assembly.used_bytes + segment <= MAX_BURST_BYTES:
            room = min(segment, path.budget_bytes())
            length = self._build_datagram(assembly, path, room, now)
            if not length:
                break
            count += 1
            if length < segment:
                break
            if count < MAX_SEGMENTS:
                count += self._runs.extend(assembly, path, segment, MAX_SEGMENTS - count, now)
        congestion = path.congestion
        is_complete = parts.state >= ConnectionState.COMPLETE
        self.pacing_due_ns = congestion.end_burst(now, has_more=self._has_data(), is_complete=is_complete)
        parts.recovery.timer.is_blocked = path.budget_bytes() < segment and not parts.is_client
        return self._building.transmit(assembly, path, segment, count, now)

    def _has_data(self) -> bool:
        """Whether anything waits that the window and the pacer may hold back."""
        for source in self._sources:  # noqa: SIM110 (this is asked for each packet, and `any` takes three times as long)
            if source.has_frames:
                return True
        return False

    def _build_datagram(self, assembly: Assembly, path: Path, room: int, now: int) -> int:
        """Packets of every space that has something to say; the bytes of the datagram, 0 for none."""
        parts = self._parts
        assembly.begin_datagram()
        limit = assembly.used_bytes + room
        may_send = self._has_data() and path.congestion.may_send(now)
        if parts.state < ConnectionState.CONFIRMED:
            for number in (SPACE_INITIAL, SPACE_HANDSHAKE):
                space = parts.spaces[number]
                # DEVIATION: the window does not hold back what the handshake says. Before it is confirmed no probe
                # timeout looks after 1-RTT packets (RFC 9002 6.2.1), which could fill the window for ever.
                if space.sealer is not None and self._wants(space, (space.crypto_out,), True, now):
                    self._build_long(assembly, space, space.level, space.sealer, limit, True, now)
        space = parts.spaces[SPACE_APPLICATION]
        keys = parts.one_rtt
        if keys is not None and keys.can_seal:
            if self._wants(space, self._sources, may_send, now):
                self._build_short(assembly, space, path, limit, may_send, now)
        elif parts.early_sealer is not None and may_send and any(source.has_frames for source in self._early_sources):
            self._build_long(assembly, space, LEVEL_ZERO_RTT, parts.early_sealer, limit, may_send, now)
        return self._finish_datagram(assembly, path, room, now)

    def _wants(self, space: Space, sources: tuple[FrameSource, ...], may_send: bool, now: int) -> bool:
        due_ns = space.received.ack_due_ns
        if (due_ns is not None and due_ns <= now) or space.probes:
            return True
        if may_send:
            for source in sources:
                if source.has_frames:
                    return True
        return False

    def _build_long(
        self,
        assembly: Assembly,
        space: Space,
        level: int,
        sealer: Sealer,
        limit: int,
        may_send: bool,
        now: int,
    ) -> None:
        writer = self._building.begin_long(assembly, space.number, level, sealer, limit=limit)
        if writer is None:
            return
        if level == LEVEL_ZERO_RTT:
            self._write(writer, space, self._early_sources, may_send, now)
        else:
            if space.received.has_frames:
                space.received.write_frames(writer, now)
            if space.probes and not space.crypto_out.has_frames:
                # Each probe says it all: the other may be lost, and a server's first packet needs CRYPTO (17.2.2).
                space.crypto_out.send_again()
            self._write(writer, space, (space.crypto_out,), may_send, now)
        assembly.end_packet()

    def _build_short(
        self, assembly: Assembly, space: Space, path: Path, limit: int, may_send: bool, now: int
    ) -> None:
        writer = self._building.begin_short(assembly, path, limit=limit, now=now)
        if writer is None:
            return
        if space.received.has_frames:
            space.received.write_frames(writer, now)
        self._write(writer, space, self._sources, may_send, now)
        assembly.end_packet()

    def _write(
        self, writer: PacketWriter, space: Space, sources: tuple[FrameSource, ...], may_send: bool, now: int
    ) -> None:
        if may_send or space.probes:
            for source in sources:
                if source.has_frames:
                    source.write_frames(writer, now)
        if space.probes:
            if not writer.is_ack_eliciting:
                writer.put(PING)
            space.probes -= 1

    def _finish_datagram(self, assembly: Assembly, path: Path, room: int, now: int) -> int:
        """Pad where an Initial asks for it (14.1), and note what was sent."""
        packets = assembly.datagram
        if not packets:
            return 0
        first = packets[0]
        is_padded = first.level == LEVEL_INITIAL and (self._parts.is_client or first.is_ack_eliciting)
        return self._building.finish_datagram(
            assembly, path, now, pad_to=min(MIN_INITIAL_BYTES, room) if is_padded else 0
        )


MAX_SEGMENTS = 64
MAX_BURST_BYTES = 65_507
MIN_INITIAL_BYTES = 1200
