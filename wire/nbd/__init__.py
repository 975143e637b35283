"""The Network Block Device protocol: the messages of its handshake and of its transmission, and the numbers in them.

    server: NbdGreeting              client: NbdClientFlags
    client: NbdOption + data         server: NbdOptionReply + data, as often as needed
    client: NbdRequest (+ data)      server: NbdSimpleReply (+ data), or chunks (+ data)

Follows the NBD project's doc/proto.md. `handshake_layout` and `transmission_layout` define the formats; the codecs
beside them are derived.
"""

from wire.nbd.handshake_codec import (
    NbdClientFlags,
    NbdExport,
    NbdGreeting,
    NbdInfoBlockSize,
    NbdInfoExport,
    NbdOption,
    NbdOptionReply,
)
from wire.nbd.kinds import (
    NBD_PORT,
    PORTABLE_BYTES_MAX,
    STRING_BYTES_MAX,
    ZEROES_BYTES,
    ChunkFlag,
    ChunkKind,
    CommandFlag,
    CommandKind,
    HandshakeFlag,
    Info,
    NbdError,
    Option,
    OptionReply,
    TransmissionFlag,
)
from wire.nbd.transmission_codec import (
    NbdChunk,
    NbdDataChunk,
    NbdErrorChunk,
    NbdErrorOffsetChunk,
    NbdHoleChunk,
    NbdRequest,
    NbdSimpleReply,
)

__all__ = [
    "NBD_PORT",
    "PORTABLE_BYTES_MAX",
    "STRING_BYTES_MAX",
    "ZEROES_BYTES",
    "ChunkFlag",
    "ChunkKind",
    "CommandFlag",
    "CommandKind",
    "HandshakeFlag",
    "Info",
    "NbdChunk",
    "NbdClientFlags",
    "NbdDataChunk",
    "NbdError",
    "NbdErrorChunk",
    "NbdErrorOffsetChunk",
    "NbdExport",
    "NbdGreeting",
    "NbdHoleChunk",
    "NbdInfoBlockSize",
    "NbdInfoExport",
    "NbdOption",
    "NbdOptionReply",
    "NbdRequest",
    "NbdSimpleReply",
    "Option",
    "OptionReply",
    "TransmissionFlag",
]
