"""NBD's transmission: requests, simple replies, and the chunks of structured replies.

Data follows a request, a simple reply or a data chunk directly; a message follows an error chunk. All of it is
big-endian.

Follows the NBD project's doc/proto.md (transmission, structured reply types). Fast codecs: `transmission_codec`;
checked against recorded sessions of other programs in tests/wire/nbd.
"""

from construct import Default, Int16ub, Int32ub, Int64ub, Struct


def _chunk(kind: int, length: int) -> tuple[object, ...]:
    return (
        "magic" / Default(Int32ub, 0x668E33EF),
        "flags" / Default(Int16ub, 1),
        "kind" / Default(Int16ub, kind),
        "cookie" / Int64ub,
        "length" / Default(Int32ub, length),
    )


NBD_REQUEST = (
    Struct(
        "magic" / Default(Int32ub, 0x25609513),
        "flags" / Int16ub,
        "kind" / Int16ub,
        "cookie" / Int64ub,
        "offset" / Int64ub,
        "length" / Int32ub,
    )
    * """A request: `CommandFlag`s and a `CommandKind`. cookie: what its replies are told by; offset, length: in bytes.
    The data of a write follows.
    """
)

NBD_SIMPLE_REPLY = (
    Struct(
        "magic" / Default(Int32ub, 0x67446698),
        "error" / Int32ub,
        "cookie" / Int64ub,
    )
    * "A reply: an `NbdError`, or 0; then the data of a read follows."
)

NBD_CHUNK = (
    Struct(*_chunk(0, 0))
    * "The head of a chunk, and a chunk of kind NONE. flags: `ChunkFlag`s; length: of what follows, in bytes."
)

NBD_DATA_CHUNK = (
    Struct(
        *_chunk(1, 8),
        "offset" / Int64ub,
    )
    * "OFFSET_DATA: `length` - 8 bytes of data follow, which are at `offset` of the export."
)

NBD_HOLE_CHUNK = (
    Struct(
        *_chunk(2, 12),
        "offset" / Int64ub,
        "size" / Int32ub,
    )
    * "OFFSET_HOLE: `size` bytes at `offset` of the export are zero."
)

NBD_ERROR_CHUNK = (
    Struct(
        *_chunk(0x8001, 6),
        "error" / Int32ub,
        "message_bytes" / Int16ub,
    )
    * "ERROR: an `NbdError`; a message for people follows."
)

NBD_ERROR_OFFSET_CHUNK = (
    Struct(
        *_chunk(0x8002, 14),
        "error" / Int32ub,
        "message_bytes" / Int16ub,
        "offset" / Int64ub,
    )
    * "ERROR_OFFSET without a message, which would stand before `offset`: where in the export something went wrong."
)
