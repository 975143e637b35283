"""Bursts and transmits cut into single packets, and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transports.datagram import Address, Burst, Transmit
from transports.segments import MAX_UDP_PAYLOAD_BYTES, payloads
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES, FlowIcrc


class Piece:
    """One packet on its way through a plan.

    payload: from BTH to ICRC. identification: the IPv4 Identification that its ICRC covers, None where a socket hid it.
    peer: where it comes from or goes to. ecn: of its IP header. not_before_ns: as of a Transmit.
    is_touched: whether a rule acted on it.
    """

    __slots__ = ("ecn", "identification", "is_touched", "not_before_ns", "payload", "peer")

    def __init__(
        self, payload: bytes, peer: Address, *, ecn: int, identification: int | None, not_before_ns: int = 0
    ) -> None:
        self.payload = payload
        self.peer = peer
        self.ecn = ecn
        self.identification = identification
        self.not_before_ns = not_before_ns
        self.is_touched = False

    def copy(self) -> Piece:
        """The same packet once more."""
        piece = Piece(
            self.payload,
            self.peer,
            ecn=self.ecn,
            identification=self.identification,
            not_before_ns=self.not_before_ns,
        )
        piece.is_touched = True
        return piece

    @property
    def opcode(self) -> int:
        """Of the BTH."""
        return self.payload[0]

    @property
    def dest_qp(self) -> int:
        """The queue pair that the packet is for."""
        return int.from_bytes(self.payload[5:8], "big")

    @property
    def psn(self) -> int:
        """Its sequence number, 24 bits."""
        return int.from_bytes(self.payload[9:12], "big")

    @property
    def syndrome(self) -> int:
        """The byte behind the BTH, which in an Acknowledge is the AETH's syndrome."""
        return self.payload[BTH_BYTES]

    @property
    def is_whole(self) -> bool:
        """Whether there is a BTH and something behind it; what is shorter is no business of a plan."""
        return len(self.payload) >= BTH_BYTES + ICRC_BYTES


def pieces_of_burst(burst: Burst) -> list[Piece]:
    """Copies of a burst's packets."""
    whole, size, first = bytes(burst.view), burst.segment_bytes, burst.identification
    return [
        Piece(
            whole[start : start + size],
            burst.source,
            ecn=burst.ecn,
            identification=None if first is None else (first + number) & 0xFFFF,
        )
        for number, start in enumerate(range(0, len(whole), size))
    ]


def pieces_of_transmit(transmit: Transmit) -> list[Piece]:
    """Copies of a transmit's packets, whose Identifications count from 0."""
    return [
        Piece(
            payload,
            transmit.destination,
            ecn=transmit.ecn,
            identification=number,
            not_before_ns=transmit.not_before_ns,
        )
        for number, payload in enumerate(payloads(transmit))
    ]


def bursts_of(pieces: Sequence[Piece], destination: Address, received_ns: int) -> Iterator[Burst]:
    """Neighbours that belong together as bursts again."""
    for group in _groups(pieces, MAX_UDP_PAYLOAD_BYTES // (BTH_BYTES + ICRC_BYTES), counts_up=True):
        first = group[0]
        yield Burst(
            memoryview(b"".join([piece.payload for piece in group])),
            len(first.payload),
            first.peer,
            destination,
            first.ecn,
            received_ns,
            first.identification,
        )


def transmits_of(pieces: Sequence[Piece], flows: Flows, segment_limit: int) -> Iterator[Transmit]:
    """Neighbours that belong together as transmits again, under Identifications that count from 0."""
    for group in _groups(pieces, segment_limit, counts_up=False):
        first = group[0]
        payload = b"".join([flows.renumbered(piece, number) for number, piece in enumerate(group)])
        size = len(first.payload) if len(group) > 1 else 0
        yield Transmit((payload,), size, None, first.peer, first.ecn, first.not_before_ns)


class Flows:
    """ICRC arithmetic towards each peer of one address, the latest ones kept."""

    def __init__(self, address: Address, *, is_inbound: bool) -> None:
        self._address = address
        self._is_inbound = is_inbound
        self._flows: dict[Address, FlowIcrc] = {}

    def of(self, peer: Address) -> FlowIcrc:
        """The flow with `peer`."""
        flow = self._flows.get(peer)
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                self._flows.clear()
            ends = (peer, self._address) if self._is_inbound else (self._address, peer)
            flow = self._flows[peer] = FlowIcrc(*ends)
        return flow

    def sealed(self, piece: Piece) -> bytes:
        """The packet's bytes with the ICRC that they ought to have."""
        icrc = self.of(piece.peer).icrc(piece.payload, piece.identification or 0)
        return piece.payload[:-ICRC_BYTES] + icrc.to_bytes(ICRC_BYTES, "little")

    def identification_of(self, piece: Piece) -> int | None:
        """The Identification under which a packet's ICRC is right; None when there is none."""
        return self.of(piece.peer).identification_of(piece.payload)

    def renumbered(self, piece: Piece, identification: int) -> bytes:
        """The packet's bytes for another Identification; an ICRC that is wrong stays as wrong as it is."""
        payload, flow = piece.payload, self.of(piece.peer)
        if piece.identification == identification or not piece.is_whole:
            return payload
        change = flow.icrc(payload, piece.identification or 0) ^ flow.icrc(payload, identification)
        icrc = int.from_bytes(payload[-ICRC_BYTES:], "little") ^ change
        return payload[:-ICRC_BYTES] + icrc.to_bytes(ICRC_BYTES, "little")


def _groups(pieces: Sequence[Piece], limit: int, *, counts_up: bool) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    total = 0
    for piece in pieces:
        if group and (
            len(group) >= limit
            or total + len(piece.payload) > MAX_UDP_PAYLOAD_BYTES
            or not _may_follow(group, piece, counts_up=counts_up)
        ):
            yield group
            group, total = [], 0
        group.append(piece)
        total += len(piece.payload)
    if group:
        yield group


def _may_follow(group: list[Piece], piece: Piece, *, counts_up: bool) -> bool:
    first, size = group[0], len(group[0].payload)
    if counts_up and first.identification is not None:
        if piece.identification != (first.identification + len(group)) & 0xFFFF:
            return False
    elif piece.identification is None != first.identification is None:
        return False
    return (
        len(group[-1].payload) == size
        and len(piece.payload) <= size
        and (piece.peer, piece.ecn, piece.not_before_ns) == (first.peer, first.ecn, first.not_before_ns)
    )


MAX_FLOWS = 256
