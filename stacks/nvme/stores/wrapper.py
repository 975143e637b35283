"""A store around another: whatever is not changed goes through. Read-only, cached and faulty stores are such."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.stores.contract import Store, StoreRequest


class StoreWrapper(Store):
    """`inner` as it is; a subclass changes some of it. inner: owned by the wrapper from now on, and closed with it."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.block_bytes = inner.block_bytes
        self.block_count = inner.block_count
        self.is_read_only = inner.is_read_only
        self.is_zero_after_deallocate = inner.is_zero_after_deallocate
        self.slow_verbs = inner.slow_verbs
        self.has_delays = inner.has_delays

    def read(self, block: int, into: memoryview) -> None:
        """As the inner store."""
        self.inner.read(block, into)

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """As the inner store."""
        self.inner.write(block, data)

    def flush(self) -> None:
        """As the inner store."""
        self.inner.flush()

    def deallocate(self, block: int, blocks: int) -> None:
        """As the inner store."""
        self.inner.deallocate(block, blocks)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """As the inner store."""
        self.inner.write_zeroes(block, blocks)

    def view(self, block: int, blocks: int) -> memoryview | None:
        """As the inner store."""
        return self.inner.view(block, blocks)

    def delay_ns(self, request: StoreRequest) -> int:
        """As the inner store."""
        return self.inner.delay_ns(request)

    def resize(self, size_bytes: int, *, may_shrink: bool = False) -> None:
        """As the inner store."""
        self.inner.resize(size_bytes, may_shrink=may_shrink)
        self.block_count = self.inner.block_count

    def close(self) -> None:
        """Close the inner store."""
        self.inner.close()
