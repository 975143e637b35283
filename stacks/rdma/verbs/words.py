"""Numbers in words, as pyverbs' functions of the same names say them."""

from __future__ import annotations

import stacks.rdma.verbs.libibverbs_enums as e
from stacks.rdma.enums import QpState, QpType


def qp_type_to_str(qp_type: int) -> str:
    """RC, UC, ..."""
    return _NAMES_OF_TYPES.get(qp_type, f"Unknown ({qp_type})")


def qp_state_to_str(qp_state: int) -> str:
    """RESET, INIT, ..."""
    return {int(state): state.name for state in QpState}.get(qp_state, f"Unknown ({qp_state})")


def translate_mtu(mtu: int) -> str:
    """256 to 4096, of an IBV_MTU_ number."""
    return str(128 << mtu) if 1 <= mtu <= 5 else f"Invalid MTU ({mtu})"


def translate_link_layer(link_layer: int) -> str:
    """InfiniBand or Ethernet."""
    return {0: "Unspecified", 1: "InfiniBand", 2: "Ethernet"}.get(link_layer, f"Invalid link layer ({link_layer})")


def port_state_to_str(port_state: int) -> str:
    """Down, Active, ..."""
    words = {0: "NOP", 1: "Down", 2: "Init", 3: "Armed", 4: "Active", 5: "Active defer"}
    return f"{words.get(port_state, 'Invalid state')} ({port_state})"


def phys_state_to_str(phys_state: int) -> str:
    """Link up, Disabled, ..."""
    words = {
        1: "Sleep",
        2: "Polling",
        3: "Disabled",
        4: "Port configuration training",
        5: "Link up",
        6: "Link error recovery",
        7: "Phy test",
    }
    return f"{words.get(phys_state, 'Invalid physical state')} ({phys_state})"


def width_to_str(width: int) -> str:
    """Lanes, of the number in a port's attributes."""
    return f"{({1: '1X', 2: '4X', 4: '8X', 8: '12X', 16: '2X'}).get(width, 'Invalid width')} ({width})"


def speed_to_str(speed: int) -> str:
    """Gb/s for each lane, of the number in a port's attributes."""
    words = {0: "0.0", 1: "2.5", 2: "5.0", 4: "5.0", 8: "10.0", 16: "14.0", 32: "25.0", 64: "50.0", 128: "100.0"}
    return f"{words[speed]} Gbps ({speed})" if speed in words else f"Invalid speed ({speed})"


def translate_node_type(node_type: int) -> str:
    """CA, switch, ..."""
    return {1: "CA", 2: "switch", 3: "router", 4: "RNIC"}.get(node_type, "unknown")


def translate_event_type(event_type: int) -> str:
    """The IBV_EVENT_ name of an asynchronous event."""
    names: dict[int, str] = {int(member): member.name for member in e.ibv_event_type}  # type: ignore[attr-defined]
    return names.get(event_type, f"Unknown ({event_type})")


_NAMES_OF_TYPES = {**{int(qp_type): qp_type.name for qp_type in QpType}, 8: "Raw Packet", 255: "Driver"}
