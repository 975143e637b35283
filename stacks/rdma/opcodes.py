"""What the core needs to know of each operation, as plain tables of small integers.

An opcode is a transport, its upper three bits, and an operation, its lower five, which means the same in all transports
that have it; so the opcodes of RC, whose transport is 0, stand for the operations here. `wire.roce.OPCODES` describes
every opcode for people and tools; the data path looks things up here, by number.
"""

from __future__ import annotations

from typing import NamedTuple

from stacks.rdma.enums import WcOpcode, WrOpcode
from wire.roce import Opcode

RELIABLE, UNRELIABLE, DATAGRAM, XRC = 0, 1, 3, 5
"""Transports, as the upper three bits of an opcode (IBTA 9.2.1, A14)."""
SEND, WRITE = 1, 2
"""Kinds of message that carry data in several packets."""


class Segmented(NamedTuple):
    """The opcodes of one kind of multi-packet message."""

    first: int
    middle: int
    last: int
    only: int


class DataOpcode(NamedTuple):
    """One SEND or WRITE operation, as a responder reads it.

    kind: SEND or WRITE. starts, ends: whether it begins and ends a message. extension_bytes: headers behind the BTH
    (RETH 16, ImmDt 4, IETH 4). has_imm, has_inv: which one the last four of these are.
    """

    kind: int
    starts: bool
    ends: bool
    extension_bytes: int
    has_imm: bool = False
    has_inv: bool = False


CNP = int(Opcode.CNP)
ACKNOWLEDGE = int(Opcode.RC_ACKNOWLEDGE)
ATOMIC_ACKNOWLEDGE = int(Opcode.RC_ATOMIC_ACKNOWLEDGE)
READ_REQUEST = int(Opcode.RC_READ_REQUEST)
CMP_SWAP = int(Opcode.RC_COMPARE_SWAP)
FETCH_ADD = int(Opcode.RC_FETCH_ADD)
FLUSH = int(Opcode.RC_FLUSH)
ATOMIC_WRITE = int(Opcode.RC_ATOMIC_WRITE)
SEND_ONLY = int(Opcode.RC_SEND_ONLY)
SEND_MIDDLE = int(Opcode.RC_SEND_MIDDLE)
WRITE_ONLY = int(Opcode.RC_WRITE_ONLY)
WRITE_MIDDLE = int(Opcode.RC_WRITE_MIDDLE)
WRITE_LAST = int(Opcode.RC_WRITE_LAST)
READ_RESPONSE_MIDDLE = int(Opcode.RC_READ_RESPONSE_MIDDLE)

READ_RESPONSE = Segmented(
    int(Opcode.RC_READ_RESPONSE_FIRST),
    READ_RESPONSE_MIDDLE,
    int(Opcode.RC_READ_RESPONSE_LAST),
    int(Opcode.RC_READ_RESPONSE_ONLY),
)

RESPONSES = frozenset({*READ_RESPONSE, ACKNOWLEDGE, ATOMIC_ACKNOWLEDGE})

_SEND_FIRST = int(Opcode.RC_SEND_FIRST)
_WRITE_FIRST = int(Opcode.RC_WRITE_FIRST)

DATA_OPCODES: dict[int, DataOpcode] = {
    _SEND_FIRST: DataOpcode(SEND, True, False, 0),
    SEND_MIDDLE: DataOpcode(SEND, False, False, 0),
    int(Opcode.RC_SEND_LAST): DataOpcode(SEND, False, True, 0),
    int(Opcode.RC_SEND_LAST_IMM): DataOpcode(SEND, False, True, 4, has_imm=True),
    int(Opcode.RC_SEND_LAST_INV): DataOpcode(SEND, False, True, 4, has_inv=True),
    SEND_ONLY: DataOpcode(SEND, True, True, 0),
    int(Opcode.RC_SEND_ONLY_IMM): DataOpcode(SEND, True, True, 4, has_imm=True),
    int(Opcode.RC_SEND_ONLY_INV): DataOpcode(SEND, True, True, 4, has_inv=True),
    _WRITE_FIRST: DataOpcode(WRITE, True, False, 16),
    WRITE_MIDDLE: DataOpcode(WRITE, False, False, 0),
    WRITE_LAST: DataOpcode(WRITE, False, True, 0),
    int(Opcode.RC_WRITE_LAST_IMM): DataOpcode(WRITE, False, True, 4, has_imm=True),
    WRITE_ONLY: DataOpcode(WRITE, True, True, 16),
    int(Opcode.RC_WRITE_ONLY_IMM): DataOpcode(WRITE, True, True, 20, has_imm=True),
}

