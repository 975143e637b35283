"""A target's connections fed with bytes by hand: no transport, no time but what is given."""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.nvme.bindings.tcp import TcpTarget, TcpTargetConfig
from stacks.nvme.stores import InlineExecutor, Store
from stacks.nvme.target import Subsystem, Target
from tests.stacks.nvme.core_rig import NQN, connect_data
from tests.stacks.nvme.tcp_mutations import Mutator
from tests.wire.nvme.tcp_pdus import CODECS, DIGEST_BYTES, Pdu, pdu, pdus
from transports.datagram import Buffer
from transports.stream import StreamCore
from wire.checksum import crc32c
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind, TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import FLAGS_SGL, AdminOpcode, FabricsType
from wire.nvme.properties import PropertyOffset
from wire.nvme.sgl_codec import DataBlockSgl
from wire.nvme.tcp_codec import TcpCommand, TcpHeader, TcpInitializeRequest

SECOND = 1_000_000_000


class Wire:
    """One connection: what its core said, and how much of that is taken at a time.

    sizes: how many bytes each receive brings, and each send takes; for ever in turn.
    """

    def __init__(self, core: StreamCore, sizes: tuple[int, ...] = (1 << 20,)) -> None:
        self.core = core
        self.said = bytearray()
        self.is_closed = False
        self._sizes = sizes
        self._turn = 0

    def next_size(self) -> int:
        """How much goes next."""
        self._turn += 1
        return self._sizes[self._turn % len(self._sizes)]

    def drain(self) -> None:
        """Take what the core has to say, in pieces."""
        while views := self.core.poll_output():
            length = min(self.next_size(), sum(map(len, views)))
            self.said += joined(views, length)
            self.core.sent(length)
        self.is_closed = self.is_closed or self.core.is_over

    @property
    def pdus(self) -> list[Pdu]:
        """What was said."""
        return list(pdus(self.said))


def joined(views: object, length: int) -> bytes:
    """The first bytes of views."""
    found = bytearray()
    for view in views:  # type: ignore[attr-defined]
        piece: Buffer = view
        found += bytes(piece)[: length - len(found)]
        if len(found) == length:
            break
    return bytes(found)


class DirectTarget:
    """A target over TCP whose connections are `Wire`s."""

    def __init__(self, store: Store, config: TcpTargetConfig) -> None:
        self.now = 1
        self.subsystem = Subsystem(NQN)
        self.subsystem.add_namespace(store)
        self.target = Target([self.subsystem])
        self.tcp = TcpTarget(self.target, "192.0.2.1", config=config)
        self.executor = InlineExecutor(self.target)
        self.wires: dict[StreamCore, Wire] = {}

    def accept(self, sizes: tuple[int, ...] = (1 << 20,)) -> Wire:
        """One more connection."""
        core = self.tcp.handle_accepted(("192.0.2.1", 4420), ("192.0.2.2", 50000 + len(self.wires)), self.now)
        assert core is not None
        wire = self.wires[core] = Wire(core, sizes)
        return wire

    def feed(self, wire: Wire, data: bytes) -> None:
        """Bytes from the host, in pieces, each with a pass."""
        at = 0
        while at < len(data) and not wire.is_closed:
            views = wire.core.receive_views()
            if not views:
                return
            piece = data[at : at + min(wire.next_size(), sum(map(len, views)))]
            fill(views, piece)
            at += len(piece)
            wire.core.handle_received(len(piece), self.now)
            self.turn()

    def turn(self) -> None:
        """One pass, and what follows from it."""
        for _ in range(PASSES_MAX):
            did = self.executor.pump(self.now)
            active = self.tcp.poll_active(self.now)
            for core in active:
                self.wires[core].drain()
            deadline = self.tcp.poll_deadline()
            is_due = deadline is not None and deadline <= self.now
            if is_due:
                self.tcp.handle_timeout(self.now)
            if not (did or active or is_due):
                return
        raise AssertionError("it goes round in circles")

    def pass_time(self, duration_ns: int) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + duration_ns
        for _ in range(PASSES_MAX):
            deadline = self.tcp.poll_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.tcp.handle_timeout(self.now)
            self.turn()
        else:
            raise AssertionError("deadlines without end")
        self.now = end

    def close(self, wire: Wire) -> None:
        """The host closes."""
        if not wire.is_closed:
            wire.core.handle_ended("", self.now)
            self.turn()


