"""SGL descriptors, 16 bytes each: where a command's data lies.

The last byte tells which layout holds: `kind` is type << 4 | subtype, an `SglKind`. Over RDMA a host names its
memory with `KeyedSgl`; data inside the capsule is `DataBlockSgl` with the offset subtype, and TCP's transport data
block is one with address zero.

Follows NVM Express Base 2.0 4.1.2 and the NVMe/RDMA transport. Fast codecs: `sgl_codec`.
"""

from __future__ import annotations

from construct import Bytes, Int8ul, Int24ul, Int32ul, Int64ul, Padding, Struct

DATA_BLOCK_SGL = (
    Struct(
        "address" / Int64ul,
        "length" / Int32ul,
        Padding(3),
        "kind" / Int8ul,
    )
    * """Kinds 01h (address is an offset in the capsule), 00h (an address), 5Ah (transport data block, address zero),
    and the segment pointers.
    """
)

KEYED_SGL = (
    Struct(
        "address" / Int64ul,
        "length" / Int24ul,
        "key" / Int32ul,
        "kind" / Int8ul,
    )
    * "Kinds 40h, and 4Fh when the response invalidates the key: a range of the host's registered memory."
)

ANY_SGL = (
    Struct(
        "body" / Bytes(15),
        "kind" / Int8ul,
    )
    * "What every descriptor has in common."
)
