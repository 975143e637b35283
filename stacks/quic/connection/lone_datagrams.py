"""Datagrams that are sent alone: on other paths, to probe for the MTU, and at the end of a connection."""

from __future__ import annotations

from stacks.quic.connection.building import Building
from stacks.quic.connection.parts import Parts
from stacks.quic.levels import LEVEL_INITIAL, LEVEL_ONE_RTT, SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.paths import Path
from transports.datagram import Transmit


class LoneDatagrams:
    """Of one connection."""

    __slots__ = ("_building", "_parts")

    def __init__(self, parts: Parts, building: Building) -> None:
        self._parts = parts
        self._building = building

    def on_path(self, path: Path, now: int) -> Transmit | None:
        """What has to be on this very path: challenges and responses (RFC 9000 8.2); None where it may not."""
        parts, building = self._parts, self._building
        keys = parts.one_rtt
        if keys is None or not keys.can_seal:
            return None
        if path.congestion.is_full and not path.frames.is_challenge_due:
            return None  # 8.2.2: responses do not wait but for congestion; challenges have timers of their own
        room = min(path.datagram_bytes, path.budget_bytes())
        assembly = building.assembly()
        assembly.begin_datagram()
        writer = building.begin_short(assembly, path, limit=room, now=now)
        if writer is not None:
            path.frames.write_frames(writer, now)
            if path is parts.paths.active and writer.has_frames:
                # 9.3.3: not a probe alone where packets go anyway; elsewhere nothing else, or it were a move.
                received = parts.spaces[SPACE_APPLICATION].received
                if received.has_frames:
                    received.write_frames(writer, now)
                else:
                    writer.put(PING)
        if writer is None or not assembly.end_packet():
            return building.transmit(assembly, path, 0, 0, now)
        # 8.2.1: full size, unless the peer's address is not validated and has not sent enough; then small ones, so that
        # a lost one can be repeated.
        pad_to = MIN_INITIAL_BYTES if room >= MIN_INITIAL_BYTES else 0
        length = building.finish_datagram(assembly, path, now, pad_to=pad_to)
        path.frames.left(length)
        return building.transmit(assembly, path, length, 1, now)

    def mtu_probe(self, path: Path, now: int) -> Transmit | None:
        """A PING with PADDING, of a size that the path may or may not carry (14.4); None when it is not time."""
        building = self._building
        if not path.mtu.is_searching(now) or not path.congestion.may_send(now):
            return None
        size = path.mtu.begin_probe()
        assembly = building.assembly()
        assembly.begin_datagram()
        writer = building.begin_short(assembly, path, limit=size, now=now)
        assert writer is not None
        writer.put(PING, path.mtu.record(size))
        assembly.end_packet()
        length = building.finish_datagram(assembly, path, now, pad_to=size, is_mtu_probe=True)
        path.congestion.end_burst(now, has_more=False, is_complete=False)
        return building.transmit(assembly, path, length, 1, now, is_probe=True)

    def close(self, now: int) -> Transmit | None:
        """CONNECTION_CLOSE at every level that the peer may be able to read (10.2.3)."""
        parts, building = self._parts, self._building
        path, reason = parts.paths.active, parts.close_reason
        assert reason is not None
        parts.repeater.is_due = False
        assembly = building.assembly()
        assembly.begin_datagram()
        limit = min(path.datagram_bytes, path.budget_bytes())
        for number in (SPACE_INITIAL, SPACE_HANDSHAKE):
            space = parts.spaces[number]
            if space.sealer is not None:
                writer = building.begin_long(assembly, number, space.level, space.sealer, limit=limit)
                if writer is not None and writer.put(reason.frame(space.level), is_ack_eliciting=False):
                    assembly.end_packet()
        if parts.one_rtt is not None and parts.one_rtt.can_seal:
            writer = building.begin_short(assembly, path, limit=limit, now=now, is_closing=True)
            if writer is not None and writer.put(reason.frame(LEVEL_ONE_RTT), is_ack_eliciting=False):
                assembly.end_packet()
        if not assembly.datagram:
            return building.transmit(assembly, path, 0, 0, now)
        is_padded = assembly.datagram[0].level == LEVEL_INITIAL and parts.is_client
        length = building.finish_datagram(
            assembly, path, now, pad_to=min(MIN_INITIAL_BYTES, limit) if is_padded else 0
        )
        return building.transmit(assembly, path, length, 1, now)


PING = b"\x01"
MIN_INITIAL_BYTES = 1200
