"""Fabrics commands (opcode 7Fh), the data of Connect, and their completions.

Each command is a view over the 64 bytes of a submission entry, with FCTYPE in place of the namespace.

Follows NVMe over Fabrics 1.1 (3) and NVM Express Base 2.0 (6). Fast codecs: `fabrics_codec`. The authentication
commands are here as layouts only; DH-HMAC-CHAP messages are not.
"""

from __future__ import annotations

from construct import Bytes, Default, Int8ul, Int16ul, Int32ul, Int64ul, Padding, Struct

# Opcode 7Fh, and flags for SGLs; numbers, because a definition may not import the package that its codec is part of.
_HEAD = (
    "opcode" / Default(Int8ul, 0x7F),
    "flags" / Default(Int8ul, 0x40),
    "cid" / Int16ul,
)

FABRICS_COMMAND = (
    Struct(
        *_HEAD,
        "fctype" / Int8ul,
        Padding(19),
        "sgl" / Bytes(16),
        "specific" / Bytes(24),
    )
    * "What every fabrics command has in common; `fctype` is a `FabricsType`."
)

CONNECT_COMMAND = (
    Struct(
        *_HEAD,
        "fctype" / Default(Int8ul, 0x01),
        Padding(19),
        "sgl" / Bytes(16),
        "recfmt" / Int16ul,
        "qid" / Int16ul,
        "sqsize" / Int16ul,
        "cattr" / Int8ul,
        Padding(1),
        "kato" / Int32ul,
        Padding(12),
    )
    * """Connect (NVMe over Fabrics 3.3). sqsize 0-based; cattr: priority 1-0, `ConnectAttribute`;
    kato in milliseconds.
    """
)

CONNECT_DATA = (
    Struct(
        "hostid" / Bytes(16),
        "cntlid" / Int16ul,
        Padding(238),
        "subnqn" / Bytes(256),
        "hostnqn" / Bytes(256),
        Padding(256),
    )
    * "Data of Connect, 1024 bytes; the NQNs are text padded with NULs, cntlid is FFFFh for any controller."
)

CONNECT_COMPLETION = (
    Struct(
        "cntlid" / Int16ul,
        "authreq" / Int16ul,
        Padding(4),
        "sqhd" / Int16ul,
        Padding(2),
        "cid" / Int16ul,
        "status" / Int16ul,
    )
    * """Completion of a Connect that succeeded. authreq: bit 1 authentication required, bit 2 with secure channel
    concatenation.
    """
)

CONNECT_REJECTION = (
    Struct(
        "ipo" / Int16ul,
        "iattr" / Int8ul,
        Padding(5),
        "sqhd" / Int16ul,
        Padding(2),
        "cid" / Int16ul,
        "status" / Int16ul,
    )
    * """Completion of a Connect with invalid parameters: where the bad one is. iattr bit 0: in the data, else in the
    command.
    """
)

PROPERTY_GET_COMMAND = (
    Struct(
        *_HEAD,
        "fctype" / Default(Int8ul, 0x04),
        Padding(19),
        "sgl" / Bytes(16),
        "attrib" / Int8ul,
        Padding(3),
        "offset" / Int32ul,
        Padding(16),
    )
    * "Property Get (NVMe over Fabrics 3.5). attrib bits 2-0: `PropertySize`."
)

PROPERTY_GET_COMPLETION = (
    Struct(
        "value" / Int64ul,
        "sqhd" / Int16ul,
        Padding(2),
        "cid" / Int16ul,
        "status" / Int16ul,
    )
    * "Completion of Property Get: the property in the place of DW0 and DW1."
)

PROPERTY_SET_COMMAND = (
    Struct(
        *_HEAD,
        "fctype" / Default(Int8ul, 0x00),
        Padding(19),
        "sgl" / Bytes(16),
        "attrib" / Int8ul,
        Padding(3),
        "offset" / Int32ul,
        "value" / Int64ul,
        Padding(8),
    )
    * "Property Set (NVMe over Fabrics 3.6): value in its first four bytes when the property has four."
)

DISCONNECT_COMMAND = (
    Struct(
        *_HEAD,
        "fctype" / Default(Int8ul, 0x08),
        Padding(19),
        "sgl" / Bytes(16),
        "recfmt" / Int16ul,
        Padding(22),
    )
    * "Disconnect, which ends the I/O queue it is sent on (NVMe over Fabrics 3.4)."
)

AUTHENTICATION_COMMAND = (
    Struct(
        *_HEAD,
        "fctype" / Int8ul,
        Padding(19),
        "sgl" / Bytes(16),
        Padding(1),
        "spsp0" / Int8ul,
        "spsp1" / Int8ul,
        "secp" / Int8ul,
        "length" / Int32ul,
        Padding(16),
    )
    * "Authentication Send and Receive: length is TL or AL in bytes (NVMe Base 6.1, 6.2)."
)
