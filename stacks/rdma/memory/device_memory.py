"""Memory of the device itself: allocated from it, copied to and from by the host, and registered like other memory.

Peers reach it with READs, WRITEs and atomics under a region's key; no host memory and no `Dma` is involved. There is as
much as `MemoryConfig.device_memory_bytes` says.
"""

from __future__ import annotations

from errno import EBUSY, ENOMEM, EOPNOTSUPP
from typing import TYPE_CHECKING

from stacks.rdma.enums import Access
from stacks.rdma.memory.region import Region
from stacks.rdma.memory.regions import Mr, check_access
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.memory.pd import Pd
    from stacks.rdma.memory.regions import MemoryTable


class DeviceMemory:
    """A piece of a device's memory, zero at first; made by `Device.alloc_dm`.

    length: bytes.
    """

    __slots__ = ("_memory", "_regions", "_table", "length")

    def __init__(self, table: MemoryTable, length: int) -> None:
        if not table.config.device_memory_bytes:
            raise LocalError("this device has no memory of its own", errno=EOPNOTSUPP)
        left = table.config.device_memory_bytes - table.device_memory_used
        if not 0 < length <= left:
            raise LocalError(f"{length} bytes of device memory, but {left} are left", errno=ENOMEM)
        table.device_memory_used += length
        self._table = table
        self._memory: memoryview | None = memoryview(bytearray(length))
        self._regions: list[Mr] = []
        self.length = length

    def copy_to(self, data: bytes | bytearray | memoryview, offset: int = 0) -> None:
        """Put `data` at `offset` bytes; LocalError for what does not lie inside (ibv_memcpy_to_dm)."""
        self._piece(offset, len(data))[:] = data

    def copy_from(self, offset: int, length: int) -> bytes:
        """A copy of `length` bytes from `offset` on; LocalError likewise (ibv_memcpy_from_dm)."""
        return bytes(self._piece(offset, length))

    def free(self) -> None:
        """Give it back; LocalError while a region over it is registered. Idempotent (ibv_free_dm)."""
        if self._memory is None:
            return
        if any(region.is_valid for region in self._regions):
            raise LocalError("device memory cannot be freed while a region over it is registered", errno=EBUSY)
        self._memory = None
        self._table.device_memory_used -= self.length

    def register(self, pd: Pd, offset: int, length: int, access: int) -> Mr:
        """See `Pd.reg_device_memory`."""
        check_access(access, is_durable=False)
        if not access & Access.ZERO_BASED:
            raise LocalError("a region over device memory is zero-based: it has no address of the host's")
        region = Region(pd, 0, length, access=access, direct=self._piece(offset, length))
        mr = self._table.enter(region, start=None)
        self._regions = [one for one in self._regions if one.is_valid]
        self._regions.append(mr)
        return mr

    def _piece(self, offset: int, length: int) -> memoryview:
        if self._memory is None:
            raise LocalError("this device memory was freed")
        if offset < 0 or length < 0 or offset + length > self.length:
            raise LocalError(f"{length} bytes at {offset} are not inside {self.length} of device memory")
        return self._memory[offset : offset + length]
