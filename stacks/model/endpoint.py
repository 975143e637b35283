"""A model sender and its receiver as datagram cores: the same controllers over real links, with the laboratory header.

    SendingEndpoint(sender, to)  --LabData-->  ReceivingEndpoint()
                                 <--LabAck---

Both run under any driver, in virtual time (`transports.simulation`) and over UDP. A driver that comes late does not
slow the sender down: what was due is sent as at the times at which it was due, and its record says those times, of
which rates are sampled. Round-trip times are of the departures that really were, and of arrivals as the transport has
them (`Burst.received_ns`), at both ends. Whoever judges a run has the lateness of each departure (`on_departure`).

Time never goes back for a sender: what comes before something it was told already is as of that moment.

Sizes are of whole IP packets, as the models count: a packet of 1,500 bytes is a datagram of 1,472. Left out: any
handshake; a receiver takes whatever comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from stacks.model.packets import AckPacket, DataPacket
from stacks.model.receiver import Receiver, ReceiverConfig
from stacks.model.sender import Sender
from transports.datagram import Address, Burst, Transmit
from transports.segments import MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES
from wire.errors import WireError
from wire.lab import ACK, DATA, LabAck, LabAckHead, LabData, lab_kind


class SendingEndpoint:
    """A `DatagramCore` around a sender.

    sender: written to by its owner. to: where the receiver is. flow: tells this flow from others of the same address.
    bad_packets: arrived, and were no acknowledgement of this flow that makes sense. on_departure: called with by how
    many nanoseconds some packets leave after they were due, and how many they are (`Lateness.record` of a relay).
    """

    def __init__(self, sender: Sender, to: Address, *, flow: int = 0) -> None:
        self.sender = sender
        self.bad_packets = 0
        self.on_departure: Callable[[int, int], object] | None = None
        self._told_ns = 0
        self._to = to
        self._flow = flow
        self._overhead_bytes = overhead_bytes(to)
        self._ready: deque[Transmit] = deque()

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Acknowledgements arrive."""
        arrived_ns = max(min(burst.received_ns or now, now), self._told_ns)
        self._catch_up(arrived_ns, now)
        self._told_ns = arrived_ns
        for start in range(0, len(burst.view), burst.segment_bytes):
            ack = self._parse(burst.view[start : start + burst.segment_bytes])
            if ack is None:
                self.bad_packets += 1
            else:
                self.sender.handle_ack(ack, arrived_ns)

    def handle_timeout(self, now: int) -> None:
        """Whatever is due."""
        self._catch_up(now, now)

    def poll_transmit(self, now: int) -> Transmit | None:
        """Packets that may leave; equal ones in one transmit."""
        if not self._ready:
            self._catch_up(now, now)
            self._send(max(now, self._told_ns), now)
        return self._ready.popleft() if self._ready else None

    def poll_deadline(self) -> int | None:
        """When the sender wants to be asked again."""
        return self.sender.poll_deadline()

    def sent(self, transmit: Transmit) -> None:
        """Nothing waits for that."""

    def _catch_up(self, until_ns: int, now: int) -> None:
        """Do what was due by `until_ns`, each at its time; the oldest of a long pause at its end."""
        sender = self.sender
        due_ns = sender.poll_deadline()
        for _ in range(CATCH_UP):
            if due_ns is None or due_ns > until_ns:
                return
            due_ns = max(due_ns, until_ns - PAUSE_NS, self._told_ns)
            sender.handle_timeout(due_ns)
            self._send(due_ns, now)
            due_ns = sender.poll_deadline()

    def _send(self, due_ns: int, now: int) -> None:
        self._told_ns = due_ns
        packets = self.sender.poll_packets(due_ns)
        if packets:
            self._note_departure(packets, max(now - due_ns, 0))
        start = 0
        while start < len(packets):
            first = packets[start]
            step = max(first.size_bytes - self._overhead_bytes, LabData.SIZE)
            room = min(MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES // step)
            end = start + 1
            while end < len(packets) and end - start < room and _is_like(packets[end], first):
                end += 1
            self._ready.append(self._transmit(packets[start:end], step))
            start = end

    def _note_departure(self, packets: Sequence[DataPacket], late_ns: int) -> None:
        if late_ns:
            for packet in packets:
                packet.late_ns = late_ns
        if self.on_departure is not None:
            self.on_departure(late_ns, len(packets))

    def _transmit(self, packets: Sequence[DataPacket], step: int) -> Transmit:
        buffer, pack, flow = bytearray(step * len(packets)), LabData.PACK, self._flow
        for index, packet in enumerate(packets):
            pack(buffer, index * step, MAGIC, VERSION, DATA, flow, packet.number, packet.segment, packet.floor)
        return Transmit([buffer], step if len(packets) > 1 else 0, None, self._to, packets[0].ecn)

    def _parse(self, datagram: memoryview) -> AckPacket | None:
        if lab_kind(datagram) != ACK:
            return None
        try:
            ack = LabAck.decode(datagram)
        except WireError:
            return None
        if ack.head.flow != self._flow or not _are_legal(ack.ranges, self.sender.sent_packets):
            return None
        return AckPacket(ack.ranges, ack.head.ce_packets, ack.head.delay_ns, len(datagram) + self._overhead_bytes)


class ReceivingEndpoint:
    """A `DatagramCore` that receives any number of flows.

    receivers: by address and flow; a flow beyond `flows` takes the place of the oldest. overhead_bytes: of each packet,
    what counts as headers (`Sender.overhead_bytes`). bad_packets: arrived, and were no data.
    """

    def __init__(
        self, config: ReceiverConfig | None = None, *, flows: int = 256, overhead_bytes: int = 0
    ) -> None:
        self.receivers: dict[tuple[Address, int], Receiver] = {}
        self.bad_packets = 0
        self._config = config
        self._overhead_bytes = overhead_bytes
        self._flows = flows
        self._ready: deque[Transmit] = deque()

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Data arrives."""
        source, step, ecn = burst.source, burst.segment_bytes, burst.ecn
        size_bytes = overhead_bytes(source)
        arrived_ns = min(burst.received_ns or now, now)
        for start in range(0, len(burst.view), step):
            datagram = burst.view[start : start + step]
            if lab_kind(datagram) != DATA or len(datagram) < LabData.SIZE:
                self.bad_packets += 1
                continue
            header = LabData.decode(datagram)
            packet = DataPacket(header.number, header.segment, len(datagram) + size_bytes)
            packet.floor = header.floor
            packet.ecn = ecn
            flow = source, header.flow
            receiver = self.receivers.get(flow)
            if receiver is None:
                receiver = self._accept(flow)
            ack = receiver.handle_packet(packet, arrived_ns)
            if ack is not None:
                # It leaves now, whenever the packet came.
                ack.delay_ns += now - arrived_ns
                self._send(flow, ack)

    def handle_timeout(self, now: int) -> None:
        """Acknowledgements that were put off."""
        for flow, receiver in self.receivers.items():
            ack = receiver.handle_timeout(now)
            if ack is not None:
                self._send(flow, ack)

    def poll_transmit(self, now: int) -> Transmit | None:  # noqa: ARG002
        """The next acknowledgement."""
        return self._ready.popleft() if self._ready else None

    def poll_deadline(self) -> int | None:
        """When an acknowledgement that was put off is due."""
        due = [due_ns for each in self.receivers.values() if (due_ns := each.ack_due_ns) is not None]
        return min(due, default=None)

    def sent(self, transmit: Transmit) -> None:
        """Nothing waits for that."""

    def _accept(self, flow: tuple[Address, int]) -> Receiver:
        if len(self.receivers) >= self._flows:
            del self.receivers[next(iter(self.receivers))]
        receiver = self.receivers[flow] = Receiver(self._config, overhead_bytes=self._overhead_bytes)
        return receiver

    def _send(self, flow: tuple[Address, int], ack: AckPacket) -> None:
        head = LabAckHead(flow=flow[1], ce_packets=ack.ce_packets, delay_ns=min(ack.delay_ns, 0xFFFFFFFF))
        self._ready.append(Transmit([LabAck(head, ack.ranges).encode()], 0, None, flow[0]))


def overhead_bytes(address: Address) -> int:
    """What IP and UDP add to a datagram to or from that address."""
    return 48 if ":" in address[0] else 28


def _is_like(packet: DataPacket, first: DataPacket) -> bool:
    return packet.size_bytes == first.size_bytes and packet.ecn == first.ecn


def _are_legal(ranges: Sequence[tuple[int, int]], sent: int) -> bool:
    """Whether ranges fall, do not touch, and speak only of what was sent."""
    above = sent
    for first, last in ranges:
        if not first <= last < above:
            return False
        above = first - 1
    return bool(ranges)


MAGIC, VERSION = LabData().magic, LabData().version
CATCH_UP = 1000
"""Deadlines that one call makes up for, so that it ends."""
PAUSE_NS = 20_000_000
"""What a driver may be late without the sender noticing."""
