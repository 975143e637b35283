"""The workloads on a connected namespace."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from functools import partial

from apps.errors import CommandError
from apps.nvme.session import explain_status, lost
from apps.perf.pattern import Workload
from apps.sizes import format_size
from stacks.nvme.host import Region, Transfer
from stacks.nvme.sync import Namespace


class Carrier(enum.Enum):
    """What NVMe goes over."""

    RDMA = "rdma"
    TCP = "tcp"
    QUIC = "quic"


class NvmeEndpoint:
    """Reads and writes of `block_bytes` on a namespace, in registered memory, which is not copied.

    CommandError when block size or span do not suit the namespace.
    """

    def __init__(self, namespace: Namespace, workload: Workload) -> None:
        block_bytes, queue_depth = workload.block_bytes, workload.queue_depth
        if block_bytes % namespace.block_bytes:
            raise CommandError(
                f"{format_size(block_bytes)} is no whole number of blocks of {namespace.block_bytes} bytes",
                f"choose a --block-size that is a multiple of {namespace.block_bytes}",
                status=2,
            )
        if not block_bytes <= workload.span_bytes <= namespace.size_bytes:
            raise CommandError(
                f"a span of {format_size(workload.span_bytes)} does not suit a namespace of"
                f" {format_size(namespace.size_bytes)} and blocks of {format_size(block_bytes)}",
                "choose another --span or --block-size",
                status=2,
            )
        self._namespace = namespace
        self._core = namespace.core
        self._size = block_bytes
        self._blocks = block_bytes // namespace.block_bytes
        memory = memoryview(bytearray(block_bytes * queue_depth))
        self._region: Region = namespace.register(memory)
        self._views = [memory[slot * block_bytes : (slot + 1) * block_bytes] for slot in range(queue_depth)]
        self._ended: list[tuple[int, str]] = []
        self._done: list[Callable[[Transfer], None]] = [partial(self._note, slot) for slot in range(queue_depth)]

    def view(self, slot: int) -> memoryview:
        """The memory of a slot."""
        return self._views[slot]

    def submit(self, slot: int, block: int, *, is_read: bool) -> None:
        """Start one command."""
        move = self._core.read if is_read else self._core.write
        offset = slot * self._size
        move(block * self._blocks, self._views[slot], region=self._region, offset=offset, done=self._done[slot])

    def poll(self) -> Sequence[tuple[int, str]]:
        """What ended; the thread sleeps while nothing can be done."""
        self._namespace.poll()
        if not self._ended:
            multipath = self._namespace.connection.multipath
            if multipath.is_over:
                raise lost(multipath.failure)
            self._namespace.wait(WAIT_NS)
        ended, self._ended = self._ended, []
        return ended

    def _note(self, slot: int, transfer: Transfer) -> None:
        self._ended.append((slot, transfer.ending or (explain_status(transfer.status) if transfer.status else "")))


WAIT_NS = 500_000_000
