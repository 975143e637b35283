"""NBD's handshake: greeting, options and their replies, as far as their size is fixed.

Names, lists of information requests and messages follow the fixed part and are read where they lie. All of it is
big-endian.

Follows the NBD project's doc/proto.md (fixed newstyle negotiation, option types, option reply types). Fast codecs:
`handshake_codec`; checked against recorded sessions of other programs in tests/wire/nbd.
"""

from construct import Default, Int16ub, Int32ub, Int64ub, Struct

_INIT_MAGIC = 0x4E42444D41474943
_OPTION_MAGIC = 0x49484156454F5054

NBD_GREETING = (
    Struct(
        "init_magic" / Default(Int64ub, _INIT_MAGIC),
        "magic" / Default(Int64ub, _OPTION_MAGIC),
        "flags" / Int16ub,
    )
    * "What a server says first: `NBDMAGIC` and `IHAVEOPT`. flags: `HandshakeFlag`s."
)

NBD_CLIENT_FLAGS = Struct("flags" / Int32ub) * "What a client answers: `HandshakeFlag`s, those that it knows."

NBD_OPTION = (
    Struct(
        "magic" / Default(Int64ub, _OPTION_MAGIC),
        "option" / Int32ub,
        "length" / Int32ub,
    )
    * "An `Option` of a client; `length` bytes of data follow."
)

NBD_OPTION_REPLY = (
    Struct(
        "magic" / Default(Int64ub, 0x3E889045565A9),
        "option" / Int32ub,
        "kind" / Int32ub,
        "length" / Int32ub,
    )
    * "A server's answer to an option: an `OptionReply`; `length` bytes of data follow."
)

NBD_EXPORT = (
    Struct(
        "size" / Int64ub,
        "flags" / Int16ub,
    )
    * """The answer to EXPORT_NAME. size: in bytes; flags: `TransmissionFlag`s. 124 zeroes follow unless NO_ZEROES was
    agreed on.
    """
)

NBD_INFO_EXPORT = (
    Struct(
        "info" / Default(Int16ub, 0),
        "size" / Int64ub,
        "flags" / Int16ub,
    )
    * "The same as data of an INFO reply."
)

NBD_INFO_BLOCK_SIZE = (
    Struct(
        "info" / Default(Int16ub, 3),
        "minimum" / Int32ub,
        "preferred" / Int32ub,
        "maximum" / Int32ub,
    )
    * "Data of an INFO reply: the least and the best size of a request, and the most data of one, in bytes."
)
