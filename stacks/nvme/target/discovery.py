"""The discovery log: one entry for each subsystem and each port through which it is reached.

Follows NVMe over Fabrics 5.3 (NVMe Base 2.0 5.16.1.23).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.nvme.kinds import (
    AddressFamily,
    RdmaConnectionService,
    RdmaProvider,
    RdmaQpType,
    SecureChannel,
    SubsystemType,
    TransportType,
)
from wire.nvme.logs_codec import DiscoveryEntry, DiscoveryHeader, RdmaAddress
from wire.nvme.opcodes import CNTLID_DYNAMIC
from wire.nvme.text import padded

if TYPE_CHECKING:
    from stacks.nvme.target.target import Target


@dataclass(frozen=True, slots=True)
class PortAddress:
    """Where a port listens: the transport, the host in numeric form, and the port number."""

    transport: TransportType
    host: str
    port: int


def discovery_log(target: Target, host_nqn: str) -> bytes:
    """The whole log page 70h, with the subsystems that this host may connect to."""
    entries = [
        _entry(number, port.address, subsystem.nqn, is_discovery=subsystem.is_discovery)
        for subsystem in target.subsystems.values()
        for number, port in enumerate(target.ports, 1)
        if subsystem.admits(host_nqn) and port.address is not None
    ]
    header = DiscoveryHeader(genctr=target.discovery_generation, numrec=len(entries))
    return header.encode() + b"".join(entry.encode() for entry in entries)


def _entry(number: int, address: PortAddress, nqn: str, *, is_discovery: bool) -> DiscoveryEntry:
    is_rdma = address.transport is TransportType.RDMA
    return DiscoveryEntry(
        trtype=address.transport,
        adrfam=AddressFamily.IPV6 if ":" in address.host else AddressFamily.IPV4,
        subtype=SubsystemType.CURRENT_DISCOVERY if is_discovery else SubsystemType.NVM,
        treq=SecureChannel.NOT_REQUIRED,
        portid=number,
        cntlid=CNTLID_DYNAMIC,
        asqsz=ADMIN_QUEUE_ENTRIES,
        trsvcid=padded(str(address.port), 32, fill=b" "),
        subnqn=padded(nqn, 256),
        traddr=padded(address.host, 256, fill=b" "),
        tsas=_RDMA_TSAS if is_rdma else bytes(256),
    )


ADMIN_QUEUE_ENTRIES = 32

_RDMA_TSAS = (
    RdmaAddress(qptype=RdmaQpType.RELIABLE_CONNECTED, prtype=RdmaProvider.ROCE_V2, cms=RdmaConnectionService.RDMA_CM)
    .encode()
    .ljust(256, b"\0")
)
