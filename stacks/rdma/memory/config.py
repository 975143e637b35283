"""What a device can do with memory, and how it behaves where pages are not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """The memory side of a device.

    type_2_windows: which kind of memory windows of type 2 there are (see memory.windows).
    device_memory_bytes: how much memory of its own the device has, for `Device.alloc_dm`; 0 for none.
    page_faults: what a peer is told whose request meets a page that is not there yet: "rnr" answers with an RNR NAK,
        so that it comes again; "wait" keeps the request and answers when the page is there. See memory.paging.
    relaxed_seed: permute what arrives for regions with RELAXED_ORDERING; None to keep its order (memory.relaxed).
    """

    type_2_windows: Literal["2A", "2B"] = "2B"
    device_memory_bytes: int = 1 << 20
    page_faults: Literal["rnr", "wait"] = "rnr"
    relaxed_seed: int | None = None
