"""A target's core with several queues, whose stores and whose hosts' data can be made to wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from stacks.nvme.stores import MemoryStore, Store, StoreRequest
from stacks.nvme.stores.contract import run
from stacks.nvme.target import Command
from stacks.nvme.target.queue import Queue
from tests.stacks.nvme.core_rig import ENABLE, HOST_ID, HOST_NQN, NQN, Answer, CoreHost, make_port, sqe
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.opcodes import AdminOpcode, Fuse, IoOpcode

BLOCK_BYTES = 4096


def block_of(number: int) -> bytes:
    """A block that no other number gives."""
    return number.to_bytes(8, "little") * (BLOCK_BYTES // 8)


class BenchQueue(CoreHost):
    """A queue of a host; it answers in `Bench.pump`."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.port)
        self.bench = bench
        self.order: list[int] = []
        """CIDs as they were answered."""

    def pump(self, now: int = 0) -> None:
        self.bench.pump(now)

    def take(self, command: Command) -> None:
        """An answer for this queue."""
        self.order.append(command.cid)
        self._collect(command)

    def status(self, cid: int) -> int | None:
        """The status of a command, None while it is under way."""
        return self.answers[cid].status if cid in self.answers else None

    def begin(
        self, opcode: int, block: int, blocks: int = 1, *, data: bytes = b"", flags: int = 0, in_capsule: bool = True
    ) -> int:
        """Send a command with a range and no more; its CID. flags: beside those of every command."""
        return self.send(ranged(opcode, block, blocks, flags=flags), data=data, in_capsule=in_capsule and bool(data))

    def begin_pair(self, block: int, expected: bytes, data: bytes, *, in_capsule: bool = True) -> tuple[int, int]:
        """Send a Compare and a Write that are fused; their CIDs."""
        blocks = len(data) // BLOCK_BYTES
        first = self.begin(IoOpcode.COMPARE, block, blocks, data=expected, flags=Fuse.FIRST, in_capsule=in_capsule)
        second = self.begin(IoOpcode.WRITE, block, blocks, data=data, flags=Fuse.SECOND, in_capsule=in_capsule)
        return first, second

    def statuses(self, cids: Sequence[int]) -> list[int | None]:
        """The statuses of several."""
        return [self.status(cid) for cid in cids]


class Bench:
    """A target, the queues of its hosts, and what waits.

    is_storing: whether stores answer; with_store: what they have and have not run. is_fetching: whether hosts give
    their data; with_hosts: commands that wait for it. released: CIDs of the commands that a binding would have back.
    """

    def __init__(self, *stores: Store) -> None:
        self.store = stores[0] if stores else MemoryStore(1 << 20)
        self.port = make_port(*(stores or (self.store,)))
        self.target = self.port.target
        self.is_storing = self.is_fetching = True
        self.with_store: list[StoreRequest] = []
        self.with_hosts: list[Command] = []
        self.released: dict[Queue, list[int]] = defaultdict(list)
        self.now = 0
        self._release, self.port.release = self.port.release, self._released  # type: ignore[method-assign]
        self._queues: dict[Queue, BenchQueue] = {}

    def host(
        self, *, queues: int = 1, nqn: str = NQN, host_nqn: str = HOST_NQN, host_id: bytes = HOST_ID
    ) -> tuple[BenchQueue, ...]:
        """A host: its admin queue, and its I/O queues. nqn: of the subsystem; host_nqn, host_id: who it is."""
        admin = self.open_queue()
        cntlid = admin.connect(nqn=nqn, host_nqn=host_nqn, host_id=host_id).dw0
        assert admin.set_property(0x14, ENABLE).status == 0
        found = [admin]
        for qid in range(1, queues + 1):
            found.append(self.open_queue())
            assert found[-1].connect(qid=qid, cntlid=cntlid, host_nqn=host_nqn, host_id=host_id).status == 0
        return tuple(found)

    def pump(self, now: int = 0) -> None:
        """Move what may move until nothing does."""
        self.now = max(self.now, now)
        progress = True
        while progress:
            progress = self._run_stores() or self._fetch()
            for command in self.port.poll_completions():
                assert command.queue is not None
                self._queues[command.queue].take(command)
                progress = True

    def run_one(self, index: int = 0) -> None:
        """Have the store run one of the requests that it has, and no other."""
        request = self.with_store.pop(index)
        run(request)
        self.target.handle_store_completions([request], self.now)
        self.pump()

    def read(self, block: int, blocks: int = 1) -> bytes:
        """What the store holds."""
        found = bytearray(blocks * BLOCK_BYTES)
        self.store.read(block, memoryview(found))
        return bytes(found)

    def write(self, block: int, data: bytes) -> None:
        """Put something into the store."""
        self.store.write(block, [memoryview(data)])

    def open_queue(self) -> BenchQueue:
        """One more connection, without a word so far."""
        queue = BenchQueue(self)
        self._queues[queue.queue] = queue
        return queue

    def _released(self, command: Command) -> None:
        assert command.queue is not None
        self.released[command.queue].append(command.cid)
        self._release(command)

    def _run_stores(self) -> bool:
        self.with_store += self.target.poll_store_requests()
        if not self.is_storing or not self.with_store:
            return False
        requests, self.with_store = self.with_store, []
        for request in requests:
            run(request)
        self.target.handle_store_completions(requests, self.now)
        return True

    def _fetch(self) -> bool:
        self.with_hosts += self.port.poll_fetches()
        if not self.is_fetching or not self.with_hosts:
            return False
        commands, self.with_hosts = self.with_hosts, []
        for command in commands:
            assert command.queue is not None
            assert command.view is not None
            data = self._queues[command.queue].host_data[command.cid]
            command.view[:] = data[: len(command.view)]
            self.port.handle_fetched(command)
        return True


def ranged(opcode: int, block: int, blocks: int, *, flags: int = 0, nsid: int = 1, control: int = 0) -> SubmissionEntry:
    """A command with a range of blocks. flags: beside those of every command; control: bits of CDW12."""
    entry = sqe(opcode, nsid=nsid, cdw10=block & 0xFFFFFFFF, cdw11=block >> 32, cdw12=blocks - 1 | control)
    entry.flags |= flags
    return entry


def abort(admin: BenchQueue, qid: int, cid: int) -> Answer:
    """Abort a command; the answer's DW0 is 0 when it has ended."""
    return admin.do(sqe(AdminOpcode.ABORT, cdw10=qid | cid << 16))
