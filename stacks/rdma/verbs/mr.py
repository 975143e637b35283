"""Memory regions (IBTA 10.6, 11.2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.verbs.errors import PyverbsUserError, failing_with
from stacks.rdma.verbs.mem_alloc import fresh_view, view_at
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
        *,
        buffer: object = None,
    ) -> None:
        self._view = _memory(int(length), address, buffer)
        with creator.context.host.lock, failing_with(f"Failed to register a MR. length: {length}, access: {access:#x}"):
            self.core = creator.core.reg_mr(self._view, int(access))
        super().__init__(creator.context.host, (creator,))
        self.pd = creator

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


def _memory(length: int, address: int | None, buffer: object) -> memoryview:
    if length < 0:
        raise PyverbsUserError(f"a region of {length} bytes")
    if buffer is not None:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # cast and registration refuse what is none
        return view[:length] if length else view
    if address:
        return view_at(address, length)
    return fresh_view(length)
