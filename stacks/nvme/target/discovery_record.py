"""One entry of the discovery log: an address, what is behind it, and how it looks on the wire.

Follows NVMe over Fabrics 1.1 5.3 (NVMe Base 2.0 5.16.1.23).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from stacks.runtime import LocalError
from wire.nvme.kinds import (
    TREQ_FLOW_CONTROL_OFF,
    AddressFamily,
    DiscoveryEntryFlag,
    RdmaConnectionService,
    RdmaProvider,
    RdmaQpType,
    SecureChannel,
    SubsystemType,
    TransportType,
)
from wire.nvme.logs_codec import DiscoveryEntry, DiscoveryExtension, RdmaAddress, TcpAddress
from wire.nvme.opcodes import CNTLID_DYNAMIC
from wire.nvme.text import padded


@dataclass(frozen=True, slots=True)
class PortAddress:
    """Where a port listens: the transport, the host in numeric form (perhaps any: `0.0.0.0`, `::`), the port number."""

    transport: TransportType
    host: str
    port: int

    def as_seen_by(self, local_host: str) -> PortAddress | None:
        """The address for a host that found us at `local_host` (empty: nobody knows): any address becomes that one;
        None when the host cannot get there.
        """
        if self.host not in ANY_HOST or not local_host:
            return self
        can_be = ":" in self.host or ":" not in local_host
        return PortAddress(self.transport, local_host, self.port) if can_be else None


@dataclass(frozen=True, slots=True)
class Record:
    """An entry of the discovery log.

    subtype: what is there; address: where; nqn: its name; portid: the port; flags: EFLAGS.
    """

    subtype: SubsystemType
    address: PortAddress
    nqn: str
    portid: int
    flags: int = 0

    def encode(self, *, is_extended: bool) -> bytes:
        """The entry as it is in the log; is_extended: with a length and (no) extended attributes behind it."""
        address = self.address
        entry = DiscoveryEntry(
            trtype=address.transport,
            adrfam=AddressFamily.IPV6 if ":" in address.host else AddressFamily.IPV4,
            subtype=self.subtype,
            # Not "not required", though that is so: libnvme 1.3 then asks for TLS, which kernels before 6.7 refuse.
            treq=SecureChannel.UNSPECIFIED | TREQ_FLOW_CONTROL_OFF,
            portid=self.portid,
            cntlid=CNTLID_DYNAMIC,
            asqsz=ADMIN_QUEUE_ENTRIES,
            eflags=self.flags,
            trsvcid=padded(str(address.port), 32, fill=b" "),
            subnqn=padded(self.nqn, 256),
            traddr=padded(address.host, 256, fill=b" "),
            tsas=_TSAS.get(address.transport, bytes(256)),
        ).encode()
        return entry + DiscoveryExtension(tel=EXTENDED_BYTES).encode() if is_extended else entry


def check_address(address: PortAddress) -> None:
    """LocalError for an address that no host could connect to."""
    try:
        host = ip_address(address.host)
    except ValueError:
        raise LocalError(f"{address.host!r} is no numeric address") from None
    if host.is_unspecified or not 0 < address.port <= 0xFFFF:
        raise LocalError(f"nobody can connect to {address.host} port {address.port}")


ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 (what such a port says of itself; nothing is bound here)

CURRENT_FLAGS = DiscoveryEntryFlag.DUPLICATE_INFORMATION | DiscoveryEntryFlag.PERSISTENT_CONNECTION
"""EFLAGS of this discovery service: all its ports tell the same, and a host may stay."""

ADMIN_QUEUE_ENTRIES = 32
EXTENDED_BYTES = DiscoveryEntry.SIZE + DiscoveryExtension.SIZE

_TSAS = {
    TransportType.RDMA: RdmaAddress(
        qptype=RdmaQpType.RELIABLE_CONNECTED, prtype=RdmaProvider.ROCE_V2, cms=RdmaConnectionService.RDMA_CM
    )
    .encode()
    .ljust(256, b"\0"),
    TransportType.TCP: TcpAddress(sectype=0).encode().ljust(256, b"\0"),
}
"""Of the transport: RoCEv2 through the connection manager, and TCP without TLS."""
