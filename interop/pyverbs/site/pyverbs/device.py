"""Devices and contexts."""

from stacks.rdma.verbs.async_events import AsyncEvent
from stacks.rdma.verbs.device import Context, Device, get_device_list
from stacks.rdma.verbs.dm import DM, AllocDmAttr
from stacks.rdma.verbs.words import (
    phys_state_to_str,
    port_state_to_str,
    speed_to_str,
    translate_event_type,
    translate_link_layer,
    translate_mtu,
    translate_node_type,
    width_to_str,
)

__all__ = [
    "DM",
    "AllocDmAttr",
    "AsyncEvent",
    "Context",
    "Device",
    "get_device_list",
    "phys_state_to_str",
    "port_state_to_str",
    "speed_to_str",
    "translate_event_type",
    "translate_link_layer",
    "translate_mtu",
    "translate_node_type",
    "width_to_str",
]
