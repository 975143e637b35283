"""Whether an object can be the store of a namespace."""

from __future__ import annotations

from typing import Final

from stacks.nvme.stores.capacity import BLOCK_SIZES
from stacks.nvme.stores.contract import Store
from stacks.runtime import LocalError


def check_store(store: Store) -> None:
    """LocalError, in one line, for something that lacks part of the contract, or has a size that cannot be."""
    name = type(store).__name__
    missing = [each for each in _PARTS if not hasattr(store, each)]
    if missing:
        raise LocalError(
            f"{name} is no store, it has no {', '.join(missing)}; subclass stacks.nvme.stores.Store for the defaults"
        )
    if store.block_bytes not in BLOCK_SIZES:
        sizes = " or ".join(map(str, BLOCK_SIZES))
        raise LocalError(f"{name} has blocks of {store.block_bytes} bytes; use {sizes}")
    if type(store.block_count) is not int or store.block_count < 1:
        raise LocalError(f"{name} has {store.block_count} blocks; that is a whole number, and one is the least")


_PARTS: Final = (
    "block_bytes",
    "block_count",
    "is_read_only",
    "is_zero_after_deallocate",
    "slow_verbs",
    "has_delays",
    "read",
    "write",
    "flush",
    "deallocate",
    "write_zeroes",
    "delay_ns",
    "share",
    "recall",
)
"""What a target uses; `view` and `resize` it does without."""
