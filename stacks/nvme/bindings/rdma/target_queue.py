"""One queue of a host on the target's side: its queue pair, its receives, and data moved for its commands.

    RECV      capsule -> Command -> core Queue
    fetch     RDMA READ of the host's memory into the command's buffer
    complete  RDMA WRITE of the data, unsignaled, then SEND (with Invalidate, if the host asked) of the completion entry

A receive is posted again just before the answer to its command leaves, so a host that respects SQHD always finds one.
Completed sends give buffers back; only the last of a batch is signaled, since a send queue completes in order.

Follows the NVMe/RDMA transport specification 1.0 (2, 3).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from stacks.nvme.bindings.rdma.parameters import CAPSULE_BYTES, COMPLETION_BYTES, anonymous_memory
from stacks.nvme.target.command import NO_DATA, Command
from stacks.nvme.target.port import Port
from stacks.nvme.target.queue import Queue
from stacks.rdma import Access, Cq, Mr, Pd, Qp, QpCapacity, RecvWr, SendFlags, SendWr, Sge, WrOpcode
from stacks.rdma.cm import Connection
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind
from wire.nvme.status import StatusCode


class RdmaCommand(Command):
    """A command with what it takes to move its data and its answer.

    slot: the receive that it came in; address, key: the host's memory; kind: of its SGL.
    """

    __slots__ = ("address", "answer_view", "data_sge", "index", "key", "kind", "move", "send", "slot")

    def __init__(self, index: int, answer_view: memoryview, answer_sge: Sge, *, lkey: int) -> None:
        super().__init__()
        self.index = index
        self.slot = 0
        self.address = 0
        self.key = 0
        self.kind = 0
        self.answer_view = answer_view
        self.data_sge = Sge(0, 0, lkey)
        self.move = SendWr(0, WrOpcode.RDMA_WRITE, (self.data_sge,), 0)
        self.send = SendWr(index << 2 | SEND, WrOpcode.SEND, (answer_sge,))


class RdmaTargetQueue:
    """A queue; made for each connection request that is accepted.

    connection: the connection manager's; queue: the core's.
    entries: size of the host's submission queue, and number of receives.
    in_capsule_bytes: room for data in each of them; pool_lkey: names the port's staging memory.
    """

    def __init__(
        self,
        port: Port,
        pd: Pd,
        cq: Cq,
        *,
        connection: Connection,
        qid: int,
        entries: int,
        in_capsule_bytes: int,
        pool_lkey: int,
    ) -> None:
        self.port = port
        self.connection = connection
        self.queue: Queue = port.open_queue(expected_qid=qid)
        self.entries = entries
        self.is_failed = False
        self.is_closing = False
        self._slot_bytes = CAPSULE_BYTES + in_capsule_bytes
        commands = 2 * entries
        capacity = QpCapacity(max_send_wr=2 * commands, max_recv_wr=entries, max_send_sge=1, max_recv_sge=1)
        self.qp: Qp = pd.create_qp(send_cq=cq, recv_cq=cq, capacity=capacity)
        answers_at = entries * self._slot_bytes
        self._memory = anonymous_memory(answers_at + commands * COMPLETION_BYTES)
        self._view = memoryview(self._memory)
        self._mr: Mr = pd.reg_mr(self._memory, Access.LOCAL_WRITE)
        self._receives = [self._make_receive(slot) for slot in range(entries)]
        self._commands = [self._make_command(index, answers_at, pool_lkey) for index in range(commands)]
        self._free = list(reversed(self._commands))
        self._backlog: deque[tuple[int, int]] = deque()
        self._unacknowledged: deque[RdmaCommand] = deque()
        self._fetching: set[RdmaCommand] = set()
        self._entry = CompletionEntry()

    @property
    def has_unacknowledged(self) -> bool:
        """Whether answers are out that the host has not acknowledged."""
        return bool(self._unacknowledged)

    def start(self) -> None:
        """Post every receive; the queue pair is in INIT."""
        for receive in self._receives:
            self.qp.post_recv(receive)

    def stop(self) -> None:
        """The connection is gone: free the queue pair and memory; commands still in a store end silently."""
        self.is_failed = True
        self.qp.destroy()
        self.queue.closed()
        # What is with the core or a store comes back through the port, and is released there.
        for command in (*self._unacknowledged, *self._fetching):
            self.port.release(command)
        self._unacknowledged.clear()
        self._fetching.clear()
        self._mr.dereg()

    def handle_capsule(self, slot: int, length: int) -> None:
        """A receive completed: make a command of it."""
        if length < CAPSULE_BYTES:
            self.is_failed = True
        elif self._free:
            self._begin(self._free.pop(), slot, length)
        else:
            # The host sent on before our answers were acknowledged; these wait for their commands to be free.
            self._backlog.append((slot, length))

    def handle_read(self, index: int) -> None:
        """The host's data has arrived."""
        command = self._commands[index]
        self._fetching.discard(command)
        self.port.handle_fetched(command)

    def handle_sent(self, index: int) -> None:
        """An answer was acknowledged, and so were all before it."""
        release, free, unacknowledged = self.port.release, self._free, self._unacknowledged
        while unacknowledged:
            command = unacknowledged.popleft()
            release(command)
            free.append(command)
            if command.index == index:
                break
        while self._backlog and free:
            slot, length = self._backlog.popleft()
            self._begin(free.pop(), slot, length)

    def fetch(self, command: RdmaCommand) -> None:
        """Read the host's memory into the command's buffer."""
        move, buffer, view = command.move, command.buffer, command.view
        assert buffer is not None
        assert view is not None
        move.opcode = WrOpcode.RDMA_READ
        move.wr_id = command.index << 2 | READ
        move.flags = SIGNALED
        self._fetching.add(command)
        self._post_move(command, move, buffer.address, len(view))

    def send_data(self, command: RdmaCommand) -> None:
        """Write the command's data into the host's memory; `answer` must follow."""
        buffer, move = command.buffer, command.move
        assert buffer is not None
        move.opcode = WrOpcode.RDMA_WRITE
        move.flags = 0
        self._post_move(command, move, buffer.address, command.send_bytes)

    def answer(self, command: RdmaCommand, *, signaled: bool) -> None:
        """Send the command's completion entry."""
        entry = self._entry
        entry.dw0 = command.dw0
        entry.dw1 = command.dw1
        entry.sqhd = command.sqhd
        entry.cid = command.cid
        entry.status = command.status_word
        entry.sqid = self.queue.qid
        entry.encode_into(command.answer_view)
        send = command.send
        if command.kind == KEYED_INVALIDATE and command.data_bytes:
            send.opcode = WrOpcode.SEND_WITH_INV
            send.invalidate_rkey = command.key
        else:
            send.opcode = WrOpcode.SEND
        send.flags = SIGNALED if signaled else 0
        self.qp.post_recv(self._receives[command.slot])
        self._unacknowledged.append(command)
        self.qp.post_send(send)

    def _post_move(self, command: RdmaCommand, move: SendWr, address: int, length: int) -> None:
        sge = command.data_sge
        sge.address = address
        sge.length = length
        move.remote_address = command.address
        move.rkey = command.key
        self.qp.post_send(move)

    def _begin(self, command: RdmaCommand, slot: int, length: int) -> None:
        at = slot * self._slot_bytes
        command.slot = slot
        command.words = words = SQE_WORDS(self._view, at)
        # The SGL is in dwords 6 to 9 (`KeyedSgl`, `DataBlockSgl`); its last byte says which of them it is.
        ninth = words[9]
        command.kind = kind = ninth >> 24
        if kind in (KEYED, KEYED_INVALIDATE):
            eighth = words[8]
            command.address = words[6] | words[7] << 32
            command.data_bytes = eighth & 0xFFFFFF
            command.key = eighth >> 24 | (ninth & 0xFFFFFF) << 8
            command.capsule_data = NO_DATA
            self.queue.handle_capsule(command)
        elif kind == IN_CAPSULE:
            self._begin_in_capsule(command, at + CAPSULE_BYTES, length - CAPSULE_BYTES)
        else:
            command.data_bytes = 0
            command.capsule_data = NO_DATA
            self.queue.refuse(command, _code_of(kind), location=39)

    def _begin_in_capsule(self, command: RdmaCommand, at: int, room: int) -> None:
        words = command.words
        offset, length = words[6] | words[7] << 32, words[8]
        command.data_bytes = length
        if offset + length > room:
            command.data_bytes = 0
            command.capsule_data = NO_DATA
            self.queue.refuse(command, StatusCode.INVALID_SGL_OFFSET.value, location=24)
            return
        command.capsule_data = self._view[at + offset : at + offset + length]
        self.queue.handle_capsule(command)

    def _make_receive(self, slot: int) -> RecvWr:
        sge = Sge(self._mr.address + slot * self._slot_bytes, self._slot_bytes, self._mr.lkey)
        return RecvWr(slot << 2 | RECV, (sge,))

    def _make_command(self, index: int, answers_at: int, pool_lkey: int) -> RdmaCommand:
        at = answers_at + index * COMPLETION_BYTES
        sge = Sge(self._mr.address + at, COMPLETION_BYTES, self._mr.lkey)
        return RdmaCommand(index, self._view[at : at + COMPLETION_BYTES], sge, lkey=pool_lkey)


def _code_of(kind: int) -> int:
    # Segments are known descriptors that MSDBD rules out; anything else is no descriptor for this fabric.
    is_segment = kind >> 4 in (SglKind.SEGMENT >> 4, SglKind.LAST_SEGMENT >> 4)
    return StatusCode.INVALID_SGL_SEGMENT.value if is_segment else StatusCode.INVALID_SGL_TYPE.value


RECV: Final = 0
SEND: Final = 1
READ: Final = 2
"""The low two bits of a wr_id; the rest is the slot or the command."""

SQE_WORDS = SubmissionEntry.words(1, SubmissionEntry.SIZE)
SIGNALED = SendFlags.SIGNALED
KEYED = SglKind.KEYED.value
KEYED_INVALIDATE = SglKind.KEYED_INVALIDATE.value
IN_CAPSULE = SglKind.DATA_BLOCK_OFFSET.value
