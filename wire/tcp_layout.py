"""TCP's header without options (RFC 9293 3.1, RFC 3168)."""

from construct import BitsInteger, BitStruct, Default, Int16ub, Int32ub, Struct

TCP_HEADER = (
    Struct(
        "source_port" / Int16ub,
        "destination_port" / Int16ub,
        "seq" / Int32ub,
        "ack" / Int32ub,
        "flags"
        / BitStruct(
            "data_offset" / Default(BitsInteger(4), 5),
            "reserved" / BitsInteger(3),
            "ns" / BitsInteger(1),
            "cwr" / BitsInteger(1),
            "ece" / BitsInteger(1),
            "has_urgent" / BitsInteger(1),
            "has_ack" / BitsInteger(1),
            "psh" / BitsInteger(1),
            "rst" / BitsInteger(1),
            "syn" / BitsInteger(1),
            "fin" / BitsInteger(1),
        ),
        "window" / Int16ub,
        "checksum" / Int16ub,
        "urgent" / Int16ub,
    )
    * """TCP header (RFC 9293 3.1), its first 20 bytes; options follow when data_offset, in 4 bytes, is above 5.

    ns: AE of AccECN. ack and urgent mean something with has_ack and has_urgent.
    """
)
