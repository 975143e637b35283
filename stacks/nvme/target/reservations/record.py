"""A reservation state as bytes, for what keeps it through a loss of power: JSON, so that a person can read it too.

A state without PTPL is no record at all: nothing of it is to be there after a loss of power
(NVM Express Base 2.0 8.19), GEN included.
"""

from __future__ import annotations

import json
from types import MappingProxyType

from stacks.nvme.target.reservations.state import SHARED_TYPES, ReservationState
from stacks.runtime import LocalError
from wire.nvme.reservations import ReservationType


def encode_record(state: ReservationState) -> bytes:
    """The state as a record; empty when there is nothing to keep."""
    if not state.is_persistent:
        return b""
    document = {
        "version": VERSION,
        "generation": state.generation,
        "type": int(state.kind or 0),
        "holder": state.holder.hex() if state.holder else "",
        # In order, as a list: the order of registering is part of a report.
        "registrants": [{"host_id": host.hex(), "key": key} for host, key in state.registrants.items()],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def decode_record(record: bytes, *, where: str = "saved reservations") -> ReservationState:
    """The state of a record; LocalError, saying what is wrong, when that is none. where: what to call it then."""
    if not record:
        return ReservationState()
    try:
        document = json.loads(record)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}")
        return _state(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise LocalError(f"{where}: reservations are damaged ({reason}); remove that to serve without") from error


def _state(document: dict[str, object]) -> ReservationState:
    entries, kind = document["registrants"], document["type"]
    if not isinstance(entries, list):
        raise TypeError("registrants")
    registrants = {_host_id(each["host_id"]): _number(each["key"], 1, KEY_MAX) for each in entries}
    reserved = ReservationType(_number(kind, 1, max(ReservationType))) if kind else None
    holder = _host_id(document["holder"]) if document["holder"] else None
    if (holder is None) is not (reserved is None or reserved in SHARED_TYPES):
        raise ValueError("type and holder do not fit together")
    if (holder is not None and holder not in registrants) or (reserved is not None and not registrants):
        raise ValueError("the holder is not registered")
    return ReservationState(
        registrants=MappingProxyType(registrants),
        kind=reserved,
        holder=holder,
        generation=_number(document["generation"], 0, 0xFFFFFFFF),
        is_persistent=True,
    )


def _host_id(text: object) -> bytes:
    if not isinstance(text, str) or len(text) != 32:
        raise ValueError("a host identifier has 32 hexadecimal digits")
    return bytes.fromhex(text)


def _number(value: object, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(f"{value!r} is not between {lowest} and {highest}")
    return value


VERSION = 1
KEY_MAX = (1 << 64) - 1
