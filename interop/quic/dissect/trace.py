"""A capture as the packets that both ends sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from interop.quic.dissect.connection import SeenConnection, SeenPacket
from interop.quic.dissect.datagrams import Point, SeenDatagram, read_capture, sent
from interop.quic.dissect.key_log import Secrets, read_key_logs
from wire.errors import WireError
from wire.quic.packet import (
    KIND_INITIAL,
    KIND_ONE_RTT,
    KIND_RETRY,
    KIND_UNKNOWN,
    KIND_VERSION_NEGOTIATION,
    KIND_ZERO_RTT,
    Header,
    decode_header,
)


@dataclass(slots=True)
class SentDatagram:
    """A datagram as an end sent it, and its packets. trouble: why the rest of it could not be read."""

    seen: SeenDatagram
    packets: list[SeenPacket] = field(default_factory=list)
    trouble: str = ""

    @property
    def is_from_client(self) -> bool:
        """Whether the client sent it."""
        return self.seen.point is Point.CLIENT_SENT


class Trace:
    """datagrams: all, at each point. sent: as the ends sent them, opened. connections: in order of their beginnings."""

    def __init__(self, datagrams: list[SeenDatagram], logs: dict[bytes, Secrets]) -> None:
        self.datagrams = datagrams
        self.connections: list[SeenConnection] = []
        self._logs = logs
        self._by_cid: dict[tuple[bool, bytes], SeenConnection] = {}
        self._lengths: dict[bool, list[int]] = {True: [], False: []}
        self.sent = [self._read(each) for each in sent(datagrams)]

    def packets(self, *kinds: int, is_from_client: bool | None = None) -> Iterator[SeenPacket]:
        """Sent ones of these kinds, of one end or both."""
        for datagram in self.sent:
            if is_from_client is None or datagram.is_from_client is is_from_client:
                yield from (packet for packet in datagram.packets if packet.kind in kinds)

    def _read(self, seen: SeenDatagram) -> SentDatagram:
        found = SentDatagram(seen)
        payload, at = seen.payload, 0
        while any(payload[at:]):  # some fill a datagram up behind its packets
            try:
                header = self._header(payload, at, is_from_client=found.is_from_client)
            except WireError as error:
                found.trouble = str(error)
                break
            packet = SeenPacket(header, found.is_from_client)
            found.packets.append(packet)
            self._open(payload, packet)
            at = header.end
        return found

    def _header(self, payload: bytes, at: int, *, is_from_client: bool) -> Header:
        """Short headers do not say how long their IDs are: the longest that is known is it."""
        if payload[at] & 0x80:
            return decode_header(payload, at, len(payload), 0)
        for length in self._lengths[is_from_client]:
            if (is_from_client, payload[at + 1 : at + 1 + length]) in self._by_cid:
                return decode_header(payload, at, len(payload), length)
        return decode_header(payload, at, len(payload), 0)

    def _open(self, payload: bytes, packet: SeenPacket) -> None:
        header = packet.header
        if header.kind in (KIND_UNKNOWN, KIND_VERSION_NEGOTIATION):
            packet.trouble = f"version {header.version:#x}"
            return
        connection = self._connection(packet)
        if connection is None:
            packet.trouble = "of no connection"
            return
        connection.packets.append(packet)
        if header.kind == KIND_RETRY:
            connection.retried(header.source_cid)
        else:
            connection.open(payload[header.start : header.end], packet)
        if header.is_long and header.kind != KIND_ZERO_RTT:
            connection.cids[packet.is_from_client].add(header.source_cid)
        self._index(connection)

    def _connection(self, packet: SeenPacket) -> SeenConnection | None:
        header = packet.header
        found = self._by_cid.get((packet.is_from_client, header.destination_cid))
        if found is None and packet.is_from_client and header.kind in (KIND_INITIAL, KIND_ZERO_RTT):
            found = SeenConnection(header.version, header.destination_cid, self._logs)
            self.connections.append(found)
        elif found is None and not header.destination_cid and self.connections:
            found = self.connections[-1]  # a client without connection IDs: one connection at a time
        elif found is None and header.kind == KIND_ONE_RTT and self.connections:
            return None
        return found

    def _index(self, connection: SeenConnection) -> None:
        for owner_is_client, cids in connection.cids.items():
            for cid in cids:
                key = (not owner_is_client, cid)
                if cid and self._by_cid.get(key) is not connection:
                    self._by_cid[key] = connection
                    lengths = self._lengths[not owner_is_client]
                    if len(cid) not in lengths:
                        lengths.append(len(cid))
                        lengths.sort(reverse=True)


def read_trace(capture: Path, key_logs: Iterable[Path]) -> Trace:
    """Of a capture of `baremetal link`, with what the ends logged."""
    return Trace(read_capture(capture), read_key_logs(key_logs))
