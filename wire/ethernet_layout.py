"""Ethernet II and its VLAN tag (IEEE 802.3 3.2, 802.1Q 9.6)."""

from construct import BitsInteger, BitStruct, Bytes, Int16ub, Struct

ETHERNET_HEADER = (
    Struct("destination" / Bytes(6), "source" / Bytes(6), "ethertype" / Int16ub)
    * "Ethernet II header (IEEE 802.3 3.2), without preamble and FCS. See `Ethertype`."
)

VLAN_TAG = (
    Struct(
        "control" / BitStruct("pcp" / BitsInteger(3), "dei" / BitsInteger(1), "vid" / BitsInteger(12)),
        "ethertype" / Int16ub,
    )
    * "What follows an Ethertype of 0x8100 (IEEE 802.1Q 9.6): priority, drop eligible, VLAN; the payload's Ethertype."
)
