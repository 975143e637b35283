"""One queue on the initiator's side: capsules out, completion entries in, and memory for data in between.

A capsule's slot belongs to its CID, whose upper bits do not count here. A target that answers has received the
capsule, so a slot may be filled again with the answer: what is then sent once more is a duplicate that the target
drops unread.

Data of a program's registered region moves without a copy; other data goes through the pool's buffers, or inside the
capsule when it is small. With `invalidates`, each transfer of a region's owner is under a key of its own that the
target gives back with its answer, as Linux does; the target cannot touch memory of finished commands then.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stacks.nvme.bindings.rdma.parameters import CAPSULE_BYTES, COMPLETION_BYTES
from stacks.nvme.bindings.rdma.staging import Staging
from stacks.nvme.buffers import anonymous_memory
from stacks.nvme.host import HostCommand, HostQueue
from stacks.nvme.host.queue import CID_SLOT_MASK
from stacks.rdma import Access, Cq, FastMr, Mr, Pd, Qp, QpCapacity, RecvWr, SendFlags, SendWr, Sge, WcFlags, WrOpcode
from stacks.runtime import LocalError
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind
from wire.nvme.sgl_codec import DataBlockSgl, KeyedSgl

if TYPE_CHECKING:
    from stacks.rdma.cm import Connection
    from stacks.rdma.completion import Wc


class RdmaHostQueue:
    """A queue's connection.

    queue: the core's; staging: memory that is shared by an association's queues.
    in_capsule_bytes: how much data goes inside a capsule; 0 on the admin queue.
    waiting: commands for which there was no buffer or no room in the send queue.
    """

    def __init__(
        self,
        queue: HostQueue,
        pd: Pd,
        cq: Cq,
        *,
        staging: Staging,
        in_capsule_bytes: int,
        invalidates: bool,
    ) -> None:
        self.queue = queue
        self.connection: Connection | None = None
        self.is_lost = False
        self._pd = pd
        self._staging = staging
        self._pool = staging.pool
        self._in_capsule_bytes = in_capsule_bytes if queue.qid else 0
        self._invalidates = invalidates
        entries = queue.entries
        self._send_capacity = 4 * max(entries, SIGNAL_EVERY)
        # A transfer with a key of its own registers it first, in the same queue.
        max_send_wr = self._send_capacity * (2 if invalidates else 1)
        capacity = QpCapacity(max_send_wr=max_send_wr, max_recv_wr=entries, max_send_sge=2, max_recv_sge=1)
        self.qp: Qp = pd.create_qp(send_cq=cq, recv_cq=cq, capacity=capacity)
        self._slot_bytes = CAPSULE_BYTES + self._in_capsule_bytes
        self._answers_at = entries * self._slot_bytes
        memory = anonymous_memory(self._answers_at + entries * COMPLETION_BYTES)
        self._view = memoryview(memory)
        try:
            self._mr = pd.reg_mr(memory, Access.LOCAL_WRITE)
        except LocalError:
            self.qp.destroy()
            raise
        self._receives = [self._make_receive(index) for index in range(entries)]
        self._capsules = [self._make_capsule(slot) for slot in range(entries)]
        self._send = SendWr(0, WrOpcode.SEND)
        self._entry = SubmissionEntry()
        self._keyed = KeyedSgl(kind=SglKind.KEYED)
        self._temporary: dict[int, tuple[FastMr, Mr]] = {}
        self.waiting: deque[HostCommand] = deque()
        self._posted = self._acknowledged = 0
        queue.on_abandon = self.release

    def start(self) -> None:
        """Post every receive; the queue pair is in INIT."""
        for receive in self._receives:
            self.qp.post_recv(receive)

    def stop(self) -> None:
        """The connection is gone: free the queue pair and memory."""
        self.is_lost = True
        self.qp.destroy()
        for lent, region in self._temporary.values():
            lent.dereg()
            region.dereg()
        self._temporary.clear()
        self._mr.dereg()

    def post_outgoing(self) -> None:
        """Send what the core's queue has to send, as far as there are buffers and room."""
        if not self.queue.is_open:
            return
        outgoing, waiting = self.queue.outgoing, self.waiting
        if waiting:
            waiting.extend(outgoing)
            outgoing.clear()
            while waiting and self._post(waiting[0]):
                waiting.popleft()
            return
        for index, command in enumerate(outgoing):
            if not self._post(command):
                waiting.extend(outgoing[index:])
                break
        outgoing.clear()

    def handle_sent(self, count: int) -> None:
        """The target acknowledged `count` capsules in all."""
        self._acknowledged = count

    def handle_answer(self, index: int, entry: Wc) -> None:
        """A completion entry came: put its data in place and complete the command."""
        view = self._view
        at = self._answers_at + index * COMPLETION_BYTES
        dw0, dw1, _, word3 = CQE_WORDS(view, at)
        self.qp.post_recv(self._receives[index])
        if entry.byte_len < COMPLETION_BYTES:
            self.is_lost = True
            return
        command = self.queue.command_of(word3 & 0xFFFF)
        if command is None:
            return
        if self._temporary:
            self._revoke(command, entry)
        code = word3 >> 17 & 0x7FF
        command.status_word = word3 >> 16
        buffer = command.buffer
        if buffer is not None:
            if command.is_read and not code:
                data = command.data
                assert data is not None
                data[:] = buffer.view[: len(data)]
            self.release(command)
        self.queue.complete(command, code, dw0=dw0, dw1=dw1)

    def release(self, command: HostCommand) -> None:
        """Give a command's staging buffer back."""
        buffer, command.buffer = command.buffer, None
        if buffer is not None:
            self._pool.give_back(buffer)

    def _post(self, command: HostCommand) -> bool:
        if self._posted - self._acknowledged >= self._send_capacity:
            return False
        cid, data = command.cid, command.data
        slot = cid & CID_SLOT_MASK
        at = slot * self._slot_bytes
        sges = self._capsules[slot]
        sges[0].length = CAPSULE_BYTES
        entry, keyed = self._entry, self._keyed
        keyed.kind = KEYED
        if data is None:
            keyed.address = keyed.length = keyed.key = 0
        elif not command.is_read and len(data) <= self._in_capsule_bytes:
            sges = self._put_in_capsule(command, data, at, sges[0])
        elif not self._put_aside(command, data):
            return False
        entry.opcode = command.opcode
        entry.flags = command.flags
        entry.cid = cid
        entry.nsid = command.nsid
        entry.cdw10 = command.cdw10
        entry.cdw11 = command.cdw11
        entry.cdw12 = command.cdw12
        entry.cdw13 = command.cdw13
        entry.cdw14 = command.cdw14
        entry.cdw15 = command.cdw15
        entry.encode_into(self._view, at)
        if data is not None and not command.is_read and len(data) <= self._in_capsule_bytes:
            DataBlockSgl(length=len(data), kind=IN_CAPSULE).encode_into(self._view, at + SGL_OFFSET)
        else:
            keyed.encode_into(self._view, at + SGL_OFFSET)
        self._posted = posted = self._posted + 1
        send = self._send
        send.wr_id = posted << 2 | SEND
        send.sges = sges
        send.flags = 0 if posted % SIGNAL_EVERY else SIGNALED
        self.qp.post_send(send)
        return True

    def _put_in_capsule(self, command: HostCommand, data: memoryview, at: int, capsule: Sge) -> tuple[Sge, ...]:
        region = command.region
        if region is not None and region.owner is not self._pd:
            region = region.of(self._pd)
        if region is not None:
            return (capsule, Sge(region.address + command.offset, len(data), region.key))
        self._view[at + CAPSULE_BYTES : at + CAPSULE_BYTES + len(data)] = data
        capsule.length = CAPSULE_BYTES + len(data)
        return (capsule,)

    def _put_aside(self, command: HostCommand, data: memoryview) -> bool:
        """Have the data where the target can reach it; False when there is no buffer now."""
        region, keyed = command.region, self._keyed
        if region is not None and region.owner is not self._pd:
            # A path of another device may have had the command before, with memory that this one does not know.
            region = region.of(self._pd)
        keyed.length = len(data)
        if region is not None:
            keyed.address = region.address + command.offset
            keyed.key = region.key
            return True
        if self._invalidates and not data.readonly:
            self._lend(command, data)
            return True
        buffer = self._pool.take(len(data))
        if buffer is None:
            return False
        command.buffer = buffer
        if command.is_read:
            keyed.address = buffer.address
            keyed.key = self._staging.read_key
        else:
            buffer.view[: len(data)] = data
            keyed.address = buffer.address + self._staging.write_offset
            keyed.key = self._staging.write_key
        return True

    def _lend(self, command: HostCommand, data: memoryview) -> None:
        right = Access.LOCAL_WRITE | Access.REMOTE_WRITE if command.is_read else Access.LOCAL_WRITE | Access.REMOTE_READ
        region = self._pd.reg_mr(data, right & Access.LOCAL_WRITE)
        lent = self._pd.alloc_fast_mr(1)
        lent.map_sges([region.sge()])
        wr_id = self._posted << 2 | SEND
        self.qp.post_send(SendWr(wr_id, WrOpcode.REG_MR, flags=0, mr=lent, rkey=lent.rkey, access=right))
        self._temporary[command.cid] = lent, region
        self._keyed.address = lent.address
        self._keyed.key = lent.rkey
        self._keyed.kind = KEYED_INVALIDATE

    def _revoke(self, command: HostCommand, entry: Wc) -> None:
        # Whether the target invalidated the key or forgot to: afterwards it is not valid.
        temporary = self._temporary.pop(command.cid, None)
        if temporary is not None:
            lent, region = temporary
            if not (entry.flags & WcFlags.WITH_INV and entry.invalidated_rkey == lent.rkey):
                self.queue.keys_not_invalidated += 1
            lent.dereg()
            region.dereg()

    def _make_capsule(self, slot: int) -> tuple[Sge, ...]:
        return (Sge(self._mr.address + slot * self._slot_bytes, CAPSULE_BYTES, self._mr.lkey),)

    def _make_receive(self, index: int) -> RecvWr:
        at = self._answers_at + index * COMPLETION_BYTES
        return RecvWr(index << 2 | RECV, (Sge(self._mr.address + at, COMPLETION_BYTES, self._mr.lkey),))


RECV, SEND = 0, 1
"""The low two bits of a wr_id; the rest is the receive's index, or how many capsules were posted so far."""

SIGNAL_EVERY = 16
SIGNALED = SendFlags.SIGNALED
SGL_OFFSET = 24
CQE_WORDS = CompletionEntry.words(1, CompletionEntry.SIZE)
KEYED = SglKind.KEYED.value
KEYED_INVALIDATE = SglKind.KEYED_INVALIDATE.value
IN_CAPSULE = SglKind.DATA_BLOCK_OFFSET.value
