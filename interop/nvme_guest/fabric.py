"""How an NVMe host reaches a target: the transport, and what is agreed on it."""

from __future__ import annotations

from dataclasses import dataclass

from interop.guest.machine import ADDRESSES
from interop.guest.network import OURS

PORT = 4420


@dataclass(frozen=True, slots=True)
class Fabric:
    """A way between host and target.

    name: part of the names of cases. transport: `rdma` or `tcp`, as in URLs and in nvme-cli's `-t`.
    digests: one of DIGESTS, as our initiator is told. is_ipv6: the family of addresses. workers: processes of our
    target for I/O connections.
    """

    name: str
    transport: str
    digests: str = "none"
    is_ipv6: bool = False
    workers: int = 0

    @property
    def our_address(self) -> str:
        """Where our targets listen."""
        return OURS[self.is_ipv6].partition("/")[0]

    @property
    def guest_address(self) -> str:
        """Where the kernel's target listens."""
        return ADDRESSES[self.is_ipv6]

    @property
    def host_words(self) -> str:
        """What `nvme connect` is told besides."""
        return DIGESTS[self.digests]

    @property
    def host_modules(self) -> str:
        """Kernel modules that a host needs."""
        return f"nvme_{self.transport}"

    @property
    def target_modules(self) -> str:
        """Kernel modules that a target needs."""
        return f"nvmet nvmet_{self.transport}"

    def url(self, address: str, nqn: str = "", *, port: int = PORT) -> str:
        """The URL of a target, or of a subsystem, as our commands take it."""
        host = f"[{address}]" if ":" in address else address
        return f"nvme+{self.transport}://{host}:{port}" + (f"/{nqn}" if nqn else "")

    def place(self, address: str, *, port: int = PORT) -> str:
        """The same target as nvme-cli takes it."""
        return f"-t {self.transport} -a {address} -s {port}"


DIGESTS = {
    "none": "",
    "header": "--hdr-digest",
    "data": "--data-digest",
    "both": "--hdr-digest --data-digest",
}
"""By our words for them, those of `nvme connect`."""
RDMA = Fabric("rdma", "rdma")
TCP = Fabric("tcp", "tcp")
TCP_HEADER_DIGEST = Fabric("tcp-header-digest", "tcp", "header")
TCP_DATA_DIGEST = Fabric("tcp-data-digest", "tcp", "data")
RDMA_IPV6, TCP_IPV6 = Fabric("rdma-ipv6", "rdma", is_ipv6=True), Fabric("tcp-ipv6", "tcp", is_ipv6=True)
TCP_BOTH_DIGESTS = Fabric("tcp-both-digests", "tcp", "both")
TCP_WORKERS = Fabric("tcp-workers", "tcp", workers=2)
