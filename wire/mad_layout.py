"""The management datagram: the header of 256 bytes that a UD SEND Only carries to QP0 or QP1 (IBTA 13.4.3)."""

from construct import Default, Int8ub, Int16ub, Int32ub, Int64ub, Padding, Struct

MAD_HEADER = (
    Struct(
        "base_version" / Default(Int8ub, 1),
        "mgmt_class" / Int8ub,
        "class_version" / Int8ub,
        "method" / Int8ub,
        "status" / Int16ub,
        "class_specific" / Int16ub,
        "transaction_id" / Int64ub,
        "attribute" / Int16ub,
        Padding(2),
        "modifier" / Int32ub,
    )
    * "The common MAD header (IBTA 13.4.3), 24 bytes; 232 bytes of the class follow."
)
