"""TCP (RFC 9293 3.1): the header, and the options of fixed length that a SYN carries."""

from construct import BitStruct, Default, Int8ub, Int16ub, Int32ub, Nibble, Struct

TCP_HEADER = (
    Struct(
        "source_port" / Int16ub,
        "destination_port" / Int16ub,
        "sequence" / Int32ub,
        "acknowledgment" / Int32ub,
        "byte_12" / BitStruct("data_offset" / Default(Nibble, 5), "reserved" / Nibble),
        "flags" / Int8ub,
        "window" / Int16ub,
        "checksum" / Int16ub,
        "urgent_pointer" / Int16ub,
    )
    * """TCP header (RFC 9293 3.1), its first 20 bytes; options follow when data_offset, in 4 bytes, is above 5.

    flags: `TcpFlag`s. window: before scaling. Encoding does not compute the checksum: see `tcp_checksum`.
    """
)

TCP_MSS_OPTION = (
    Struct("kind" / Default(Int8ub, 2), "length" / Default(Int8ub, 4), "mss" / Int16ub)
    * "Maximum segment size in bytes, in a SYN (RFC 9293 3.2)."
)

TCP_WINDOW_SCALE_OPTION = (
    Struct("kind" / Default(Int8ub, 3), "length" / Default(Int8ub, 3), "shift" / Int8ub)
    * "How far to shift the windows of this sender, in a SYN (RFC 7323 2.2)."
)
