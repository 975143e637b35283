"""Ethernet frames: header, VLAN tag and Ethertypes."""

from __future__ import annotations

from enum import IntEnum

from wire.ethernet_codec import EthernetHeader, VlanTag


class Ethertype(IntEnum):
    """What an Ethernet frame carries."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    IPV6 = 0x86DD
    ROCE_V1 = 0x8915


__all__ = ["EthernetHeader", "Ethertype", "VlanTag"]
