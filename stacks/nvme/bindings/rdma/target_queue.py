"""One queue of a host on the target's side: its queue pair, its receives, and data moved for its commands.

    RECV      capsule -> Command -> core Queue
    fetch     RDMA READ of the host's memory into the command's buffer
    complete  RDMA WRITE of the data, unsignaled, then SEND (with Invalidate, if the host asked) of the completion entry

A connection that nobody finishes costs little: all receives but the first are posted once it is established, and
commands are made when they are first needed. A receive is posted again just before the answer to its command leaves,
so a host that respects SQHD always finds one.
Completed sends give buffers back; only the last of a batch is signaled, since a send queue completes in order.

Follows the NVMe/RDMA transport specification 1.0 (2, 3).
"""

from __future__ import annotations

from collections import deque

from stacks.nvme.bindings.rdma.parameters import CAPSULE_BYTES, COMPLETION_BYTES
from stacks.nvme.bindings.rdma.target_command import READ, RECV, RdmaCommand
from stacks.nvme.buffers import anonymous_memory
from stacks.nvme.target.command import NO_DATA
from stacks.nvme.target.port import Port
from stacks.nvme.target.queue import Queue
from stacks.rdma import Access, Cq, Mr, Pd, Qp, QpCapacity, RecvWr, SendFlags, SendWr, Sge, WrOpcode
from stacks.rdma.cm import Connection
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind
from wire.nvme.status import StatusCode


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
        self.queue: Queue = port.open_queue(expected_qid=qid, remote=connection.remote_address)
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
        self._receives = [self._make_receive(0)]
        self._answers_at = answers_at
        self._commands_max = commands
        self._pool_lkey = pool_lkey
        self._commands: list[RdmaCommand] = []
        self._free: list[RdmaCommand] = []
        self._backlog: deque[tuple[int, int]] = deque()
        self._unacknowledged: deque[RdmaCommand] = deque()
        self._fetching: set[RdmaCommand] = set()
        self._entry = CompletionEntry()

    @property
    def can_end(self) -> bool:
        """Whether every command has its answer, and the host has acknowledged that."""
        return not self._unacknowledged and self.queue.is_idle

    @property
    def is_connected(self) -> bool:
        """Whether Connect has succeeded."""
        return self.queue.controller is not None

    def start(self) -> None:
        """Post a receive for Connect; the queue pair is in INIT."""
        self.qp.post_recv(self._receives[0])

    def established(self) -> None:
        """The host is there: post the other receives."""
        for slot in range(len(self._receives), self.entries):
            receive = self._make_receive(slot)
            self._receives.append(receive)
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
        elif len(self._commands) < self._commands_max:
            self._begin(self._make_command(), slot, length)
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
            if words[7] == ALL_ONES and command.address + command.data_bytes > ADDRESS_END:
                self._refuse(command, StatusCode.INVALID_FIELD, location=24)
            else:
                self.queue.handle_capsule(command)
        elif kind == IN_CAPSULE:
            self._begin_in_capsule(command, at + CAPSULE_BYTES, length - CAPSULE_BYTES)
        else:
            self._refuse(command, _code_of(kind), location=39)

    def _begin_in_capsule(self, command: RdmaCommand, at: int, room: int) -> None:
        words = command.words
        offset, length = words[6] | words[7] << 32, words[8]
        command.data_bytes = length
        if offset + length > room:
            self._refuse(command, StatusCode.INVALID_SGL_OFFSET, location=24)
            return
        command.capsule_data = self._view[at + offset : at + offset + length]
        self.queue.handle_capsule(command)

    def _refuse(self, command: RdmaCommand, code: StatusCode, *, location: int) -> None:
        command.data_bytes = 0
        command.capsule_data = NO_DATA
        self.queue.refuse(command, code.value, location=location)

    def _make_receive(self, slot: int) -> RecvWr:
        sge = Sge(self._mr.address + slot * self._slot_bytes, self._slot_bytes, self._mr.lkey)
        return RecvWr(slot << 2 | RECV, (sge,))

    def _make_command(self) -> RdmaCommand:
        index = len(self._commands)
        at = self._answers_at + index * COMPLETION_BYTES
        sge = Sge(self._mr.address + at, COMPLETION_BYTES, self._mr.lkey)
        command = RdmaCommand(index, self._view[at : at + COMPLETION_BYTES], sge, lkey=self._pool_lkey)
        self._commands.append(command)
        return command


def _code_of(kind: int) -> StatusCode:
    # Segments are known descriptors that MSDBD rules out; anything else is no descriptor for this fabric.
    is_segment = kind >> 4 in (SglKind.SEGMENT >> 4, SglKind.LAST_SEGMENT >> 4)
    return StatusCode.INVALID_SGL_SEGMENT if is_segment else StatusCode.INVALID_SGL_TYPE


SQE_WORDS = SubmissionEntry.words(1, SubmissionEntry.SIZE)
SIGNALED = SendFlags.SIGNALED
KEYED = SglKind.KEYED.value
KEYED_INVALIDATE = SglKind.KEYED_INVALIDATE.value
IN_CAPSULE = SglKind.DATA_BLOCK_OFFSET.value
ALL_ONES = 0xFFFFFFFF
ADDRESS_END = 1 << 64
"""No data lies beyond; only an address whose upper half is all ones can come near."""
