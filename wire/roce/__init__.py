"""RoCEv2 packets: BTH, extended headers, opcodes and the ICRC (IBTA volume 1 chapter 9, annexes A14, A17, A19).

The generated header classes serve the data path; `parse_packet` takes any packet apart for tools and tests; `icrc`
is the plain checksum over a complete packet, `wire.roce.flow_icrc` the one for bursts of one flow.
"""

from wire.roce.headers_codec import (
    Aeth,
    AtomicAckEth,
    AtomicEth,
    Bth,
    Deth,
    Feth,
    Ieth,
    ImmDt,
    Rdeth,
    Reth,
    XrcEth,
)
from wire.roce.icrc import ICRC_SIZE, icrc, stored_icrc
from wire.roce.opcodes import OPCODES, Opcode, OpcodeInfo, Operation, Position, Transport
from wire.roce.packet import RocePacket, parse_packet

__all__ = [
    "ICRC_SIZE",
    "OPCODES",
    "Aeth",
    "AtomicAckEth",
    "AtomicEth",
    "Bth",
    "Deth",
    "Feth",
    "Ieth",
    "ImmDt",
    "Opcode",
    "OpcodeInfo",
    "Operation",
    "Position",
    "Rdeth",
    "Reth",
    "RocePacket",
    "Transport",
    "XrcEth",
    "icrc",
    "parse_packet",
    "stored_icrc",
]
