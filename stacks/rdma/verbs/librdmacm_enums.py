"""The enums of librdmacm (rdma_cma.h) under their C names; see `libibverbs_enums`."""

from __future__ import annotations

from stacks.rdma.verbs.enum_tables import EnumTable, members


def __getattr__(name: str) -> int:
    """For type checkers, which cannot look into the tables: every RDMA_ name is an integer."""
    raise AttributeError(f"librdmacm has no {name}")


_TABLES: EnumTable = {
    "rdma_cm_event_type": (
        "RDMA_CM_EVENT_",
        """
        ADDR_RESOLVED=0 ADDR_ERROR=1 ROUTE_RESOLVED=2 ROUTE_ERROR=3 CONNECT_REQUEST=4 CONNECT_RESPONSE=5
        CONNECT_ERROR=6 UNREACHABLE=7 REJECTED=8 ESTABLISHED=9 DISCONNECTED=10 DEVICE_REMOVAL=11
        MULTICAST_JOIN=12 MULTICAST_ERROR=13 ADDR_CHANGE=14 TIMEWAIT_EXIT=15
        """,
    ),
    "rdma_cm_join_mc_attr_mask": ("RDMA_CM_JOIN_MC_ATTR_", "ADDRESS=1 JOIN_FLAGS=2"),
    "rdma_cm_mc_join_flags": ("RDMA_MC_JOIN_FLAG_", "FULLMEMBER=0 SENDONLY_FULLMEMBER=1"),
    "rdma_port_space": ("RDMA_PS_", "IPOIB=2 TCP=262 UDP=273 IB=319"),
}

_LOOSE = {
    "RAI_PASSIVE": 1,
    "RAI_NUMERICHOST": 2,
    "RAI_NOROUTE": 4,
    "RAI_FAMILY": 8,
    "RDMA_OPTION_ID": 0,
    "RDMA_OPTION_IB": 1,
    "RDMA_OPTION_ID_TOS": 0,
    "RDMA_OPTION_ID_REUSEADDR": 1,
    "RDMA_OPTION_ID_AFONLY": 2,
    "RDMA_OPTION_ID_ACK_TIMEOUT": 3,
}

globals().update(members(_TABLES, __name__))
globals().update(_LOOSE)
