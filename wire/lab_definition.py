"""The whole acknowledgement of the laboratory header, with its ranges: what `wire.lab` is tested against."""

from construct import Array, Struct, this

from wire.lab_layout import LAB_ACK_HEAD, LAB_RANGE

LAB_ACK = Struct(
    "head" / LAB_ACK_HEAD,
    "ranges" / Array(this.head.range_count, LAB_RANGE),
)
