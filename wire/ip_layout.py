"""IPv4 without options, and IPv6, which is also the GRH of RoCEv1 (RFC 791 3.1, RFC 8200 3, RFC 3168)."""

from construct import BitsInteger, BitStruct, Bytes, Default, Int8ub, Int16ub, Nibble, Struct

IPV4_HEADER = (
    Struct(
        "byte_0" / BitStruct("version" / Default(Nibble, 4), "ihl" / Default(Nibble, 5)),
        "byte_1" / BitStruct("dscp" / BitsInteger(6), "ecn" / BitsInteger(2)),
        "total_length" / Int16ub,
        "identification" / Int16ub,
        "fragment"
        / BitStruct(
            "reserved" / BitsInteger(1),
            "dont_fragment" / BitsInteger(1),
            "more_fragments" / BitsInteger(1),
            "fragment_offset" / BitsInteger(13),
        ),
        "ttl" / Default(Int8ub, 64),
        "protocol" / Int8ub,
        "checksum" / Int16ub,
        "source" / Bytes(4),
        "destination" / Bytes(4),
    )
    * """IPv4 header (RFC 791 3.1), its first 20 bytes; options follow when ihl, in 4 bytes, is above 5.

    fragment_offset is in units of 8 bytes. Encoding does not compute the checksum: see `ipv4_checksum`.
    """
)

IPV6_HEADER = (
    Struct(
        "first"
        / BitStruct(
            "version" / Default(Nibble, 6),
            "dscp" / BitsInteger(6),
            "ecn" / BitsInteger(2),
            "flow_label" / BitsInteger(20),
        ),
        "payload_length" / Int16ub,
        "next_header" / Int8ub,
        "hop_limit" / Default(Int8ub, 64),
        "source" / Bytes(16),
        "destination" / Bytes(16),
    )
    * "IPv6 header (RFC 8200 3), and with next header 0x1B the Global Route Header of RoCEv1 (IBTA 8.3)."
)
