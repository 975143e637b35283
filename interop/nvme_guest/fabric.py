"""How an NVMe host reaches a target: the transport, and what is agreed on it."""

from __future__ import annotations

from dataclasses import dataclass

PORT = 4420


@dataclass(frozen=True, slots=True)
class Fabric:
    """A way between host and target.

    name: part of the names of cases. transport: `rdma` or `tcp`, as in URLs and in nvme-cli's `-t`.
    host_words: what `nvme connect` is told besides.
    """

    name: str
    transport: str
    host_words: str = ""

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


RDMA = Fabric("rdma", "rdma")
FABRICS = (RDMA,)
