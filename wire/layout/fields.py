"""Walk a Construct definition and list its fields with their bit positions.

The only module that looks into Construct's objects; everything after it sees `Layout` and `Field`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import construct
from construct.lib import bytes2bits, swapbytes

Order = Literal["big", "little"]
Kind = Literal["integer", "bytes", "array", "constant"]
Default = int | bytes | tuple[int, ...]


class LayoutError(Exception):
    """A definition from which no fixed codec can be derived; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    path: names from the outermost Construct inwards, which find its value; `name` is what the class calls it. Both are
        empty for constants.
    first_bit, bits: place and width. Bits count in reading order when the header is big-endian (bit 0 is the most
        significant of byte 0) and in value order when it is little-endian (bit 0 is the least significant of byte 0).
    count: integers in an array, else 1.
    default: what an object has when the field is not given; of a constant, its bytes.
    """

    path: tuple[str, ...]
    name: str
    kind: Kind
    first_bit: int
    bits: int
    order: Order | None
    count: int = 1
    default: Default = 0


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
        fields = _walk(definition, 0, (), (), in_bits=False)
        size: int = definition.sizeof()
    except (construct.SizeofError, LayoutError) as error:
        raise LayoutError(f"{name}: {error}") from None
    orders = {field.order for field in fields if field.order}
    if len(orders) > 1:
        raise LayoutError(f"{name}: mixes byte orders")
    order: Order = orders.pop() if orders else "big"
    names = [field.name for field in fields if field.name]
    if len(set(names)) < len(names):
        raise LayoutError(f"{name}: two fields of one name")
    placed = (_in_order(field, order) for field in fields)
    return Layout(name, definition.docs, order, size, tuple(sorted(placed, key=lambda field: field.first_bit)))


def _walk(con: Any, start: int, path: tuple[str, ...], prefix: tuple[str, ...], *, in_bits: bool) -> list[Field]:
    """Fields of `con`, which starts at bit `start`; `path` finds its value, `prefix` names it."""
    match con:
        case construct.Renamed():
            name = (con.name,) if con.name else ()
            return _walk(con.subcon, start, path + name, prefix + name, in_bits=in_bits)
        case construct.Struct():
            return _walk_struct(con, start, path, prefix, in_bits=in_bits)
        case construct.Transformed() if con.decodefunc is bytes2bits:
            # The group's own name only finds the value: bit fields join the enclosing header.
            return _walk(con.subcon, start, path, prefix[:-1], in_bits=True)
        case construct.Transformed() if con.decodefunc is swapbytes and con.sizeof() > 1:
            return _swapped(_walk(con.subcon, 0, path, prefix, in_bits=False), start, con.sizeof() * 8)
        case construct.Padded(subcon=construct.Pass):
            return []
    leaf = Field(path, "_".join(prefix), "integer", start, con.sizeof() * (1 if in_bits else 8), None)
    return [_bit_leaf(con, leaf) if in_bits else _leaf(con, leaf)]


def _walk_struct(con: Any, start: int, path: tuple[str, ...], prefix: tuple[str, ...], *, in_bits: bool) -> list[Field]:
    fields = []
    for subcon in con.subcons:
        found = _walk(subcon, start, path, prefix, in_bits=in_bits)
        if not subcon.name and any(field.name for field in found):
            raise LayoutError(f"{subcon!r} needs a name, else Construct drops its values")
        fields += found
        start += subcon.sizeof() * (1 if in_bits else 8)
    return fields


def _bit_leaf(con: Any, leaf: Field) -> Field:
    match con:
        case construct.Default():
            return replace(_bit_leaf(con.subcon, leaf), default=con.value)
        case construct.BitsInteger(signed=False, swapped=False):
            crosses_a_byte = leaf.first_bit // 8 != (leaf.first_bit + leaf.bits - 1) // 8
            return replace(leaf, order="big" if crosses_a_byte else None)
    raise LayoutError(f"{leaf.name}: {con!r} is not understood among bits")


def _leaf(con: Any, leaf: Field) -> Field:
    match con:
        case construct.Default():
            default = tuple(con.value) if isinstance(con.value, list) else con.value
            return replace(_leaf(con.subcon, leaf), default=default)
        case construct.Const():
            # Named or not, a constant is no field of the class: there is nothing to choose.
            return replace(leaf, path=(), name="", kind="constant", default=con.build(None))
        case construct.FormatField() if con.fmtstr[1] in "BHILQ":
            little = con.fmtstr[0] == "<"
            return replace(leaf, order=None if leaf.bits == 8 else "little" if little else "big")
        case construct.BytesInteger(signed=False):
            return replace(leaf, order=None if leaf.bits == 8 else "little" if con.swapped else "big")
        case construct.Bytes():
            return replace(leaf, kind="bytes", default=bytes(leaf.bits // 8))
        case construct.Array(subcon=construct.FormatField()):
            item = _leaf(con.subcon, replace(leaf, bits=con.subcon.sizeof() * 8))
            return replace(item, kind="array", bits=leaf.bits, count=con.count, default=(0,) * con.count)
    raise LayoutError(f"{leaf.name or 'a nameless part'}: {con!r} is not understood")


def _swapped(fields: list[Field], start: int, bits: int) -> list[Field]:
    """Bit fields of a byte-swapped group: what counted down from its top now counts up from its bottom."""
    if any(field.kind != "integer" for field in fields):
        raise LayoutError(f"{fields[0].name}: only bit fields can be byte-swapped")
    return [
        replace(field, first_bit=start + bits - field.first_bit - field.bits, order="little") for field in fields
    ]


def _in_order(field: Field, order: Order) -> Field:
    """Count the bits of a field within one byte as the header's byte order does."""
    if order == "little" and field.order is None and field.bits < 8:
        byte, bit = divmod(field.first_bit, 8)
        return replace(field, first_bit=byte * 8 + 8 - bit - field.bits)
    return field
