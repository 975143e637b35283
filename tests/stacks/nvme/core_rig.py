"""A host for tests that talks to a target's core directly: no transport, data is moved by plain copies."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.nvme.buffers import BufferPool, pool_bytes
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Command, Port, PortAddress, Subsystem, Target
from wire.nvme.commands_codec import CopyRange, DatasetRange, SubmissionEntry
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.kinds import TransportType
from wire.nvme.opcodes import CNTLID_DYNAMIC, FLAGS_SGL, AdminOpcode, FabricsType, IdentifyCns
from wire.nvme.status import status_code
from wire.nvme.text import padded

NQN = "nqn.2026-11.io.baremetal:disk"
HOST_NQN = "nqn.2014-08.org.nvmexpress:uuid:host"
HOST_ID = bytes(range(16))
SHELVES = ((8 << 10, 8), (128 << 10, 2))
SQE_WORDS = SubmissionEntry.words(1, 64)

ENABLE = 0x00460001
SHUT_DOWN_NORMAL = ENABLE | 1 << 14


@dataclass(frozen=True)
class Answer:
    """What the host got for a command."""

    status: int
    dw0: int
    dw1: int
    sqhd: int
    data: bytes
    word: int


class CoreHost:
    """One queue's worth of a host."""

    def __init__(self, port: Port, *, expected_qid: int | None = None) -> None:
        self.port = port
        self.queue = port.open_queue(expected_qid=expected_qid)
        self.executor = InlineExecutor(port.target)
        self.answers: dict[int, Answer] = {}
        self.host_data: dict[int, bytes] = {}
        self.cid = 0

    def send(
        self,
        sqe: SubmissionEntry,
        *,
        data: bytes = b"",
        in_capsule: bool = False,
        expect: int = 0,
        command: Command | None = None,
    ) -> int:
        """Send one command; data is what the host gives, expect how many bytes it wants. Returns the CID.

        command: an object to use again, as bindings do.
        """
        self.cid = (self.cid + 1) & 0xFFFF
        sqe.cid = self.cid
        command = command or Command()
        command.words = SQE_WORDS(sqe.encode(), 0)
        command.data_bytes = len(data) or expect
        if in_capsule:
            command.capsule_data = memoryview(data)
        self.host_data[self.cid] = data
        self.queue.handle_capsule(command)
        return self.cid

    def pump(self, now: int = 0) -> None:
        """Move data, run the store and collect answers until nothing is left."""
        progress = True
        while progress:
            progress = self.executor.pump(now)
            for command in self.port.poll_fetches():
                assert command.view is not None
                command.view[:] = self.host_data[command.cid][: len(command.view)]
                self.port.handle_fetched(command)
                progress = True
            for command in self.port.poll_completions():
                self._collect(command)
                progress = True

    def _collect(self, command: Command) -> None:
        data = b""
        if command.send_bytes:
            assert command.buffer is not None
            data = bytes(command.buffer.view[: command.send_bytes])
        answer = Answer(
            status=status_code(command.status_word),
            dw0=command.dw0,
            dw1=command.dw1,
            sqhd=command.sqhd,
            data=data,
            word=command.status_word,
        )
        assert command.queue is not None
        self.answers[command.cid if command.queue is self.queue else -command.cid] = answer
        self.port.release(command)

    def do(self, sqe: SubmissionEntry, *, data: bytes = b"", in_capsule: bool = False, expect: int = 0) -> Answer:
        """Send, pump and return the answer."""
        cid = self.send(sqe, data=data, in_capsule=in_capsule, expect=expect)
        self.pump()
        return self.answers.pop(cid)

    def connect(self, *, qid: int = 0, cntlid: int = CNTLID_DYNAMIC, nqn: str = NQN, kato_ms: int = 0,
                entries: int = 32, host_nqn: str = HOST_NQN, cattr: int = 0, recfmt: int = 0,
                host_id: bytes = HOST_ID) -> Answer:  # fmt: skip
        """Send Connect."""
        content = connect_data(cntlid=cntlid, nqn=nqn, host_nqn=host_nqn, host_id=host_id)
        words = fabrics(FabricsType.CONNECT, cdw10=recfmt | qid << 16, cdw11=entries - 1 | cattr << 16, cdw12=kato_ms)
        return self.do(words, data=content)

    def set_property(self, offset: int, value: int) -> Answer:
        """Property Set of a four-byte property."""
        return self.do(fabrics(FabricsType.PROPERTY_SET, cdw11=offset, cdw12=value))

    def read_property(self, offset: int, *, size: int = 4) -> Answer:
        """Property Get."""
        return self.do(fabrics(FabricsType.PROPERTY_GET, cdw10=int(size == 8), cdw11=offset))

    def start(self, *, kato_ms: int = 0) -> int:
        """Connect the admin queue and enable the controller; its CNTLID."""
        cntlid = self.connect(kato_ms=kato_ms).dw0
        assert self.set_property(0x14, ENABLE).status == 0
        return cntlid

    def identify(self, cns: int, *, nsid: int = 0, cdw11: int = 0) -> Answer:
        """Identify."""
        return self.do(sqe(AdminOpcode.IDENTIFY, nsid=nsid, cdw10=cns, cdw11=cdw11), expect=4096)

    def log_page(self, page: int, length: int, *, nsid: int = 0xFFFFFFFF, offset: int = 0, rae: bool = False) -> Answer:
        """Get Log Page."""
        dwords = length // 4 - 1
        entry = sqe(AdminOpcode.GET_LOG_PAGE, nsid=nsid, cdw10=page | rae << 15 | (dwords & 0xFFFF) << 16)
        entry.cdw11, entry.cdw12, entry.cdw13 = dwords >> 16, offset & 0xFFFFFFFF, offset >> 32
        return self.do(entry, expect=length)

    def io(self, opcode: int, block: int, blocks: int, *, data: bytes = b"", expect: int = 0, nsid: int = 1,
           control: int = 0, in_capsule: bool = False) -> Answer:  # fmt: skip
        """An I/O command with an LBA range."""
        entry = sqe(opcode, nsid=nsid, cdw10=block & 0xFFFFFFFF, cdw11=block >> 32, cdw12=blocks - 1 | control << 16)
        return self.do(entry, data=data, expect=expect, in_capsule=in_capsule)


