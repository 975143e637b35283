"""Sizes of stores in blocks, and which changes of them make sense."""

from __future__ import annotations

import errno

from stacks.nvme.stores.contract import Store
from stacks.runtime import LocalError


def block_count_of(what: str, size_bytes: int, block_bytes: int) -> int:
    """How many blocks `size_bytes` holds; raises LocalError, naming `what`, when that is not a whole number of them."""
    if block_bytes not in BLOCK_SIZES:
        raise LocalError(f"{what}: block size {block_bytes} is not supported, use 512 or 4096")
    if size_bytes <= 0 or size_bytes % block_bytes:
        raise LocalError(f"{what}: size {size_bytes} is not a positive multiple of the {block_bytes}-byte block")
    return size_bytes // block_bytes


def resized_block_count(what: str, store: Store, size_bytes: int, *, may_shrink: bool) -> int:
    """How many blocks `store` is to have after `Store.resize`; LocalError, naming `what`, when it is not to."""
    block_count = block_count_of(what, size_bytes, store.block_bytes)
    if store.is_read_only:
        raise LocalError(f"{what} is read-only and cannot be resized", errno=errno.EROFS)
    if block_count < store.block_count and not may_shrink:
        was = store.block_count * store.block_bytes
        problem = f"{what}: {size_bytes} bytes would cut off part of its {was}; shrinking must be asked for"
        raise LocalError(problem, errno=errno.ERANGE)
    return block_count


BLOCK_SIZES = (512, 4096)
