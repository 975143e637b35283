"""Any bytes from a controller to one connection of an initiator over TCP.

The first two bytes say which digests are agreed on, how the rest is cut, and whether digests are made right before it
comes; the rest is what the controller says, while reads, writes and commands without data are under way.
"""

from __future__ import annotations

from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.bindings.tcp.initiator_connection import TcpHostConnection
from stacks.nvme.host import HostCommand, HostQueue
from stacks.nvme.host.queue import HostQueueEvent
from tests.fuzz.direct import SIZES, damaged, fill, joined, sealed, whole_pdus
from tests.wire.nvme.tcp_pdus import pdu, pdus
from wire.nvme.kinds import TcpPduKind
from wire.nvme.opcodes import IoOpcode
from wire.nvme.tcp_codec import (
    TcpCompletion,
    TcpControllerData,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)

LENGTHS = (4096, 4096, 9000, 20000)
"""Of the reads, and of the writes; the small writes go inside their capsules."""


class Owner:
    """What a connection knows of its initiator."""

    def __init__(self, *, shortcuts: bool) -> None:
        self.config = TcpInitiatorConfig(shortcuts=shortcuts)
        self.data_digest_errors = 0
        self.link: TcpHostConnection | None = None
        self.is_open = False

    def touched(self, link: TcpHostConnection) -> None:
        """It has something to say."""

    def opened(self, link: TcpHostConnection, now: int) -> None:
        """Both agreed."""
        self.is_open = True
        link.queue.apply(HostQueueEvent.OPENED)

    def ended(self, link: TcpHostConnection, failure: str, now: int) -> None:
        """It is over."""
        link.stop()
        self._lost(link)

    def terminated(self, link: TcpHostConnection, reason: str, now: int) -> None:
        """It said TermReq."""
        self._lost(link)

    def _lost(self, link: TcpHostConnection) -> None:
        for command in link.queue.lost("lost"):
            link.queue.abandon(command)


class Commands:
    """Commands under way, with the memory that they move; each is over once, and then its memory is left alone."""

    def __init__(self, queue: HostQueue) -> None:
        self.queue = queue
        self.memory: dict[int, bytearray] = {}
        self.over: set[int] = set()

    def submit(self, number: int, length: int, *, is_read: bool) -> None:
        """One more; its CID is its number, for a queue that is fresh."""
        memory = bytearray(length) if is_read else bytearray(b"w" * length)

        def done(command: HostCommand) -> None:
            assert number not in self.over
            self.over.add(number)
            memory[:] = b"?" * len(memory)

        opcode = IoOpcode.READ if is_read else IoOpcode.WRITE
        data = memoryview(memory) if length else None
        self.memory[number] = memory
        self.queue.submit(HostCommand(opcode.value, 1, data=data, is_read=is_read, done=done), 0)

    def check(self) -> None:
        """Memory of what is over is as the program left it."""
        for number in self.over:
            assert set(self.memory[number]) <= {ord("?")}


def check(data: bytes) -> None:
    """Bring `data`, and check everything that must hold; raises whatever does not."""
    control, rest = data[:2].ljust(2, b"\0"), data[2:]
    digests = control[0] & 3
    queue = HostQueue(1, 32)
    queue.apply(HostQueueEvent.OPEN)
    owner = Owner(shortcuts=not control[0] & 0x20)
    link = owner.link = TcpHostConnection(owner, queue, in_capsule_bytes=8192, digests=digests)  # type: ignore[arg-type]
    sizes = SIZES[control[1] % len(SIZES)]
    commands = Commands(queue)
    said = bytearray()
    if not control[0] & 4:
        response = TcpInitializeResponse(digests=digests, maxh2cdata=4096 * 4, cpda=control[0] >> 3 & 1)
        _feed(link, response.encode(), (1 << 20,), said)
        for number, length in enumerate(LENGTHS):
            commands.submit(2 * number, length, is_read=True)
            commands.submit(2 * number + 1, length, is_read=False)
        commands.submit(8, 0, is_read=False)
        link.post_outgoing()
    if control[0] & 0x40:
        rest = b"".join(sealed(each, digests) for each in whole_pdus(rest))
    _feed(link, rest, sizes, said)
    link.handle_ended("", 0)
    commands.check()
    assert len(commands.over) == len(commands.memory)
    _check_said(bytes(said), is_finished=link.is_finished)


def _feed(link: TcpHostConnection, data: bytes, sizes: tuple[int, ...], said: bytearray) -> None:
    at = turn = 0
    while at < len(data) and not link.is_over:
        views = link.receive_views()
        piece = data[at : at + min(sizes[turn % len(sizes)], sum(map(len, views)))]
        fill(views, piece)
        at, turn = at + len(piece), turn + 1
        link.handle_received(len(piece), 0)
        while link.poll_output() and not link.is_over:
            out = link.poll_output()
            length = min(sizes[turn % len(sizes)], sum(map(len, out)))
            said += joined(out, length)
            link.sent(length)
            turn += 1


def _check_said(said: bytes, *, is_finished: bool) -> None:
    found = list(pdus(said))
    for each in found:
        assert each.is_header_intact
        assert each.is_data_intact
        # What was lent by the program goes out as it was when it was lent.
        assert set(each.data) <= {ord("w")} or each.kind is TcpPduKind.HOST_TERMINATE
    kinds = [each.kind for each in found]
    assert TcpPduKind.HOST_TERMINATE not in kinds[:-1]
    if is_finished:
        assert kinds[-1] is TcpPduKind.HOST_TERMINATE
        assert 1 <= found[-1].field("fes") <= 6


mutated = damaged


def seeds() -> list[bytes]:
    """Inputs to begin with: what a controller says to such commands."""
    found = [b"\4\0" + TcpInitializeResponse(digests=digests, maxh2cdata=4096).encode() for digests in range(4)]
    for digests in range(4):
        for cut in range(len(SIZES)):
            for flags in (0, 8, 0x20, 0x40):
                head = bytes([digests | flags, cut])
                data = [
                    pdu(TcpControllerData(flags=12, cid=2 * at, length=length), bytes(length), digests=digests)
                    for at, length in enumerate(LENGTHS)
                ]
                requests = [
                    pdu(TcpReadyToTransfer(cid=2 * at + 1, ttag=at, length=length), digests=digests)
                    for at, length in enumerate(LENGTHS)
                    if length > 8192
                ]
                answers = [pdu(TcpCompletion(cqe_cid=cid), digests=digests) for cid in range(9)]
                found.append(head + b"".join(data))
                found.append(head + b"".join(requests) + b"".join(answers[1::2]))
                found.append(head + b"".join(answers))
                found.append(head + answers[8] + TcpTerminate(kind=3, fes=4).encode() + data[0])
    return found
