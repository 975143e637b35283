"""Every opcode of RC and XRC in every place of a message, and every response to whatever is out, as reviewed tables.

Those of UC and UD, which answer nothing, are in `unreliable/test_uc_responder.py` and `test_datagram_packets.py`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.rdma import Access, DeviceConfig, FlushPlacement, QpType, RecvWr, WrOpcode
from stacks.rdma.opcodes import ATOMIC_WRITE, CMP_SWAP, DATA_OPCODES, FETCH_ADD, FLUSH, READ_REQUEST, XRC
from tests.stacks.rdma.hand import FIRST_PSN, MTU, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS
from wire.header import Header
from wire.roce import Aeth, AtomicAckEth, AtomicEth, Feth, Ieth, ImmDt, Opcode, Reth, RocePacket, XrcEth

REQUEST_TABLES = {
    QpType.RC: Path(__file__).with_name("rc_requests.txt"),
    QpType.XRC_RECV: Path(__file__).with_name("xrc_requests.txt"),
}
RESPONSE_TABLE = Path(__file__).with_name("rc_responses.txt")
ACCESS = FULL_ACCESS | Access.FLUSH_GLOBAL
FULL = bytes(MTU)
SYNDROMES = {0x1F: "ACK", 0x60: "NAK sequence", 0x61: "NAK invalid request", 0x62: "NAK remote access"}
OPERATION = 0x1F


class Place:
    """A responder of RC or XRC in one place: between messages, or inside one."""

    def __init__(self, qp_type: QpType, inside: str, operation: int, *, shortcuts: bool) -> None:
        self.rig = rig = HandRig(shortcuts=shortcuts, access=ACCESS, memory_bytes=64)
        end = rig.end
        end.mr = end.pd.reg_mr(bytearray(1 << 16), ACCESS)
        self.prefix: tuple[Header, ...] = ()
        self.transport = 0
        if qp_type is QpType.XRC_RECV:
            self._become_target()
        else:
            for number in range(2):
                rig.end.recv(number, 0, 4 * MTU)
        if inside == "a SEND":
            self.ask(Opcode.RC_SEND_FIRST, payload=FULL)
        elif inside == "a WRITE":
            length = MTU + 4 if DATA_OPCODES.get(operation, DATA_OPCODES[0]).ends else 2 * MTU + 4
            self.ask(Opcode.RC_WRITE_FIRST, self._reth(length), payload=FULL)
        rig.received()

    def _become_target(self) -> None:
        end = self.rig.end
        xrcd = end.device.open_xrcd()
        srq = end.pd.create_srq(max_wr=4, xrcd=xrcd, cq=end.cq)
        end.qp = end.pd.create_qp(QpType.XRC_RECV, send_cq=end.cq, recv_cq=end.cq, xrcd=xrcd)
        self.rig.connect(ACCESS, {})
        for number in range(2):
            srq.post_recv(RecvWr(number, [end.sge(0, 4 * MTU)]))
        self.prefix = (XrcEth(srq=srq.number),)
        self.transport = XRC << 5

    def ask(self, operation: int, *headers: Header, payload: bytes = b"", **fields: int) -> None:
        """Send the next packet of this transport."""
        self.rig.request(self.transport | operation, *self.prefix, *headers, payload=payload, **fields)

    def ask_rightly(self, operation: int, **fields: int) -> None:
        """The same with the headers and the payload that are right for the operation."""
        headers, payload = self._content(operation)
        self.ask(operation, *headers, payload=payload, **fields)

    def outcome(self) -> str:
        """What came back, what completed, and how the queue pair ended."""
        answers = [name_of(packet) for packet in self.rig.received()]
        done = [status for _, status in self.rig.completed() if status != "WR_FLUSH_ERR"]
        counters = self.rig.end.device.counters
        counted = ["opcode counted"] * (counters.rcvd_opcode_err > 0)
        stray = ["stray response"] * (counters.duplicate_response > 0)
        ended = ["ERR"] * (self.rig.end.qp.state.name == "ERR")
        return ", ".join([*answers, *done, *counted, *stray, *ended]) or "taken"

    def _reth(self, length: int) -> Reth:
        return Reth(va=self.rig.end.mr.address, rkey=self.rig.end.mr.rkey, length=length)

    def _content(self, operation: int) -> tuple[list[Header], bytes]:
        data = DATA_OPCODES.get(operation)
        if data is None:
            return self._undivided(operation)
        headers: list[Header] = []
        if data.extension_bytes >= Reth.SIZE:
            headers.append(self._reth(4 if data.ends else 2 * MTU))
        if data.has_imm:
            headers.append(ImmDt(imm=b"imm!"))
        if data.has_inv:
            headers.append(Ieth(rkey=self.rig.end.lend_key()))
        return headers, b"tail" if data.ends else FULL

    def _undivided(self, operation: int) -> tuple[list[Header], bytes]:
        mr = self.rig.end.mr
        if operation in (CMP_SWAP, FETCH_ADD):
            return [AtomicEth(va=mr.address, rkey=mr.rkey)], b""
        if operation == FLUSH:
            return [Feth(placement=FlushPlacement.GLOBAL), self._reth(4)], b""
        if operation == ATOMIC_WRITE:
            return [self._reth(8)], bytes(8)
        if operation == READ_REQUEST:
            return [self._reth(4)], b""
        return response_content(operation, 4)


def response_content(operation: int, length: int) -> tuple[list[Header], bytes]:
    """Headers and payload of a response, or of nothing that exists."""
    if operation == Opcode.RC_ACKNOWLEDGE:
        return [Aeth(syndrome=0x1F)], b""
    if operation == Opcode.RC_ATOMIC_ACKNOWLEDGE:
        return [Aeth(syndrome=0x1F), AtomicAckEth()], b""
    if operation == Opcode.RC_READ_RESPONSE_MIDDLE:
        return [], bytes(length)
    if Opcode.RC_READ_RESPONSE_FIRST <= operation <= Opcode.RC_READ_RESPONSE_ONLY:
        return [Aeth(syndrome=0x1F)], bytes(length)
    return [], b""


def name_of(packet: RocePacket) -> str:
    """An answer in words."""
    operation = packet.bth.opcode & OPERATION
    aeth = packet.find(Aeth)
    if operation == Opcode.RC_ACKNOWLEDGE and aeth is not None:
        return SYNDROMES[aeth.syndrome]
    return "atomic ACK" if operation == Opcode.RC_ATOMIC_ACKNOWLEDGE else "READ response"


def operation_name(operation: int) -> str:
    """The name of an opcode of RC without its transport, or its number."""
    try:
        return Opcode(operation).name.removeprefix("RC_")
    except ValueError:
        return f"{operation:#04x}"


def arrive(qp_type: QpType, inside: str, when: str, operation: int, *, shortcuts: bool) -> str:
    """What becomes of one packet."""
    place = Place(qp_type, inside, operation, shortcuts=shortcuts)
    here = place.rig.psn
    psn = {"next": here, "gap": here + 1, "old": FIRST_PSN - 1}[when]
    place.ask_rightly(operation, psn=psn)
    return place.outcome()


def request_table(qp_type: QpType, *, shortcuts: bool) -> str:
    """For each place and PSN, which operations have which outcome."""
    lines = []
    for inside in ("nothing", "a SEND", "a WRITE"):
        for when in ("next", "gap", "old"):
            lines.append(f"in {inside}, PSN {when}\n")
            outcomes: dict[str, list[str]] = {}
            for operation in range(32):
                outcome = arrive(qp_type, inside, when, operation, shortcuts=shortcuts)
                outcomes.setdefault(outcome, []).append(operation_name(operation))
            for outcome, operations in outcomes.items():
                lines += [f"    {outcome}:\n", *wrapped(operations)]
    return "".join(lines)


def wrapped(names: list[str]) -> list[str]:
    return [f"        {line}\n" for line in textwrap.wrap(", ".join(names), 100)]


@pytest.mark.slow
@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
@pytest.mark.parametrize("qp_type", REQUEST_TABLES, ids=lambda one: one.name)
def test_every_request_in_every_place_is_answered_as_the_reviewed_table_says(qp_type: QpType, shortcuts: bool) -> None:
    """IBTA 9.7.4.1.1 (PSN), 9.7.4.1.2 (opcode sequence), 9.7.4.1.3 (operation supported), A14 for XRC."""
    assert request_table(qp_type, shortcuts=shortcuts) == REQUEST_TABLES[qp_type].read_text()


Out = Callable[[HandRig], None]


def remote(rig: HandRig) -> dict[str, int]:
    return {"remote_address": rig.end.mr.address, "rkey": rig.end.mr.rkey}


def read_started(rig: HandRig) -> None:
    """A READ of three packets of which the first came."""
    rig.end.send(1, WrOpcode.RDMA_READ, 0, 3 * MTU, **remote(rig))
    rig.received()
    rig.respond(Opcode.RC_READ_RESPONSE_FIRST, FIRST_PSN, Aeth(syndrome=0x1F), payload=FULL)


def read_nearly_done(rig: HandRig) -> None:
    """The same, where only the last one is missing."""
    read_started(rig)
    rig.respond(Opcode.RC_READ_RESPONSE_MIDDLE, FIRST_PSN + 1, payload=FULL)


WAITING: dict[str, tuple[Out, int, int]] = {
    "nothing": (lambda _rig: None, 0, 4),
    "a SEND": (lambda rig: rig.end.send(1, WrOpcode.SEND, 0, 4), 0, 4),
    "a short READ": (lambda rig: rig.end.send(1, WrOpcode.RDMA_READ, 0, 4, **remote(rig)), 0, 4),
    "a long READ": (lambda rig: rig.end.send(1, WrOpcode.RDMA_READ, 0, 3 * MTU, **remote(rig)), 0, MTU),
    "its middle": (read_started, 1, MTU),
    "its last": (read_nearly_done, 2, MTU),
    "an atomic": (lambda rig: rig.end.send(1, WrOpcode.ATOMIC_FETCH_AND_ADD, 0, 8, **remote(rig)), 0, 0),
    "ATOMIC WRITE": (lambda rig: rig.end.send(1, WrOpcode.ATOMIC_WRITE, 0, 8, **remote(rig)), 0, 0),
}
"""What is out, the PSN of the response that is expected to it, and how many bytes it carries."""


def respond(waiting: str, operation: int, *, shortcuts: bool) -> str:
    """What a response does to the request that waits."""
    begin, psn, length = WAITING[waiting]
    rig = HandRig(shortcuts=shortcuts, config=DeviceConfig(shortcuts=shortcuts), timeout=0)
    begin(rig)
    rig.received()
    headers, payload = response_content(operation, length)
    rig.respond(operation, FIRST_PSN + psn & 0xFFFFFF, *headers, payload=payload)
    again = ["asked again"] * bool(rig.received())
    done = [status for _, status in rig.completed()]
    stray = ["dropped"] * (rig.end.device.counters.duplicate_response > 0)
    return ", ".join([*done, *stray, *again]) or "waits"


def response_table(*, shortcuts: bool) -> str:
    """A line for each thing that is out and each kind of response."""
    responses = range(Opcode.RC_READ_RESPONSE_FIRST, Opcode.RC_ATOMIC_ACKNOWLEDGE + 1)
    return "".join(
        f"{waiting:13} {operation_name(operation):22} {respond(waiting, operation, shortcuts=shortcuts)}\n"
        for waiting in WAITING
        for operation in responses
    )


@pytest.mark.slow
@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
def test_every_response_to_whatever_is_out_does_what_the_reviewed_table_says(shortcuts: bool) -> None:
    """IBTA 9.7.5.1.2 (READ), 9.7.5.1.3 (atomics), 9.7.5.1.4 (ghosts), 9.9.2.4.2 (bad response)."""
    assert response_table(shortcuts=shortcuts) == RESPONSE_TABLE.read_text()
