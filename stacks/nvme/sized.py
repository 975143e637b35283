"""What both faces of a connected namespace say of its size."""

from __future__ import annotations

from stacks.nvme.host import HostNamespace


class Sized:
    """How large the namespace is now; a target may resize it at any time."""

    @property
    def core(self) -> HostNamespace:
        """The namespace in the core."""
        raise NotImplementedError

    @property
    def block_bytes(self) -> int:
        """Size of a block in bytes."""
        return self.core.block_bytes

    @property
    def block_count(self) -> int:
        """Number of blocks."""
        return self.core.block_count

    @property
    def size_bytes(self) -> int:
        """Capacity in bytes."""
        return self.core.size_bytes
