"""Writes, trims and zeroes of any bytes, as operations on whole blocks.

    whole blocks        one operation
    a write of parts    the blocks at its ends are read, filled in, and written with the rest
    zeroes of parts     the same for the ends; what is between them becomes zero without being sent, where that can be

Every change claims its blocks first (`claims`), and ends with `Request.change_ended`.

Clients that do not keep to whole blocks are served, whether they asked for block sizes or not: so do qemu-nbd and
nbdkit, and the protocol leaves it open (doc/proto.md, size constraints).
"""

from __future__ import annotations

from stacks.nvme.nbd.backend import Backend, Ended
from stacks.nvme.nbd.claims import Claims
from stacks.nvme.nbd.configuration import NbdCounters
from stacks.nvme.nbd.export import Export
from stacks.nvme.nbd.outcome import SUCCESS, attempt, refused
from stacks.nvme.nbd.partial import PartialWrite
from stacks.nvme.nbd.request import HEAD_BYTES, Request
from stacks.nvme.nbd.zeroes import Zeroing
from stacks.runtime import LocalError
from wire.nbd import CommandFlag


class Changes:
    """The changes of all clients of `backend`."""

    def __init__(self, backend: Backend, export: Export, counters: NbdCounters) -> None:
        self.backend = backend
        self.export = export
        self.claims = Claims()
        self._counters = counters
        self._block_bytes = export.block_bytes

    def write(self, request: Request) -> None:
        """Write `data`."""
        if len(request.blocks) == request.length:
            self.claims.enter(request, self.write_blocks)
        else:
            self._counters.unaligned += 1
            self.claims.enter(request, self._write_partly, is_exclusive=True)

    def write_blocks(self, request: Request) -> None:
        """Write `blocks`, which are claimed and complete."""
        is_fua, region = bool(request.flags & FUA), request.region
        try:
            if region is None:
                self.backend.write(request.first, request.blocks, is_fua=is_fua, done=request.change_ended)
            else:
                self.backend.write(
                    request.first,
                    request.blocks,
                    is_fua=is_fua,
                    region=region,
                    offset=HEAD_BYTES,
                    done=request.change_ended,
                )
        except LocalError as error:
            request.change_ended(refused(error))

    def trim(self, request: Request) -> None:
        """Give back the whole blocks inside; there may be none."""
        block_bytes = self._block_bytes
        first = -(-request.offset // block_bytes)
        last = (request.offset + request.length) // block_bytes
        if first >= last:
            self._counters.unaligned += 1
            self.claims.enter(request, lambda trimmed: trimmed.change_ended(SUCCESS))
            return

        def start(claimed: Request) -> None:
            def trimmed(ended: Ended) -> None:
                self.finish(claimed, ended)

            attempt(self.backend.deallocate, [(first, last - first)], done=trimmed)

        self.claims.enter(request, start)

    def write_zeroes(self, request: Request) -> None:
        """Make the bytes zero, with space of their own if the client wants that."""
        zeroing = Zeroing(self, request)
        self._counters.unaligned += zeroing.is_partial
        self.claims.enter(request, zeroing.start, is_exclusive=zeroing.is_partial)

    def finish(self, request: Request, ended: Ended) -> None:
        """Everything is changed; with FUA it must be on the medium, too."""
        if request.flags & FUA and not ended.status:
            attempt(self.backend.flush, done=request.change_ended)
        else:
            request.change_ended(ended)

    def _write_partly(self, request: Request) -> None:
        PartialWrite(self, request).start()


FUA = CommandFlag.FUA.value
