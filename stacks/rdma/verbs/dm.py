"""Memory of the device itself, and regions over it (ibv_alloc_dm, ibv_reg_dm_mr)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import ClassVar

from stacks.rdma.memory import DeviceMemory
from stacks.rdma.verbs.device import Context
from stacks.rdma.verbs.errors import PyverbsRDMAError, PyverbsUserError, failing_with
from stacks.rdma.verbs.mr import RegionBase
from stacks.rdma.verbs.objects import VerbsObject
from stacks.rdma.verbs.pd import PD
from stacks.runtime import LocalError


@dataclass(slots=True)
class AllocDmAttr:
    """length: bytes of device memory. log_align_req: the address is a multiple of 2 to this. comp_mask: must be 0."""

    length: int
    log_align_req: int = 0
    comp_mask: int = 0


class DM(VerbsObject):
    """A piece of device memory, zero at first. handle: of another context's piece, to import instead.

    Offsets and lengths are multiples of 4 bytes, as devices want them.
    """

    CLOSING_RANK: ClassVar[int] = 2

    def __init__(self, context: Context, dm_attr: AllocDmAttr | None = None, *, handle: int | None = None) -> None:
        self._is_imported = handle is not None
        self.core: DeviceMemory
        if handle is not None:
            self.core = context.handles.find(handle, DM).core
        elif dm_attr is not None:
            what = f"Failed to allocate device memory of size {dm_attr.length}"
            with context.host.lock, failing_with(f"{what}. Max available size {context.query_device_ex().max_dm_size}"):
                if dm_attr.comp_mask:
                    raise LocalError(f"nothing is defined for comp_mask {dm_attr.comp_mask}")
                self.core = context.device.alloc_dm(int(dm_attr.length))
        else:
            raise PyverbsUserError("DM needs attributes or a handle")
        super().__init__(context.host, (context,))
        self.handle = context.handles.add(self) if handle is None else handle

    def copy_to_dm(self, dm_offset: int, data: bytes | str, length: int) -> None:
        """Copy the first `length` bytes of `data` (text in UTF-8) to `dm_offset`."""
        source = data.encode() if isinstance(data, str) else data
        with failing_with("Failed to copy to dm"):
            _check_aligned(dm_offset, length)
            self.core.copy_to(source[:length], dm_offset)

    def copy_from_dm(self, dm_offset: int, length: int) -> bytes:
        """Copy `length` bytes from `dm_offset`."""
        with failing_with("Failed to copy from dm"):
            _check_aligned(dm_offset, length)
            return self.core.copy_from(dm_offset, length)

    def unimport(self) -> None:
        """Give up what was imported; its owner keeps it."""
        if not self._is_imported:
            raise PyverbsRDMAError("Failed to unimport DM: it was not imported", errno.EINVAL)
        self.close()

    def _release(self) -> None:
        if not self._is_imported:
            self.core.free()


class DMMR(RegionBase):
    """A region over `length` bytes of device memory from `offset` on; access says ZERO_BASED, and so is `buf`."""

    def __init__(self, pd: PD, length: int, access: int, dm: DM, offset: int) -> None:
        with pd.context.host.lock, failing_with("Failed to register a device MR"):
            core = pd.core.reg_device_memory(dm.core, int(offset), int(length), int(access))
        super().__init__(pd, core, (dm,))
        self.dm = dm
        self._offset = int(offset)

    def write(self, data: bytes | str, length: int, offset: int = 0) -> None:
        """As `DM.copy_to_dm`."""
        self.dm.copy_to_dm(self._offset + offset, data, length)

    def read(self, length: int, offset: int = 0) -> bytes:
        """As `DM.copy_from_dm`."""
        return self.dm.copy_from_dm(self._offset + offset, length)


def _check_aligned(offset: int, length: int) -> None:
    if offset % ALIGNMENT or length % ALIGNMENT:
        raise LocalError(f"{length} bytes at {offset} of device memory: both must be multiples of {ALIGNMENT}")


ALIGNMENT = 4
