"""Memory regions (IBTA 10.6, 11.2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.enums import Access
from stacks.rdma.memory import Mr
from stacks.rdma.verbs.errors import PyverbsUserError, failing_with, unsupported
from stacks.rdma.verbs.mem_alloc import address_of, fresh_view, view_at
from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.pd import PD


class RegionBase(VerbsObject):
    """A registered region, whatever memory it is over. buf: where it starts, for SGEs and peers."""

    CLOSING_RANK: ClassVar[int] = 1

    def __init__(self, pd: PD, core: Mr, parents: tuple[VerbsObject, ...] = ()) -> None:
        super().__init__(pd.context.host, (pd, *parents))
        self.pd = pd
        self.core = core

    @property
    def buf(self) -> int:
        """The address that SGEs and peers begin from."""
        return self.core.address

    @property
    def lkey(self) -> int:
        """The key for SGEs."""
        return self.core.lkey

    @property
    def rkey(self) -> int:
        """The key for peers."""
        return self.core.rkey

    @property
    def length(self) -> int:
        """Bytes."""
        return self.core.length

    def _release(self) -> None:
        self.core.dereg()


class MR(RegionBase):
    """A region over memory of this process.

    length: bytes. access: IBV_ACCESS_ bits. What memory it is: fresh, page-aligned and zero by default; that at
    `address`, which its owner must keep; or any writable `buffer`, which is kept.
    implicit: a region over whatever the device knows of, paged on demand, with `length` fresh bytes in it at `buf`.
    handle: of another context's region, to import instead.
    """

    def __init__(
        self,
        creator: PD,
        length: int = 0,
        access: int = 0,
        address: int | None = None,
        implicit: bool = False,
        *,
        buffer: object = None,
        handle: int | None = None,
    ) -> None:
        self._is_imported = handle is not None
        self._implicit_start: int | None = None
        if handle is not None:
            source = creator.context.handles.find(handle, MR)
            self._view: memoryview = source.view
            core = source.core
        else:
            self._view = _memory(int(length), address, buffer)
            core = self._registered(creator, int(access), implicit=implicit)
        super().__init__(creator, core)
        self.handle = creator.context.handles.add(self) if handle is None else handle

    @property
    def buf(self) -> int:
        """Where it starts, for SGEs and peers."""
        return super().buf if self._implicit_start is None else self._implicit_start

    def rereg(self, flags: int, pd: PD | None = None, addr: int = 0, length: int = 0, access: int = 0) -> None:
        """Change memory (IBV_REREG_MR_CHANGE_TRANSLATION), domain (_PD) or rights (_ACCESS), under the same keys."""
        view = _memory(length, addr, None) if flags & CHANGE_TRANSLATION else None
        rights = int(access) if flags & CHANGE_ACCESS else self.core.access
        domain = pd if pd is not None and flags & CHANGE_PD else self.pd
        with self._host.lock, failing_with("Failed to re-register a MR"):
            self.core.rereg(
                pd=domain.core,
                buffer=view,
                access=rights,
                address=None if view is None else _start(view, rights),
            )
        if domain is not self.pd:
            self._change_parent(self.pd, domain)
            self.pd = domain
        if view is not None:
            self._view = view

    @property
    def view(self) -> memoryview:
        """The memory itself, for reading and writing without a copy."""
        return self._view

    def write(self, data: bytes | str, length: int, offset: int = 0) -> None:
        """Copy the first `length` bytes of `data` (text in UTF-8) to `offset`."""
        source = data.encode() if isinstance(data, str) else data
        self._view[offset : offset + length] = source[:length]

    def read(self, length: int, offset: int = 0) -> bytes:
        """Copy `length` bytes from `offset`."""
        return bytes(self._view[offset : offset + length])

    def unimport(self) -> None:
        """Give up what was imported; its owner keeps it."""
        self.close()

    def _registered(self, pd: PD, access: int, *, implicit: bool) -> Mr:
        view = self._view
        what = f"Failed to register a MR. length: {len(view)}, access flags: {access:#x}"
        with pd.context.host.lock, failing_with(what):
            if not implicit:
                return pd.core.reg_mr(view, access, address=_start(view, access))
            core = pd.core.reg_odp(access)
            self._implicit_start = pd.context.device.memory.dma.attach(view)
            return core

    def _release(self) -> None:
        if self._is_imported:
            return
        super()._release()
        if self._implicit_start is not None:
            self.pd.context.device.memory.dma.detach(self._implicit_start)


class DmaBufMR(RegionBase):
    """A region over a buffer of another card (ibv_reg_dmabuf_mr): there is none to share one with."""

    def __init__(self, creator: PD, length: int, access: int, *, offset: int = 0, **options: object) -> None:  # noqa: ARG002
        raise unsupported("Failed to register a dma-buf MR")


def _start(view: memoryview, access: int) -> int:
    return 0 if access & Access.ZERO_BASED else address_of(view)


def _memory(length: int, address: int | None, buffer: object) -> memoryview:
    if length < 0:
        raise PyverbsUserError(f"a region of {length} bytes")
    if buffer is not None:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # cast and registration refuse what is none
        return view[:length] if length else view
    if address:
        return view_at(address, length)
    return fresh_view(length)


CHANGE_TRANSLATION, CHANGE_PD, CHANGE_ACCESS = 1, 2, 4
