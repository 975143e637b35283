"""The workloads on a connected namespace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from apps.errors import CommandError
from apps.nvme.session import Session
from apps.sizes import format_size
from stacks.nvme.host import HostNamespace, Region, Transfer
from wire.nvme.status import status_text


class NvmeEndpoint:
    """Reads and writes of `block_bytes` on a namespace, in registered memory, which is not copied.

    CommandError when the size is no whole number of the namespace's blocks.
    """

    def __init__(self, session: Session, namespace: HostNamespace, block_bytes: int, queue_depth: int) -> None:
        if block_bytes % namespace.block_bytes:
            raise CommandError(
                f"{format_size(block_bytes)} is no whole number of blocks of {namespace.block_bytes} bytes",
                f"choose a --block-size that is a multiple of {namespace.block_bytes}",
            )
        self._session = session
        self._namespace = namespace
        self._size = block_bytes
        self._blocks = block_bytes // namespace.block_bytes
        memory = memoryview(bytearray(block_bytes * queue_depth))
        self._region: Region = session.register(memory)
        self._views = [memory[slot * block_bytes : (slot + 1) * block_bytes] for slot in range(queue_depth)]
        self._ended: list[tuple[int, str]] = []
        self._done: list[Callable[[Transfer], None]] = [partial(self._note, slot) for slot in range(queue_depth)]

    def view(self, slot: int) -> memoryview:
        """The memory of a slot."""
        return self._views[slot]

    def submit(self, slot: int, block: int, *, is_read: bool) -> None:
        """Start one command."""
        move = self._namespace.read if is_read else self._namespace.write
        move(
            block * self._blocks,
            self._views[slot],
            region=self._region,
            offset=slot * self._size,
            done=self._done[slot],
        )

    def poll(self) -> Sequence[tuple[int, str]]:
        """What ended; the thread sleeps while nothing can be done."""
        if not self._ended:
            self._session.step()
        ended, self._ended = self._ended, []
        return ended

    def _note(self, slot: int, transfer: Transfer) -> None:
        self._ended.append((slot, status_text(transfer.status) if transfer.status else ""))
