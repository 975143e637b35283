"""NVMe/TCP protocol data units: the headers of all twelve, as they stand before digest, padding and data.

A PDU is a header of HLEN bytes, the header digest if it was agreed on, padding up to PDO, data, the data digest if it
was agreed on; PLEN counts all of it. `TcpHeader` is what all have in common. Behind it a capsule has its submission or
completion entry, which can also be read as `SubmissionEntry` or `CompletionEntry` at offset 8.

Follows the NVMe/TCP transport specification 1.0 (3.6). Fast codecs: `tcp_codec`; checked against Linux in
tests/captures.
"""

from __future__ import annotations

from construct import Default, Int8ul, Int16ul, Int32ul, Padding, Struct

from wire.nvme import commands_layout


def _head(kind: int, hlen: int) -> tuple[object, ...]:
    return (
        "kind" / Default(Int8ul, kind),
        "flags" / Int8ul,
        "hlen" / Default(Int8ul, hlen),
        "pdo" / Int8ul,
        "plen" / Default(Int32ul, hlen),
    )


TCP_HEADER = (
    Struct(*_head(0, 0))
    * "The common header: a `TcpPduKind`, `TcpPduFlag`s, and lengths in bytes; PDO is 0 when there is no data."
)

TCP_INITIALIZE_REQUEST = (
    Struct(
        *_head(0x00, 128),
        "pfv" / Int16ul,
        "hpda" / Int8ul,
        "digests" / Int8ul,
        "maxr2t" / Int32ul,
        Padding(112),
    )
    * """ICReq. hpda: alignment of data towards the host, 0-based dwords; digests: `TcpDigest`s; maxr2t: 0-based,
    per command.
    """
)

TCP_INITIALIZE_RESPONSE = (
    Struct(
        *_head(0x01, 128),
        "pfv" / Int16ul,
        "cpda" / Int8ul,
        "digests" / Int8ul,
        "maxh2cdata" / Int32ul,
        Padding(112),
    )
    * "ICResp. cpda: alignment of data towards the controller, 0-based dwords; maxh2cdata: bytes of one H2CData."
)

TCP_TERMINATE = (
    Struct(
        *_head(0x02, 24),
        "fes" / Int16ul,
        "fei_low" / Int16ul,
        "fei_high" / Int16ul,
        Padding(10),
    )
    * """H2CTermReq (02h) and C2HTermReq (03h). fes: a `TcpFatalStatus`; fei: what it says is wrong, in two halves. The
    offending header, 128 bytes of it at most, follows as data.
    """
)

TCP_COMMAND = (
    Struct(
        *_head(0x04, 72),
        "sqe" / commands_layout.SUBMISSION_ENTRY,
    )
    * "CapsuleCmd; in-capsule data follows."
)

TCP_COMPLETION = (
    Struct(
        *_head(0x05, 24),
        "cqe" / commands_layout.COMPLETION_ENTRY,
    )
    * "CapsuleResp."
)

TCP_HOST_DATA = (
    Struct(
        *_head(0x06, 24),
        "cid" / Int16ul,
        "ttag" / Int16ul,
        "offset" / Int32ul,
        "length" / Int32ul,
        Padding(4),
    )
    * "H2CData: the answer to an R2T, or a part of it; offset is within the command's data."
)

TCP_CONTROLLER_DATA = (
    Struct(
        *_head(0x07, 24),
        "cid" / Int16ul,
        Padding(2),
        "offset" / Int32ul,
        "length" / Int32ul,
        Padding(4),
    )
    * "C2HData: data of a command; offset is within the command's data."
)

TCP_READY_TO_TRANSFER = (
    Struct(
        *_head(0x09, 24),
        "cid" / Int16ul,
        "ttag" / Int16ul,
        "offset" / Int32ul,
        "length" / Int32ul,
        Padding(4),
    )
    * "R2T: send this range of the command's data, and name it by ttag."
)
