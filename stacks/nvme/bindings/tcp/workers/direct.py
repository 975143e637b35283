"""Reads and writes that a worker does by itself, while the owner grants that.

    grant      a namespace's blocks, for one queue, under plain rules: no reservation, no mark, nobody's exclusion
    command    a plain Read or Write within it is done here, at the end of the pass; anything else is forwarded
    revoke     nothing is done here when this returns; a write whose data is still coming becomes the owner's

What is done here can only succeed: a command that is wrong in any way, or that the store refuses, is the owner's, who
tells the host and remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.target_configuration import TcpTargetCounters
from stacks.nvme.bindings.tcp.workers.board import BYTES_READ, BYTES_WRITTEN, READS, WRITES, Board
from stacks.nvme.stores.contract import READ, WRITE
from stacks.nvme.stores.sharing import SharedBlocks
from stacks.nvme.target.busy_time import SAMPLE_NS
from stacks.nvme.target.command import Command, not_resumed
from stacks.nvme.target.io_checks import FUA
from wire.nvme.opcodes import IoOpcode

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.workers.worker_queue import WorkerQueue


class Grant:
    """The right of one queue to one namespace.

    blocks: where it lies, block_count: how many it has; can_write: or read only. counts: its slot on the board.
    share: the number of `blocks`.
    """

    __slots__ = ("block_count", "block_shift", "blocks", "can_write", "counts", "share")

    def __init__(
        self, share: int, blocks: SharedBlocks, *, block_count: int, can_write: bool, counts: memoryview
    ) -> None:
        self.share = share
        self.blocks = blocks
        self.block_count = block_count
        self.block_shift = blocks.block_bytes.bit_length() - 1
        self.can_write = can_write
        self.counts = counts


class DirectQueue:
    """What one queue may do by itself, and does."""

    def __init__(self, queue: WorkerQueue, executor: DirectExecutor) -> None:
        self.grants: dict[int, Grant] = {}
        self._queue = queue
        self._executor = executor
        self._fetching: dict[Command, Grant] = {}
        self._converted: dict[Command, _Converted] = {}

    def take(self, command: Command) -> bool:
        """Do a command; False when that is the owner's business."""
        words = command.words
        grant = self.grants.get(words[1])
        if grant is None or words[12] & FUA:
            return False
        is_write, capsule = command.opcode == WRITE_OPCODE, command.capsule_data
        if not (is_write and grant.can_write) and (command.opcode != READ_OPCODE or capsule):
            return False
        block, blocks = words[10] | words[11] << 32, (words[12] & 0xFFFF) + 1
        length = blocks << grant.block_shift
        is_right = length == command.data_bytes and length <= self._queue.max_transfer_bytes
        if not is_right or block + blocks > grant.block_count:
            return False
        command.block = block
        if capsule:
            command.view = capsule
            self._submit(command, grant)
        elif not self._queue.take_room(command):
            self._queue.wait_for_buffer(command, self._queue.begin)
        elif is_write:
            self._fetching[command] = grant
            command.resume = self._fetched
            self._queue.port.fetches.append(command)
        else:
            self._submit(command, grant)
        return True

    def done(self, command: Command, grant: Grant, *, is_right: bool) -> None:
        """The executor has tried."""
        if not is_right:
            self.hand_over(command)
            return
        counts, length = grant.counts, command.data_bytes
        if command.verb == READ:
            counts[READS] += 1
            counts[BYTES_READ] += length
            self._queue.succeed(command, length)
        else:
            counts[WRITES] += 1
            counts[BYTES_WRITTEN] += length
            self._queue.succeed(command, 0)

    def hand_over(self, command: Command) -> None:
        """A command that was about to be done here is the owner's; it has its data, or the room for it."""
        if command.verb == WRITE and not command.capsule_data:
            self._convert(command, is_here=True)
        else:
            self._queue.forward(command)

    # When rights end

    def revoke(self, nsids: Collection[int]) -> list[Grant]:
        """Do nothing there any more; the grants that end so."""
        ended = [grant for grant in (self.grants.pop(nsid, None) for nsid in nsids) if grant is not None]
        self._convert_fetching(ended)
        return ended

    def convert_all(self) -> None:
        """What is under way here becomes the owner's, before what it gets next."""
        self._convert_fetching(list(self._fetching.values()))

    def stop(self) -> None:
        """The connection is gone."""
        self._fetching.clear()
        self._converted.clear()

    def _convert_fetching(self, grants: Collection[Grant]) -> None:
        for command, grant in list(self._fetching.items()):
            if grant in grants:
                del self._fetching[command]
                self._convert(command, is_here=False)

    # Writes whose data came, or comes, before the owner asked for it

    def _convert(self, command: Command, *, is_here: bool) -> None:
        self._converted[command] = _Converted(is_here=is_here)
        command.resume = self._came
        self._queue.channel.command(self._queue, command)

    def take_fetch(self, command: Command) -> bool:
        """The owner wants the data of a command; False when nobody has asked the host yet."""
        converted = self._converted.get(command)
        if converted is None:
            return False
        converted.is_asked = True
        self._settle(command, converted)
        return True

    def take_response(self, command: Command, finish: Callable[[], None]) -> bool:
        """The owner has run a command; False when it can be answered at once, and not when its data has come."""
        converted = self._converted.get(command)
        if converted is None:
            return False
        converted.finish = finish
        self._settle(command, converted)
        return True

    def take_failure(self, command: Command, code: int) -> bool:
        """The data of a command came damaged; False when the owner had asked for it."""
        if self._fetching.pop(command, None) is not None:
            self._queue.channel.release(command)
            self._queue.channel.refused(self._queue, command, code, None)
            return True
        converted = self._converted.get(command)
        if converted is None:
            return False
        converted.is_here, converted.code = True, code
        self._settle(command, converted)
        return True

    def _came(self, command: Command) -> None:
        converted = self._converted[command]
        converted.is_here = True
        self._settle(command, converted)

    def _settle(self, command: Command, converted: _Converted) -> None:
        # Until the host's data is here, its command cannot end: the rest would come for nobody.
        if not converted.is_here or not (converted.is_asked or converted.finish):
            return
        del self._converted[command]
        if converted.finish is not None:
            converted.finish()
        elif converted.code:
            self._queue.channel.failed(self._queue, command, converted.code)
        else:
            self._queue.send_fetched(command)

    # Doing

    def _fetched(self, command: Command) -> None:
        self._submit(command, self._fetching.pop(command))

    def _submit(self, command: Command, grant: Grant) -> None:
        command.resume = not_resumed
        command.verb = READ if command.opcode == READ_OPCODE else WRITE
        self._executor.pending.append((self, command, grant))

    @property
    def is_live(self) -> bool:
        """Whether the connection is still there."""
        return not self._queue.is_stopped