REQUESTS: dict[WrOpcode, Segmented] = {
    WrOpcode.SEND: Segmented(_SEND_FIRST, SEND_MIDDLE, int(Opcode.RC_SEND_LAST), SEND_ONLY),
    WrOpcode.SEND_WITH_IMM: Segmented(
        _SEND_FIRST, SEND_MIDDLE, int(Opcode.RC_SEND_LAST_IMM), int(Opcode.RC_SEND_ONLY_IMM)
    ),
    WrOpcode.SEND_WITH_INV: Segmented(
        _SEND_FIRST, SEND_MIDDLE, int(Opcode.RC_SEND_LAST_INV), int(Opcode.RC_SEND_ONLY_INV)
    ),
    WrOpcode.RDMA_WRITE: Segmented(_WRITE_FIRST, WRITE_MIDDLE, WRITE_LAST, WRITE_ONLY),
    WrOpcode.RDMA_WRITE_WITH_IMM: Segmented(
        _WRITE_FIRST, WRITE_MIDDLE, int(Opcode.RC_WRITE_LAST_IMM), int(Opcode.RC_WRITE_ONLY_IMM)
    ),
}
"""Opcodes of the requests that carry data."""

ATOMICS: dict[WrOpcode, int] = {WrOpcode.ATOMIC_CMP_AND_SWP: CMP_SWAP, WrOpcode.ATOMIC_FETCH_AND_ADD: FETCH_ADD}

UNDIVIDED: dict[WrOpcode, int] = {**ATOMICS, WrOpcode.FLUSH: FLUSH, WrOpcode.ATOMIC_WRITE: ATOMIC_WRITE}
"""Requests of one packet that are executed once and answered by one."""

ANSWERED_EMPTY = frozenset({WrOpcode.FLUSH, WrOpcode.ATOMIC_WRITE})
"""Those of them that a READ response without data answers (annex A19)."""

LOCAL_OPERATIONS = frozenset({WrOpcode.LOCAL_INV, WrOpcode.BIND_MW, WrOpcode.REG_MR})
"""Requests that change this side's keys and send nothing."""

WC_OPCODES: dict[WrOpcode, WcOpcode] = {
    WrOpcode.SEND: WcOpcode.SEND,
    WrOpcode.SEND_WITH_IMM: WcOpcode.SEND,
    WrOpcode.SEND_WITH_INV: WcOpcode.SEND,
    WrOpcode.RDMA_WRITE: WcOpcode.RDMA_WRITE,
    WrOpcode.RDMA_WRITE_WITH_IMM: WcOpcode.RDMA_WRITE,
    WrOpcode.RDMA_READ: WcOpcode.RDMA_READ,
    WrOpcode.ATOMIC_CMP_AND_SWP: WcOpcode.COMP_SWAP,
    WrOpcode.ATOMIC_FETCH_AND_ADD: WcOpcode.FETCH_ADD,
    WrOpcode.LOCAL_INV: WcOpcode.LOCAL_INV,
    WrOpcode.BIND_MW: WcOpcode.BIND_MW,
    WrOpcode.FLUSH: WcOpcode.FLUSH,
    WrOpcode.ATOMIC_WRITE: WcOpcode.ATOMIC_WRITE,
    WrOpcode.REG_MR: WcOpcode.REG_MR,
}
