"""Names of packets: opcodes, and groups of them, as sets of kinds.

A kind is an opcode, except that an Acknowledge is one of three: ACK, RNR NAK or NAK, told apart by the upper bits of
the AETH's syndrome (IBTA 9.7.5.2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from stacks.runtime import LocalError
from wire.roce import Opcode
from wire.roce.opcodes import OPCODES, OpcodeInfo, Operation, Position, Transport


def packet_kinds(names: Iterable[str]) -> frozenset[int]:
    """The kinds that any of `names` stands for; LocalError, with what is allowed, for a name that nobody knows."""
    found: set[int] = set()
    for name in names:
        kinds = _KINDS.get(name.strip().lower().replace("-", "_"))
        if kinds is None:
            raise LocalError(f"unknown opcode {name!r}; {_suggestion(name)}")
        found |= kinds
    return frozenset(found)


def kind_of(opcode: int, syndrome: int) -> int:
    """The kind of one packet; syndrome: of its AETH, looked at in an Acknowledge only."""
    return opcode | _ack_mark(syndrome) if opcode in _ACKNOWLEDGES else opcode


def kind_name(kind: int) -> str:
    """What a report calls a kind: the opcode's name, with NAK or RNR NAK in place of ACKNOWLEDGE where it is one."""
    opcode, mark = kind & 0xFF, kind & ~0xFF
    info = OPCODES[opcode]
    if info is None:
        return f"{opcode:#04x}"
    return info.opcode.name.replace("ACKNOWLEDGE", _ACK_NAMES.get(mark, "ACKNOWLEDGE"))


def _ack_mark(syndrome: int) -> int:
    return (syndrome >> 5) + 1 << 8


def _kinds_where(condition: Callable[[OpcodeInfo], bool]) -> frozenset[int]:
    kinds: set[int] = set()
    for info in OPCODES:
        if info is not None and condition(info):
            kinds |= _all_kinds(info.opcode)
    return frozenset(kinds)


def _all_kinds(opcode: int) -> frozenset[int]:
    if opcode in _ACKNOWLEDGES:
        return frozenset(opcode | _ack_mark(upper << 5) for upper in range(8))
    return frozenset({opcode})


def _acknowledges(upper: int) -> frozenset[int]:
    return frozenset(opcode | _ack_mark(upper << 5) for opcode in _ACKNOWLEDGES)


def _all_names() -> dict[str, frozenset[int]]:
    names = dict(OPCODE_GROUPS)
    for opcode in Opcode:
        full = opcode.name.lower()
        names[full] = _all_kinds(opcode)
        transport, _, short = full.partition("_")
        if short and short not in OPCODE_GROUPS and transport.upper() in Transport.__members__:
            names[short] = names.get(short, frozenset()) | _all_kinds(opcode)
    return names


def _suggestion(name: str) -> str:
    near = get_close_matches(name.lower(), _KINDS, 1)
    hint = f"did you mean {near[0].upper()}? " if near else ""
    return f"{hint}an opcode is a name such as RC_SEND_ONLY or WRITE_FIRST, or one of: {', '.join(OPCODE_GROUPS)}"


_ACKNOWLEDGES = frozenset({int(Opcode.RC_ACKNOWLEDGE), int(Opcode.XRC_ACKNOWLEDGE)})
_ACK_NAMES = {_ack_mark(0x20): "RNR_NAK", _ack_mark(0x60): "NAK"}
_DATA = (Operation.SEND, Operation.WRITE, Operation.READ_RESPONSE, Operation.ATOMIC_WRITE)

OPCODE_GROUPS: dict[str, frozenset[int]] = {
    "data": _kinds_where(lambda info: info.operation in _DATA),
    "request": _kinds_where(lambda info: info.is_request),
    "response": _kinds_where(lambda info: not info.is_request and info.operation is not Operation.CNP),
    "ack": _acknowledges(0),
    "nak": _acknowledges(3),
    "rnr": _acknowledges(1),
    "send": _kinds_where(lambda info: info.operation is Operation.SEND),
    "write": _kinds_where(lambda info: info.operation is Operation.WRITE),
    "read": _kinds_where(lambda info: info.operation is Operation.READ_REQUEST),
    "read_response": _kinds_where(lambda info: info.operation is Operation.READ_RESPONSE),
    "atomic": _kinds_where(lambda info: info.operation in (Operation.COMPARE_SWAP, Operation.FETCH_ADD)),
    "atomic_ack": _kinds_where(lambda info: info.operation is Operation.ATOMIC_ACKNOWLEDGE),
    "flush": _kinds_where(lambda info: info.operation is Operation.FLUSH),
    "atomic_write": _kinds_where(lambda info: info.operation is Operation.ATOMIC_WRITE),
    "cnp": _kinds_where(lambda info: info.operation is Operation.CNP),
    "first": _kinds_where(lambda info: info.position is Position.FIRST),
    "middle": _kinds_where(lambda info: info.position is Position.MIDDLE),
    "last": _kinds_where(lambda info: info.position is Position.LAST),
    "only": _kinds_where(lambda info: info.position is Position.ONLY),
    "rc": _kinds_where(lambda info: info.transport is Transport.RC),
    "uc": _kinds_where(lambda info: info.transport is Transport.UC),
    "ud": _kinds_where(lambda info: info.transport is Transport.UD),
    "xrc": _kinds_where(lambda info: info.transport is Transport.XRC),
}
"""Groups by name: what a packet does, where in its message it stands, which transport it belongs to."""
_KINDS = _all_names()
