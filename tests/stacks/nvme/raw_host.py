"""A host that sends whatever a test wants as a capsule, over a queue pair of its own."""

from __future__ import annotations

import random

from stacks.nvme.bindings.rdma.parameters import service_id
from stacks.rdma import Access, Qp, RecvWr, SendWr, Sge, WcOpcode, WcStatus, WrOpcode
from stacks.rdma.cm import CmEvent, CmEventType, ConnectionParameters
from tests.stacks.nvme.core_rig import connect_data
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.transfers import TARGET
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind
from wire.nvme.opcodes import FLAGS_SGL, FabricsType
from wire.nvme.rdma_codec import RdmaConnectRequest
from wire.nvme.sgl_codec import DataBlockSgl, KeyedSgl

MEMORY_BYTES = 1 << 20
CAPSULE_AT = MEMORY_BYTES - (32 << 10)
ANSWERS_AT = CAPSULE_AT - 16 * 64


class RawHost:
    """One queue pair towards the target of a rig, one registered memory, and the completions that came."""

    def __init__(
        self,
        rig: RdmaRig,
        address: str,
        *,
        qid: int = 0,
        private_data: bytes | None = None,
        responder_resources: int = 16,
        initiator_depth: int = 16,
    ) -> None:
        self.rig = rig
        self.device = rig.device(address, seed=int.from_bytes(address.encode()[-2:], "big"))
        self.host = rig.network.attach(self.device, self.device.address)
        self.memory = bytearray(MEMORY_BYTES)
        self.pd = pd = self.device.alloc_pd()
        self.cq = self.device.create_cq(4096)
        self.qp: Qp = pd.create_qp(send_cq=self.cq, recv_cq=self.cq)
        self.mr = pd.reg_mr(self.memory, Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE)
        request = RdmaConnectRequest(qid=qid, hrqsize=32, hsqsize=31).encode()
        self.connection = self.device.cm.connect(
            TARGET,
            service_id(4420),
            qp=self.qp,
            parameters=ConnectionParameters(
                qpn=self.qp.number, responder_resources=responder_resources, initiator_depth=initiator_depth
            ),
            private_data=request if private_data is None else private_data,
        )
        for index in range(32):
            self.qp.post_recv(RecvWr(index, (Sge(self.mr.address + ANSWERS_AT + index * 16, 16, self.mr.lkey),)))
        self.events: list[CmEvent] = []
        self.failed = False
        self._run(lambda: bool(self.events))

    @property
    def is_connected(self) -> bool:
        """Whether the queue pair is up."""
        return not self.failed and [event.kind for event in self.events] == [CmEventType.ESTABLISHED]

    def send(self, capsule: bytes) -> CompletionEntry | None:
        """Send a capsule; its completion, or None when the target ended the connection instead."""
        self.memory[CAPSULE_AT : CAPSULE_AT + len(capsule)] = capsule
        self.qp.post_send(SendWr(1000, WrOpcode.SEND, (Sge(self.mr.address + CAPSULE_AT, len(capsule), self.mr.lkey),)))
        answers: list[CompletionEntry] = []

        def is_over() -> bool:
            for entry in self.cq.poll(100):
                if entry.status is not WcStatus.SUCCESS:
                    self.failed = True
                elif entry.opcode is WcOpcode.RECV:
                    at = ANSWERS_AT + entry.wr_id * 16
                    answers.append(CompletionEntry.decode(self.memory, at))
                    sge = Sge(self.mr.address + at, 16, self.mr.lkey)
                    self.qp.post_recv(RecvWr(entry.wr_id, (sge,)))
            return bool(answers) or not self.is_connected

        self._run(is_over)
        return answers[0] if answers else None

    def command(self, opcode: int, sgl: bytes, *, data: bytes = b"", **fields: int) -> CompletionEntry | None:
        """Send a submission entry with `sgl`, and `data` behind it in the capsule."""
        entry = SubmissionEntry(opcode=opcode, flags=FLAGS_SGL, cid=7, sgl=sgl, **fields)
        return self.send(entry.encode() + data)

    def connect(self, *, qid: int = 0, cntlid: int = 0xFFFF) -> CompletionEntry | None:
        """Connect, with the data in the capsule."""
        return self.command(
            0x7F,
            in_capsule(1024),
            data=connect_data(cntlid=cntlid),
            nsid=FabricsType.CONNECT,
            cdw10=qid << 16,
            cdw11=31,
        )

    def keyed(self, length: int, *, offset: int = 0, kind: int = SglKind.KEYED, key: int | None = None) -> bytes:
        """A keyed SGL into this host's memory."""
        return KeyedSgl(
            address=self.mr.address + offset, length=length, key=self.mr.rkey if key is None else key, kind=kind
        ).encode()

    def lend(self, length: int) -> bytes:
        """A keyed SGL into the front of this host's memory, under a key of its own that the target may invalidate."""
        lent = self.pd.alloc_fast_mr(1)
        lent.map_sges([self.mr.sge(0, length)])
        access = Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE
        self.qp.post_send(SendWr(999, WrOpcode.REG_MR, flags=0, mr=lent, rkey=lent.rkey, access=access))
        kind = SglKind.KEYED_INVALIDATE
        return KeyedSgl(address=lent.address, length=length, key=lent.rkey, kind=kind).encode()

    def _run(self, condition: object) -> None:
        def is_met() -> bool:
            while (event := self.device.cm.poll_event()) is not None:
                self.events.append(event)
            return bool(condition())  # type: ignore[operator]

        self.host.wake()
        self.rig.run_until(is_met)


def in_capsule(length: int, *, offset: int = 0) -> bytes:
    """An SGL for data in the capsule."""
    return DataBlockSgl(address=offset, length=length, kind=SglKind.DATA_BLOCK_OFFSET).encode()


def noise(rng: random.Random, length: int) -> bytes:
    """Random bytes."""
    return bytes(int(rng.random() * 256) for _ in range(length))
