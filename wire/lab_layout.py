"""The laboratory header: what a model sender and its receiver say to each other over UDP.

A format of this project; nobody else speaks it. All of it is big-endian. Data is a header, then bytes that mean
nothing; an acknowledgement is a header, then ranges of packet numbers, newest first (`wire.lab`). Fast codecs:
`lab_codec`.
"""

from construct import Default, Int8ub, Int16ub, Int32ub, Int64ub, Padding, Struct

MAGIC, VERSION = 0xB1AB, 1


def _head(kind: int) -> tuple[object, ...]:
    return (
        "magic" / Default(Int16ub, MAGIC),
        "version" / Default(Int8ub, VERSION),
        "kind" / Default(Int8ub, kind),
        "flow" / Int32ub,
    )


LAB_DATA = (
    Struct(
        *_head(1),
        "number" / Int64ub,
        "segment" / Int64ub,
        "floor" / Int64ub,
    )
    * """A packet of data. number: of this transmission, never used twice; segment: of the data in it, the same when it
    is sent again; floor: the sender has forgotten every number below. Padding follows.
    """
)

LAB_ACK_HEAD = (
    Struct(
        *_head(2),
        "ce_packets" / Int64ub,
        "delay_ns" / Int32ub,
        "range_count" / Int8ub,
        Padding(3),
    )
    * """The head of an acknowledgement. ce_packets: how many arrived with CE, ever; delay_ns: how long the newest
    packet waited for this; range_count: of `LabRange`s that follow.
    """
)

LAB_RANGE = (
    Struct(
        "first" / Int64ub,
        "last" / Int64ub,
    )
    * "Packets that arrived, the first and the last included."
)
