"""Walk a Construct definition and list its fields with their bit positions.

The only module that looks into Construct's objects; everything after it sees `Layout` and `Field`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import construct
from construct.lib import bytes2bits, swapbytes

from wire.header import Header

Order = Literal["big", "little"]
Kind = Literal["integer", "bytes", "constant"]


class LayoutError(Exception):
    """A definition from which no fixed codec can be derived; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    path: names from the outermost Construct inwards, which find its value; `name` is what the class calls it. Both are
        empty for constants.
    first_bit, bits: place and width. Bits count in reading order when the header is big-endian (bit 0 is the most
        significant of byte 0) and in value order when it is little-endian (bit 0 is the least significant of byte 0).
    default: what an object has when the field is not given; of a constant, its bytes.
    """

    path: tuple[str, ...]
    name: str
    kind: Kind
    first_bit: int
    bits: int
    order: Order | None
    default: int | bytes = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole header: its byte order, its size in bytes and its fields in order; what no field covers is padding."""

    name: str
    doc: str
    order: Order
    size: int
    fields: tuple[Field, ...]


def layout_of(name: str, definition: Any) -> Layout:
    """The layout of `definition`, to be called `name`; LayoutError when it is not fixed or mixes byte orders."""
    try:
        fields = list(_walk(definition, 0, (), (), 8))
        size: int = definition.sizeof()
    except (construct.SizeofError, LayoutError) as error:
        raise LayoutError(f"{name}: {error}") from None
    orders = {field.order for field in fields if field.order}
    if len(orders) > 1:
        raise LayoutError(f"{name}: mixes byte orders")
    names = [field.name for field in fields if field.name]
    if not names or len(set(names)) < len(names):
        raise LayoutError(f"{name}: no field, or two fields of one name")
    for taken in (name for name in names if hasattr(Header, name)):
        raise LayoutError(f"{name}: the name {taken} is taken by every header")
    order: Order = orders.pop() if orders else "big"
    placed = (_in_order(field, order) for field in fields)
    return Layout(name, definition.docs, order, size, tuple(sorted(placed, key=lambda field: field.first_bit)))


def _walk(con: Any, start: int, path: tuple[str, ...], prefix: tuple[str, ...], unit: int) -> Iterator[Field]:
    """Fields of `con` from bit `start` on; `path` finds its value, `prefix` names it; its sizes are in `unit` bits."""
    match con:
        case construct.Renamed():
            yield from _walk(con.subcon, start, path, prefix, unit)
        case construct.Struct():
            for subcon in con.subcons:
                yield from _walk(subcon, start, (*path, subcon.name), (*prefix, subcon.name), unit)
                start += subcon.sizeof() * unit
        case construct.Transformed() if con.decodefunc is bytes2bits:
            # The group's own name only finds the value: bit fields join the enclosing header.
            yield from _walk(con.subcon, start, path, prefix[:-1], 1)
        case construct.Transformed() if con.decodefunc is swapbytes and con.sizeof() == 1:
            yield from _walk(con.subcon, start, path, prefix, unit)
        case construct.Transformed() if con.decodefunc is swapbytes:
            bits = con.sizeof() * 8
            yield from (_swapped(field, start, bits) for field in _walk(con.subcon, 0, path, prefix, unit))
        case construct.Padded(subcon=construct.Pass):
            return
        case construct.Const() if unit == 8:
            # Named or not, a constant is no field of the class: there is nothing to choose.
            yield Field((), "", "constant", start, con.sizeof() * 8, None, con.build(None))
        case _ if None in path:
            raise LayoutError(f"{con!r} needs a name, else Construct drops its value")
        case _:
            yield _leaf(con, Field(path, "_".join(prefix), "integer", start, con.sizeof() * unit, None), unit)


def _leaf(con: Any, leaf: Field, unit: int) -> Field:
    match con:
        case construct.Default():
            return replace(_leaf(con.subcon, leaf, unit), default=con.value)
        case construct.BitsInteger(signed=False, swapped=False) if unit == 1:
            crosses_a_byte = leaf.first_bit // 8 != (leaf.first_bit + leaf.bits - 1) // 8
            return replace(leaf, order="big" if crosses_a_byte else None)
        case construct.FormatField() if con.fmtstr[1] in "BHILQ" and unit == 8:
            little = con.fmtstr[0] == "<"
            return replace(leaf, order=None if leaf.bits == 8 else "little" if little else "big")
        case construct.BytesInteger(signed=False) if unit == 8:
            return replace(leaf, order=None if leaf.bits == 8 else "little" if con.swapped else "big")
        case construct.Bytes() if unit == 8:
            return replace(leaf, kind="bytes", default=bytes(leaf.bits // 8))
    raise LayoutError(f"{leaf.name}: {con!r} is not understood here")


def _swapped(field: Field, start: int, bits: int) -> Field:
    """A bit field of a byte-swapped group: what counted down from its top now counts up from its bottom."""
    if field.kind != "integer":
        raise LayoutError(f"{field.name}: only bit fields can be byte-swapped")
    return replace(field, first_bit=start + bits - field.first_bit - field.bits, order="little")


def _in_order(field: Field, order: Order) -> Field:
    """Count the bits of a field within one byte as the header's byte order does."""
    if order == "little" and field.order is None and field.bits < 8:
        byte, bit = divmod(field.first_bit, 8)
        return replace(field, first_bit=byte * 8 + 8 - bit - field.bits)
    return field
