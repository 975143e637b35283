"""Datagrams as simulated and in-process networks carry them, and the inbox that turns them into bursts again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from transports.counters import DatagramStatistics
from transports.datagram import Address, Burst, Transmit
from transports.segments import MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES, payloads


class Packet:
    """One datagram on its way. Mutable for fault plans; the payload is a copy of its own.

    payload: the UDP payload.
    source, destination, ecn: as on the packet.
    identification: the IPv4 Identification, k for the k-th segment of a transmit as Linux sends it.
    index: its number among all packets of its network, from 0; copies keep it.
    sent_ns: when it was sent.
    """

    __slots__ = ("destination", "ecn", "identification", "index", "payload", "sent_ns", "source")

    def __init__(
        self,
        payload: bytes,
        source: Address,
        destination: Address,
        *,
        ecn: int = 0,
        identification: int = 0,
        index: int = 0,
        sent_ns: int = 0,
    ) -> None:
        self.payload = payload
        self.source = source
        self.destination = destination
        self.ecn = ecn
        self.identification = identification
        self.index = index
        self.sent_ns = sent_ns

    def copy(self, *, payload: bytes | None = None) -> Packet:
        """The same packet once more, perhaps with another payload."""
        return Packet(
            self.payload if payload is None else payload,
            self.source,
            self.destination,
            ecn=self.ecn,
            identification=self.identification,
            index=self.index,
            sent_ns=self.sent_ns,
        )


def packets_of(transmit: Transmit, source: Address, *, first_index: int, now: int) -> list[Packet]:
    """The datagrams of `transmit`, copied, since its views are borrowed only until `sent`."""
    return [
        Packet(
            payload,
            source,
            transmit.destination,
            ecn=transmit.ecn,
            identification=number & 0xFFFF,
            index=first_index + number,
            sent_ns=now,
        )
        for number, payload in enumerate(payloads(transmit))
    ]


class Inbox:
    """Packets that arrived at one address and wait for `take`.

    merges: whether equal packets that follow each other come out as one burst, as with UDP_GRO.
    tells_identification: whether bursts carry the Identification, as frames do and a UDP socket does not.
    limit_bytes: payload bytes that may wait; further packets are dropped, as a full receive buffer does. 0: no limit.
    """

    def __init__(self, *, merges: bool = True, tells_identification: bool = False, limit_bytes: int = 0) -> None:
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._merges = merges
        self._tells_identification = tells_identification
        self._limit_bytes = limit_bytes
        self.overflows = 0
        """Packets dropped because the inbox was full."""

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, packets: Iterable[Packet]) -> None:
        """Add what arrived, in order; empty datagrams are left out."""
        for packet in packets:
            length = len(packet.payload)
            if not length:
                continue
            if self._limit_bytes and self._bytes + length > self._limit_bytes:
                self.overflows += 1
                continue
            self._bytes += length
            self._packets.append(packet)

    def take(self, statistics: DatagramStatistics) -> Burst | None:
        """The next burst, counted in `statistics`; None when nothing waits."""
        if not self._packets:
            return None
        run = self._take_run()
        first = run[0]
        whole = first.payload if len(run) == 1 else b"".join(packet.payload for packet in run)
        self._bytes -= len(whole)
        statistics.received_bursts += 1
        statistics.received_datagrams += len(run)
        statistics.received_bytes += len(whole)
        return Burst(
            memoryview(whole),
            len(first.payload),
            first.source,
            first.destination,
            first.ecn,
            identification=first.identification if self._tells_identification else None,
        )

    def _take_run(self) -> list[Packet]:
        packets = self._packets
        run = [packets.popleft()]
        segment_bytes = total = len(run[0].payload)
        while self._merges and packets and len(run) < MAX_SEGMENTS and len(run[-1].payload) == segment_bytes:
            follower = packets[0]
            total += len(follower.payload)
            if total > MAX_UDP_PAYLOAD_BYTES or not self._may_follow(run, follower):
                break
            run.append(packets.popleft())
        return run

    def _may_follow(self, run: list[Packet], follower: Packet) -> bool:
        # Where the Identification is hidden, unrelated sends of one flow merge, as older kernels did.
        first = run[0]
        return (
            follower.source == first.source
            and follower.destination == first.destination
            and follower.ecn == first.ecn
            and len(follower.payload) <= len(first.payload)
            and (
                not self._tells_identification or follower.identification == (first.identification + len(run)) & 0xFFFF
            )
        )
