"""From one Construct definition per wire format to a fast, plain, checked-in codec.

A module `X_layout.py` defines formats with Construct, as upper-case module constants; `python -m wire.layout` writes
`X_codec.py` beside it with one slotted class for each: `CM_REQ` becomes `CmReq`. Names that start with an underscore
are parts, and get no class. Only fixed sizes are derived; variable formats have a hand-written codec.

What is understood, and what becomes of it:

* `Int8ub` ... `Int64ul`, `BytesInteger(n)`, `Int24ub`: unsigned integers. One header has one byte order.
* `BitStruct`, `Bitwise(Struct(...))`: its fields join the header's own. Little-endian bit fields are
  `ByteSwapped(BitStruct(...))` with the most significant field first.
* `Bytes(n)`: bytes; an array is bytes too, its items being read one by one with a codec of their own.
* `Struct` within: its fields join the header's with its name before them, `primary` / `lid` giving `primary_lid`.
* `Padding(n)`: zeros written, anything accepted. `Const`: written, and checked on decode. `Default`: the default of
  the class. A docs string (`* "text"`) on a definition becomes the docstring.

Fields that a `struct` code can fetch whole are fetched so, straight into their slot; runs of odd ones are fetched as
words and cut by shift and mask. What the classes inherit is `wire.header`; Construct is imported by the generator
alone, never on the data path.
"""

from wire.header import Header, Unpack

__all__ = ["Header", "Unpack"]
