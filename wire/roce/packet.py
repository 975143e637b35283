"""A RoCE packet taken apart and put together again, for tools and tests; the data path does this by the burst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from wire.errors import WireError
from wire.layout import Header
from wire.roce.headers_codec import Bth
from wire.roce.icrc import ICRC_SIZE
from wire.roce.opcodes import OPCODES, OpcodeInfo

AnyHeader = TypeVar("AnyHeader", bound=Header)


@dataclass(frozen=True, slots=True)
class RocePacket:
    """One packet from BTH to ICRC.

    headers: the extended headers, in wire order. payload: without the padding. padding: 0 to 3 bytes, zeros from an
    honest sender. icrc: as stored, not checked.
    """

    bth: Bth
    info: OpcodeInfo
    headers: tuple[Header, ...]
    payload: bytes
    padding: bytes
    icrc: int

    def find(self, kind: type[AnyHeader]) -> AnyHeader | None:
        """The extended header of one kind, or None when the packet has none."""
        return next((header for header in self.headers if isinstance(header, kind)), None)

    def fields(self) -> dict[str, int | bytes]:
        """Every header field by name, such as "Bth.psn", in wire order; for comparison with other decoders."""
        headers = (self.bth, *self.headers)
        return {f"{type(one).__name__}.{name}": value for one in headers for name, value in one.as_dict().items()}

    def encode(self) -> bytes:
        """The same bytes again; WireError when a field is out of range."""
        headers = b"".join(header.encode() for header in (self.bth, *self.headers))
        return headers + self.payload + self.padding + self.icrc.to_bytes(ICRC_SIZE, "little")


def parse_packet(udp_payload: bytes | bytearray | memoryview) -> RocePacket:
    """Take a UDP payload (or what follows a GRH) apart; it must end with the ICRC.

    Raises WireError when the opcode is unknown or the bytes end before the headers, padding and ICRC do. Nothing else
    is judged.
    """
    bth = Bth.decode(udp_payload)
    info = OPCODES[bth.opcode]
    if info is None:
        raise WireError(f"unknown opcode {bth.opcode:#04x}", format="Bth", field="opcode")
    headers: list[Header] = []
    offset = Bth.SIZE
    for kind in info.headers:
        headers.append(kind.decode(udp_payload, offset))
        offset += kind.SIZE
    end = len(udp_payload) - ICRC_SIZE - bth.pad_count
    if end < offset:
        raise WireError("ends within its padding or ICRC", format="RocePacket", offset=offset)
    return RocePacket(
        bth,
        info,
        tuple(headers),
        payload=bytes(udp_payload[offset:end]),
        padding=bytes(udp_payload[end : end + bth.pad_count]),
        icrc=int.from_bytes(udp_payload[-ICRC_SIZE:], "little"),
    )