def sqe(opcode: int, *, nsid: int = 0, cdw10: int = 0, cdw11: int = 0, cdw12: int = 0) -> SubmissionEntry:
    """A submission entry with SGL flags."""
    return SubmissionEntry(opcode=opcode, flags=FLAGS_SGL, nsid=nsid, cdw10=cdw10, cdw11=cdw11, cdw12=cdw12)


def fabrics(fctype: int, *, cdw10: int = 0, cdw11: int = 0, cdw12: int = 0) -> SubmissionEntry:
    """A fabrics command."""
    return sqe(AdminOpcode.FABRICS, nsid=fctype, cdw10=cdw10, cdw11=cdw11, cdw12=cdw12)


def connect_data(
    *, cntlid: int = CNTLID_DYNAMIC, nqn: str = NQN, host_nqn: str = HOST_NQN, host_id: bytes = HOST_ID
) -> bytes:
    """The 1024 bytes of Connect."""
    return ConnectData(
        hostid=host_id, cntlid=cntlid, subnqn=padded(nqn, 256), hostnqn=padded(host_nqn, 256)
    ).encode()


def ranges(*pairs: tuple[int, int]) -> bytes:
    """The data of Dataset Management: (block, blocks) of each range."""
    return b"".join(DatasetRange(slba=block, blocks=blocks).encode() for block, blocks in pairs)


def copy_ranges(*pairs: tuple[int, int]) -> bytes:
    """The data of Copy: (block, blocks) of each source range."""
    return b"".join(CopyRange(slba=block, nlb=blocks - 1).encode() for block, blocks in pairs)


def make_port(*stores: Store) -> Port:
    """A target with one subsystem and a port."""
    subsystem = Subsystem(NQN)
    for store in stores or (MemoryStore(1 << 20),):
        subsystem.add_namespace(store)
    target = Target([subsystem])
    memory = memoryview(bytearray(pool_bytes(SHELVES)))
    address = PortAddress(TransportType.RDMA, "127.0.0.2", 4420)
    return target.add_port(
        BufferPool(memory, shelves=SHELVES), address=address, in_capsule_bytes=8192, sgl_support=0x100005
    )


def connected(port: Port) -> tuple[CoreHost, CoreHost]:
    """An admin queue and I/O queue 1 of an enabled controller."""
    admin = CoreHost(port)
    cntlid = admin.start()
    io = CoreHost(port)
    assert io.connect(qid=1, cntlid=cntlid).status == 0
    return admin, io


__all__ = [
    "SQE_WORDS",
    "Answer",
    "Command",
    "CoreHost",
    "IdentifyCns",
    "connected",
    "copy_ranges",
    "make_port",
    "ranges",
]