def fill(views: object, piece: bytes) -> None:
    """Put bytes into views, in order."""
    for view in views:  # type: ignore[attr-defined]
        if not piece:
            return
        room: memoryview = view
        room[: len(piece)] = piece[: len(room)]
        piece = piece[len(room) :]


class DirectHost:
    """A host on a wire, as far as bringing up its queue goes."""

    def __init__(self, target: DirectTarget, wire: Wire, digests: int) -> None:
        self.target = target
        self.wire = wire
        self.digests = digests
        self.cid = 0
        target.feed(wire, TcpInitializeRequest(digests=digests).encode())

    def capsule(self, opcode: int, *, sgl: bytes, data: bytes = b"", **fields: int) -> bytes:
        """A CapsuleCmd."""
        self.cid += 1
        entry = SubmissionEntry(opcode=opcode, flags=FLAGS_SGL, cid=self.cid, sgl=sgl, **fields)
        head = TcpHeader(kind=TcpPduKind.COMMAND, hlen=TcpCommand.SIZE).encode()
        return pdu(TcpCommand.decode(head + entry.encode()), data, digests=self.digests)

    def connect(self, *, qid: int = 0, cntlid: int = 0xFFFF) -> int:
        """Connect; the CNTLID."""
        sgl = DataBlockSgl(length=1024, kind=SglKind.DATA_BLOCK_OFFSET).encode()
        fields = {"nsid": FabricsType.CONNECT, "cdw10": qid << 16, "cdw11": 31}
        data = connect_data(cntlid=cntlid)
        self.target.feed(self.wire, self.capsule(AdminOpcode.FABRICS, sgl=sgl, data=data, **fields))
        answer = CompletionEntry.decode(self.wire.pdus[-1].raw, TcpHeader.SIZE)
        assert answer.status == 0
        return answer.dw0

    def enable(self) -> None:
        """Set CC.EN."""
        fields = {"nsid": FabricsType.PROPERTY_SET, "cdw11": PropertyOffset.CC, "cdw12": 0x00460001}
        sgl = DataBlockSgl(kind=SglKind.TRANSPORT).encode()
        self.target.feed(self.wire, self.capsule(AdminOpcode.FABRICS, sgl=sgl, **fields))


def whole_pdus(data: bytes) -> Iterator[bytes]:
    """Bytes cut where PDUs would end; what cannot be one is the last piece."""
    at = 0
    while len(data) - at >= TcpHeader.SIZE:
        length = TcpHeader.decode(data, at).plen
        if length < TcpHeader.SIZE or length > len(data) - at:
            break
        yield data[at : at + length]
        at += length
    if at < len(data):
        yield data[at:]


def sealed(raw: bytes, digests: int) -> bytes:
    """A PDU with the digests that it should have, as far as it has room for them."""
    if len(raw) < TcpHeader.SIZE or raw[0] <= TcpPduKind.CONTROLLER_TERMINATE or raw[0] not in CODECS:
        return raw
    changed, hlen = bytearray(raw), CODECS[raw[0]].SIZE
    changed[1] = changed[1] & ~3 | (digests & 1)
    end = hlen + DIGEST_BYTES * (digests & 1)
    if digests & 2 and len(raw) > end + DIGEST_BYTES:
        changed[1] |= TcpPduFlag.DATA_DIGEST
        start = min(max(raw[3], end), len(raw) - DIGEST_BYTES)
        changed[-DIGEST_BYTES:] = crc32c(bytes(changed[start:-DIGEST_BYTES])).to_bytes(DIGEST_BYTES, "little")
    if digests & 1 and len(raw) >= end:
        changed[hlen:end] = crc32c(bytes(changed[:hlen])).to_bytes(DIGEST_BYTES, "little")
    return bytes(changed)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """An input of either end of NVMe/TCP, changed as one does who knows PDUs; its first two bytes stay."""
    return data[:2].ljust(2, b"\0") + Mutator(rng).damaged(list(whole_pdus(data[2:])) or [b""])


PASSES_MAX = 10_000
SIZES = ((1 << 20,), (1, 1, 1, 3000), (7, 1 << 20), (100, 3, 4096), (72, 28), (24, 1000, 1, 5000))
"""Ways to cut what is received and sent."""