class _Converted:
    """A write that became the owner's while its data was coming, or later.

    is_here: the data is, or will not come; code: it came damaged. is_asked: the owner wants it; finish: the owner has
    ended the command without.
    """

    __slots__ = ("code", "finish", "is_asked", "is_here")

    def __init__(self, *, is_here: bool) -> None:
        self.is_here = is_here
        self.is_asked = False
        self.code = 0
        self.finish: Callable[[], None] | None = None


class DirectExecutor:
    """A service of a worker's pump: does what is pending at the end of each pass, under as few locks as that takes.

    board: where it and `counters` are seen.
    """

    def __init__(self, board: Board, counters: TcpTargetCounters) -> None:
        self.board = board
        self._counters = counters
        self.pending: list[tuple[DirectQueue, Command, Grant]] = []
        self._looked_ns = 0
        self._is_busy = False

    def pump(self, now: int) -> bool:
        """Do everything that is pending."""
        self._sample(now)
        self.board.write_port_counts(counts_of(self._counters))
        if not self.pending:
            return False
        self._is_busy = True
        while self.pending:
            batch, self.pending = self.pending, []
            for verb in (READ, WRITE):
                same = [each for each in batch if each[1].verb == verb]
                for blocks in {each[2].blocks: None for each in same}:
                    _run(blocks, verb, [each for each in same if each[2].blocks is blocks])
        return True

    def withdraw(self, grants: Collection[Grant]) -> None:
        """What is pending under these grants is the owner's."""
        taken = [each for each in self.pending if each[2] in grants]
        self.pending = [each for each in self.pending if each[2] not in grants]
        for queue, command, _ in taken:
            if queue.is_live:
                queue.hand_over(command)

    def _sample(self, now: int) -> None:
        # As `BusyTime`: what came and went since the last look counts as a millisecond.
        elapsed_ns = now - self._looked_ns
        if elapsed_ns >= SAMPLE_NS:
            self._looked_ns = now
            if self._is_busy:
                self.board.was_busy(elapsed_ns if elapsed_ns < 2 * SAMPLE_NS else SAMPLE_NS)
                self._is_busy = False


def _run(blocks: SharedBlocks, verb: int, batch: list[tuple[DirectQueue, Command, Grant]]) -> None:
    """Run commands of one verb, and let others in between when they move much."""
    at = 0
    while at < len(batch):
        moved, tried = 0, []
        blocks.lock.take(verb)
        try:
            while at < len(batch) and moved < HELD_BYTES_MAX:
                queue, command, grant = batch[at]
                at += 1
                view = command.view
                if not queue.is_live or view is None:
                    continue
                moved += len(view)
                is_right = blocks.read(command.block, view) if verb == READ else blocks.write(command.block, (view,))
                tried.append((queue, command, grant, is_right))
        finally:
            blocks.lock.release()
        for queue, command, grant, is_right in tried:
            queue.done(command, grant, is_right=is_right)


def counts_of(counters: TcpTargetCounters) -> list[int]:
    """Of what a worker's port counts, what is not counted in the owner as well."""
    return [
        counters.capsules_received,
        counters.responses_sent,
        counters.header_digest_errors,
        counters.data_digest_errors,
        counters.terminations_sent,
        counters.terminations_received,
        counters.connections_stalled,
    ]


def add_counts(counters: TcpTargetCounters, more: list[int]) -> None:
    """Add what `counts_of` a worker's has become more."""
    counters.capsules_received += more[0]
    counters.responses_sent += more[1]
    counters.header_digest_errors += more[2]
    counters.data_digest_errors += more[3]
    counters.terminations_sent += more[4]
    counters.terminations_received += more[5]
    counters.connections_stalled += more[6]


READ_OPCODE, WRITE_OPCODE = IoOpcode.READ.value, IoOpcode.WRITE.value
HELD_BYTES_MAX = 512 << 10
"""How much is moved while nobody else can."""
