"""Memory regions (IBTA 10.6, 11.2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.enums import Access
from stacks.rdma.verbs.errors import PyverbsUserError, failing_with, unsupported
from stacks.rdma.verbs.mem_alloc import address_of, fresh_view, view_at
from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.pd import PD


class MR(VerbsObject):
    """A registered region.

    length: bytes. access: IBV_ACCESS_ bits. What memory it is: fresh, page-aligned and zero by default; that at
    `address`, which its owner must keep; or any writable `buffer`, which is kept. buf: where it starts.
    """

    CLOSING_RANK: ClassVar[int] = 1

    def __init__(
        self,
        creator: PD,
        length: int = 0,
        access: int = 0,
        address: int | None = None,
        implicit: bool = False,
        *,
        buffer: object = None,
    ) -> None:
        if implicit:
            raise unsupported("Failed to register a MR of all memory")
        self._view = _memory(int(length), address, buffer)
        # Pages move in and out of a region on demand, but those of a process are always here.
        access = int(access)
        with creator.context.host.lock, failing_with(f"Failed to register a MR. length: {length}, access: {access:#x}"):
            self.core = creator.core.reg_mr(self._view, access, address=_start(self._view, access))
        super().__init__(creator.context.host, (creator,))
        self.pd = creator

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

    def _release(self) -> None:
        self.core.dereg()


class DmaBufMR(MR):
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
