"""What a device has room for, and what its port is (IBTA 11.2.2.2, libibverbs ibv_query_device, ibv_query_port)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from stacks.rdma.work import MAX_MESSAGE_BYTES
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.qp import QpCapacity


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """Most of each kind, under the names of ibv_device_attr; a device keeps to those that it is configured with.

    max_qp_wr, max_sge: of one queue, and of one work request. max_cqe: entries of one completion queue.
    max_qp_rd_atom: READs and atomics outstanding. local_ca_ack_delay: 5-bit field, as of the ACK timeout.
    """

    max_qp: int = 65536
    max_qp_wr: int = 1 << 20
    max_sge: int = 64
    max_cq: int = 65536
    max_cqe: int = 1 << 24
    max_mr: int = 1 << 19
    max_mw: int = 1 << 19
    max_pd: int = 1 << 16
    max_srq: int = 65536
    max_srq_wr: int = 1 << 20
    max_srq_sge: int = 64
    max_xrcd: int = 65536
    max_ah: int = 1 << 19
    max_qp_rd_atom: int = 128
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_pkeys: int = 1
    local_ca_ack_delay: int = 15

    def check_capacity(self, capacity: QpCapacity) -> None:
        """LocalError for queues that are longer, or work requests that have more pieces, than the device takes."""
        for name in ("max_send_wr", "max_recv_wr"):
            check_limit(name, getattr(capacity, name), self.max_qp_wr, "max_qp_wr")
        for name in ("max_send_sge", "max_recv_sge"):
            check_limit(name, getattr(capacity, name), self.max_sge, "max_sge")


class PortState(enum.IntEnum):
    """As ibv_port_state; an Ethernet port is one or the other."""

    DOWN = 1
    ACTIVE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAttributes:
    """What port 1, the only one, is. max_mtu, active_mtu: path MTUs in bytes. lid and sm_lid are 0 on Ethernet."""

    state: PortState
    max_mtu: int
    active_mtu: int
    gid_table_length: int
    pkey_table_length: int
    max_message_bytes: int
    link_layer: str = "Ethernet"
    lid: int = 0
    sm_lid: int = 0


class Port:
    """The port: its state, its GIDs and its partition keys.

    is_active: whether packets come and go.
    """

    def __init__(self, address: str, *, max_mtu: int) -> None:
        self.is_active = True
        self._max_mtu = max_mtu
        self._gids: list[IPv6Address | None] = [gid_of(address)] + [None] * (GID_TABLE_LENGTH - 1)

    def query(self) -> PortAttributes:
        """See `PortAttributes`."""
        return PortAttributes(
            state=PortState.ACTIVE if self.is_active else PortState.DOWN,
            max_mtu=4096,
            active_mtu=self._max_mtu,
            gid_table_length=GID_TABLE_LENGTH,
            pkey_table_length=1,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )

    def query_gid(self, index: int) -> IPv6Address:
        """An entry of the GID table; zero where there is none, LocalError beyond its end."""
        self._check_index(index)
        return self._gids[index] or IPv6Address(0)

    def set_gid(self, index: int, address: str | None) -> bool:
        """Put another address's GID into the table, or clear the entry; whether that changed anything.

        Raises LocalError for entry 0, which is that of the device's own address: packets carry no other.
        """
        self._check_index(index)
        if index == 0:
            raise LocalError("GID 0 is that of the device's address: make a device of its own for another")
        gid = None if address is None else gid_of(address)
        is_new = gid != self._gids[index]
        self._gids[index] = gid
        return is_new

    def query_pkey(self, index: int) -> int:
        """The P_Key: 0xFFFF, full member of the default partition, at 0; LocalError beyond."""
        if index != 0:
            raise LocalError(f"the P_Key table has one entry, 0, and no {index}")
        return DEFAULT_PKEY

    def _check_index(self, index: int) -> None:
        if not 0 <= index < GID_TABLE_LENGTH:
            raise LocalError(f"the GID table has entries 0 to {GID_TABLE_LENGTH - 1}, and no {index}")


def gid_of(address: str) -> IPv6Address:
    """The GID of an IP address: an IPv6 one itself, an IPv4 one mapped (IBTA A17.4.2). LocalError for anything else."""
    try:
        parsed = ip_address(address)
    except ValueError:
        raise LocalError(f"a GID is made of an IP address in numeric form, not {address!r}") from None
    return parsed if isinstance(parsed, IPv6Address) else IPv6Address(f"::ffff:{parsed}")


def check_limit(name: str, value: int, limit: int, limit_name: str) -> None:
    """LocalError when `value` is negative or beyond `limit`."""
    if not 0 <= value <= limit:
        raise LocalError(f"{name} must be 0 to {limit} ({limit_name}), not {value}")


DEFAULT_PKEY = 0xFFFF
GID_TABLE_LENGTH = 8
