"""The opcodes of RoCE and what each says of its packet (IBTA 9.2, table 35; annexes A14, A17, A19).

An opcode is a transport in the upper three bits and an operation in the lower five. RD is left out: nobody has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from wire.layout import Header
from wire.roce.headers_codec import (
    Aeth,
    AtomicAckEth,
    AtomicEth,
    Bth,
    Deth,
    Feth,
    Ieth,
    ImmDt,
    Reth,
    XrcEth,
)


class Opcode(IntEnum):
    """BTH opcodes by name."""

    RC_SEND_FIRST = 0x00
    RC_SEND_MIDDLE = 0x01
    RC_SEND_LAST = 0x02
    RC_SEND_LAST_IMM = 0x03
    RC_SEND_ONLY = 0x04
    RC_SEND_ONLY_IMM = 0x05
    RC_WRITE_FIRST = 0x06
    RC_WRITE_MIDDLE = 0x07
    RC_WRITE_LAST = 0x08
    RC_WRITE_LAST_IMM = 0x09
    RC_WRITE_ONLY = 0x0A
    RC_WRITE_ONLY_IMM = 0x0B
    RC_READ_REQUEST = 0x0C
    RC_READ_RESPONSE_FIRST = 0x0D
    RC_READ_RESPONSE_MIDDLE = 0x0E
    RC_READ_RESPONSE_LAST = 0x0F
    RC_READ_RESPONSE_ONLY = 0x10
    RC_ACKNOWLEDGE = 0x11
    RC_ATOMIC_ACKNOWLEDGE = 0x12
    RC_COMPARE_SWAP = 0x13
    RC_FETCH_ADD = 0x14
    RC_SEND_LAST_INV = 0x16
    RC_SEND_ONLY_INV = 0x17
    RC_FLUSH = 0x1C
    RC_ATOMIC_WRITE = 0x1D

    UC_SEND_FIRST = 0x20
    UC_SEND_MIDDLE = 0x21
    UC_SEND_LAST = 0x22
    UC_SEND_LAST_IMM = 0x23
    UC_SEND_ONLY = 0x24
    UC_SEND_ONLY_IMM = 0x25
    UC_WRITE_FIRST = 0x26
    UC_WRITE_MIDDLE = 0x27
    UC_WRITE_LAST = 0x28
    UC_WRITE_LAST_IMM = 0x29
    UC_WRITE_ONLY = 0x2A
    UC_WRITE_ONLY_IMM = 0x2B

    UD_SEND_ONLY = 0x64
    UD_SEND_ONLY_IMM = 0x65

    CNP = 0x81

    XRC_SEND_FIRST = 0xA0
    XRC_SEND_MIDDLE = 0xA1
    XRC_SEND_LAST = 0xA2
    XRC_SEND_LAST_IMM = 0xA3
    XRC_SEND_ONLY = 0xA4
    XRC_SEND_ONLY_IMM = 0xA5
    XRC_WRITE_FIRST = 0xA6
    XRC_WRITE_MIDDLE = 0xA7
    XRC_WRITE_LAST = 0xA8
    XRC_WRITE_LAST_IMM = 0xA9
    XRC_WRITE_ONLY = 0xAA
    XRC_WRITE_ONLY_IMM = 0xAB
    XRC_READ_REQUEST = 0xAC
    XRC_READ_RESPONSE_FIRST = 0xAD
    XRC_READ_RESPONSE_MIDDLE = 0xAE
    XRC_READ_RESPONSE_LAST = 0xAF
    XRC_READ_RESPONSE_ONLY = 0xB0
    XRC_ACKNOWLEDGE = 0xB1
    XRC_ATOMIC_ACKNOWLEDGE = 0xB2
    XRC_COMPARE_SWAP = 0xB3
    XRC_FETCH_ADD = 0xB4
    XRC_SEND_LAST_INV = 0xB6
    XRC_SEND_ONLY_INV = 0xB7


class Transport(IntEnum):
    """The upper bits of an opcode."""

    RC = 0x00
    UC = 0x20
    UD = 0x60
    CNP = 0x80
    XRC = 0xA0


class Operation(Enum):
    """What a packet is part of."""

    SEND = "SEND"
    WRITE = "WRITE"
    READ_REQUEST = "READ Request"
    READ_RESPONSE = "READ Response"
    ACKNOWLEDGE = "Acknowledge"
    ATOMIC_ACKNOWLEDGE = "ATOMIC Acknowledge"
    COMPARE_SWAP = "CmpSwap"
    FETCH_ADD = "FetchAdd"
    FLUSH = "FLUSH"
    ATOMIC_WRITE = "ATOMIC WRITE"
    CNP = "CNP"


class Position(Enum):
    """Where in its message a packet stands."""

    FIRST = "First"
    MIDDLE = "Middle"
    LAST = "Last"
    ONLY = "Only"


@dataclass(frozen=True, slots=True)
class OpcodeInfo:
    """One row of the table.

    headers: extended headers after the BTH, in wire order. headers_bytes: their size together with the BTH's.
    has_payload: whether bytes may follow the headers (of a CNP, its 16 reserved ones).
    """

    opcode: Opcode
    transport: Transport
    operation: Operation
    position: Position
    headers: tuple[type[Header], ...]
    headers_bytes: int
    has_payload: bool

    @property
    def is_request(self) -> bool:
        """Sent by the requester: neither an acknowledgement, nor a response, nor a CNP."""
        return self.operation not in _RESPONSES

    @property
    def has_imm(self) -> bool:
        """Carries immediate data."""
        return ImmDt in self.headers

    @property
    def has_invalidate(self) -> bool:
        """Carries a key to invalidate."""
        return Ieth in self.headers


_RESPONSES = (Operation.READ_RESPONSE, Operation.ACKNOWLEDGE, Operation.ATOMIC_ACKNOWLEDGE, Operation.CNP)

_SEND, _WRITE, _RESPONSE = Operation.SEND, Operation.WRITE, Operation.READ_RESPONSE
_FIRST, _MIDDLE, _LAST, _ONLY = Position

_Row = tuple[Operation, Position, tuple[type[Header], ...]]

_CNP: _Row = (Operation.CNP, Position.ONLY, ())

# What the lower five bits mean, alike for all transports that have the operation.
_OPERATIONS: dict[int, _Row] = {
    0x00: (_SEND, _FIRST, ()),
    0x01: (_SEND, _MIDDLE, ()),
    0x02: (_SEND, _LAST, ()),
    0x03: (_SEND, _LAST, (ImmDt,)),
    0x04: (_SEND, _ONLY, ()),
    0x05: (_SEND, _ONLY, (ImmDt,)),
    0x06: (_WRITE, _FIRST, (Reth,)),
    0x07: (_WRITE, _MIDDLE, ()),
    0x08: (_WRITE, _LAST, ()),
    0x09: (_WRITE, _LAST, (ImmDt,)),
    0x0A: (_WRITE, _ONLY, (Reth,)),
    0x0B: (_WRITE, _ONLY, (Reth, ImmDt)),
    0x0C: (Operation.READ_REQUEST, _ONLY, (Reth,)),
    0x0D: (_RESPONSE, _FIRST, (Aeth,)),
    0x0E: (_RESPONSE, _MIDDLE, ()),
    0x0F: (_RESPONSE, _LAST, (Aeth,)),
    0x10: (_RESPONSE, _ONLY, (Aeth,)),
    0x11: (Operation.ACKNOWLEDGE, _ONLY, (Aeth,)),
    0x12: (Operation.ATOMIC_ACKNOWLEDGE, _ONLY, (Aeth, AtomicAckEth)),
    0x13: (Operation.COMPARE_SWAP, _ONLY, (AtomicEth,)),
    0x14: (Operation.FETCH_ADD, _ONLY, (AtomicEth,)),
    0x16: (_SEND, _LAST, (Ieth,)),
    0x17: (_SEND, _ONLY, (Ieth,)),
    0x1C: (Operation.FLUSH, _ONLY, (Feth, Reth)),
    0x1D: (Operation.ATOMIC_WRITE, _ONLY, (Reth,)),
}

_WITH_PAYLOAD = (_SEND, _WRITE, _RESPONSE, Operation.ATOMIC_WRITE, Operation.CNP)


def _info(opcode: Opcode) -> OpcodeInfo:
    transport = Transport(opcode & 0xE0)
    operation, position, headers = _CNP if transport is Transport.CNP else _OPERATIONS[opcode & 0x1F]
    if transport is Transport.UD:
        headers = (Deth, *headers)
    if transport is Transport.XRC and operation not in _RESPONSES:
        headers = (XrcEth, *headers)
    size = Bth.SIZE + sum(header.SIZE for header in headers)
    return OpcodeInfo(opcode, transport, operation, position, headers, size, operation in _WITH_PAYLOAD)


_KNOWN = frozenset(Opcode)

OPCODES: tuple[OpcodeInfo | None, ...] = tuple(
    _info(Opcode(number)) if number in _KNOWN else None for number in range(256)
)
"""What each of the 256 opcodes means; None for those that are unknown or reserved."""
