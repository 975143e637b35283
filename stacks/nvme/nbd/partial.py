"""A write that starts or ends inside a block: the blocks at its ends are read, filled in, and written with the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.nbd.backend import Ended
from stacks.nvme.nbd.outcome import Gathering, attempt
from stacks.nvme.nbd.request import Request

if TYPE_CHECKING:
    from stacks.nvme.nbd.changes import Changes


class PartialWrite:
    """One such write, whose blocks are claimed."""

    def __init__(self, changes: Changes, request: Request) -> None:
        self._changes = changes
        self._request = request
        size = changes.export.block_bytes
        self._before = request.lead
        self._after = len(request.blocks) - request.lead - request.length
        self._first = memoryview(bytearray(size))
        is_one = len(request.blocks) == size
        self._last = self._first if is_one else memoryview(bytearray(size))

    def start(self) -> None:
        """Read what stays."""
        request, read = self._request, self._changes.backend.read
        wanted = []
        if self._before or self._last is self._first:
            wanted.append((request.first, self._first))
        if self._after and self._last is not self._first:
            wanted.append((request.last - 1, self._last))
        gathering = Gathering(len(wanted), self._fill_in)
        for block, into in wanted:
            attempt(read, block, into, done=gathering.ended)

    def _fill_in(self, ended: Ended) -> None:
        request = self._request
        if ended.status:
            request.change_ended(ended)
            return
        blocks = request.blocks
        if self._before:
            blocks[: self._before] = self._first[: self._before]
        if self._after:
            blocks[-self._after :] = self._last[-self._after :]
        self._changes.write_blocks(request)
