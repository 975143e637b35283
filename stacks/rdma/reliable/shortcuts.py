"""Whole-burst shortcuts in front of the state machine of one queue pair.

They take runs of packets that are checked, of equal size, and for one queue pair, and of these only what needs no
decision: consecutive PSNs, one opcode, plain memory. The rest of the run, from the first packet that is different,
goes to `Qp.handle_packet` one by one. Everything here could go that way, with the same outcome;
`DeviceConfig.shortcuts` switches the shortcuts off, and the scenario tests hold both ways equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stacks.rdma.completion import Wc
from stacks.rdma.enums import Access, QpState, WcOpcode, WcStatus
from stacks.rdma.opcodes import (
    DATA_OPCODES,
    READ_RESPONSE_MIDDLE,
    SEND,
    SEND_MIDDLE,
    SEND_ONLY,
    WRITE_LAST,
    WRITE_MIDDLE,
    WRITE_ONLY,
)
from stacks.rdma.runs import Run
from stacks.rdma.work import Sge
from wire.roce import Reth
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES

if TYPE_CHECKING:
    from stacks.rdma.connected import ConnectedQp
    from stacks.rdma.memory.region import Region
    from stacks.rdma.reliable.queue_pair import ReliableQp


def handle_run(qp: ReliableQp, run: Run, now: int) -> int:
    """Take packets from the front of a run; returns how many. The rest is for the complete check."""
    taken = 0
    if qp.state is QpState.RTS and run.payload_bytes >= 0 and run.word0 & PLAIN_MASK == PLAIN:
        shortcut = _SHORTCUTS.get(run.word0 >> 24)
        if shortcut is not None:
            taken = shortcut(qp, run, now)
    return one_by_one(qp, run, taken, now)


def handle_lone(qp: ReliableQp, words: tuple[int, ...], packet: memoryview, now: int) -> int:
    """Take one packet whose ICRC is right, in few steps; returns 0 when it needs the complete check, else 1."""
    word0, _, word2 = words
    end = len(packet) - ICRC_BYTES - (word0 >> 20 & 3)
    if word0 & PLAIN_MASK != PLAIN or end < BTH_BYTES or qp.state not in LISTENING or word0 >> 29:
        return 0
    body = packet[BTH_BYTES:end]
    responder = qp.responder
    if (
        word0 >> 24 == SEND_ONLY
        and word2 == (responder.expected_psn & 0xFFFFFF | _ACK_REQUEST)
        and not responder.kind
        and qp.state is QpState.RTS
        and len(body) <= responder.path_mtu
        and _take_send(qp, body, is_solicited=bool(word0 & _SOLICITED))
    ):
        qp.counters.rdma_recvs += 1
        responder.accepted(1, 1, wants_ack=True)
    else:
        qp.handle_packet(word0, word2, body, now)
    return 1


def take_lone(qp: ConnectedQp, words: tuple[int, ...], packet: memoryview, now: int) -> int:
    """Hand on one packet whose ICRC is right, for transports without a shorter way; 0 when it needs the full check."""
    word0, _, word2 = words
    end = len(packet) - ICRC_BYTES - (word0 >> 20 & 3)
    if word0 & PLAIN_MASK != PLAIN or end < BTH_BYTES or qp.state not in LISTENING or word0 >> 29 != qp.transport:
        return 0
    qp.handle_packet(word0, word2, packet[BTH_BYTES:end], now)
    return 1


def one_by_one(qp: ConnectedQp, run: Run, index: int, now: int) -> int:
    """The general way from `index` on, without decoding and checking headers again."""
    words, view, size = run.words, run.view, run.size
    handle, transport = qp.handle_packet, qp.transport
    while index < run.count:
        word0 = words[3 * index]
        end = size - ICRC_BYTES - (word0 >> 20 & 3)
        if word0 & PLAIN_MASK != PLAIN or qp.state not in LISTENING or end < BTH_BYTES or word0 >> 29 != transport:
            break
        start = index * size
        handle(word0, words[3 * index + 2], view[start + BTH_BYTES : start + end], now)
        index += 1
    return index


def send_onlies(qp: ConnectedQp, run: Run, _now: int) -> int:
    """SENDs of one packet, each into a receive of one piece."""
    responder, length = qp.responder, run.payload_bytes
    if responder.kind or length > responder.path_mtu or not run.is_uniform(responder.expected_psn, qp.ack_request):
        return 0
    is_solicited = bool(run.word0 & _SOLICITED)
    taken = 0
    for _, payload in zip(range(run.count), run.payloads(), strict=False):
        if not _take_send(qp, payload, is_solicited=is_solicited):
            break
        taken += 1
    qp.counters.rdma_recvs += taken
    responder.accepted(taken, taken, wants_ack=taken > 0)
    return taken


def _take_send(qp: ConnectedQp, payload: memoryview, *, is_solicited: bool) -> bool:
    """Receive one message of one packet, if its receive is one plain piece of memory."""
    receives, cq = qp.responder.receives, qp.recv_cq
    if not receives or cq.is_broken:
        return False
    receive = receives[0]
    if len(receive.sges) != 1:
        return False
    # What `MemoryTable.find` asks, without the call: this is what a small message costs.
    sge = receive.sges[0]
    region = qp.memory.regions.get(sge.lkey)
    if region is None or region.direct is None or region.pd is not qp.pd or not region.access & _LOCAL_WRITE:
        return False
    length = len(payload)
    offset = sge.address - region.address
    if offset < 0 or offset + sge.length > region.length or length > sge.length:
        return False
    region.direct[offset : offset + length] = payload
    receives.popleft()
    cq.push(Wc(receive.wr_id, _SUCCESS, _RECV, length, qp.number, 0, b"", 0, is_solicited))
    return True


def write_onlies(qp: ConnectedQp, run: Run, _now: int) -> int:
    """RDMA WRITEs of one packet."""
    responder, length = qp.responder, run.payload_bytes - _RETH_BYTES
    if (
        responder.kind
        or not 0 < length <= responder.path_mtu
        or not responder.access & Access.REMOTE_WRITE
        or not run.is_uniform(responder.expected_psn, qp.ack_request)
    ):
        return 0
    words = Reth.words(run.count, run.size)(run.view, BTH_BYTES)
    taken, key = 0, -1
    region: Region | None = None
    each = zip(words[0::4], words[1::4], words[2::4], words[3::4], run.payloads(_RETH_BYTES), strict=False)
    for high, low, rkey, reth_length, payload in each:
        address = high << 32 | low
        if rkey != key:
            key = rkey
            region = qp.memory.find(rkey, qp, address, length, Access.REMOTE_WRITE)
        if region is None or region.direct is None or reth_length != length:
            break
        offset = address - region.address
        if offset < 0 or address + length > region.end:
            break
        region.direct[offset : offset + length] = payload
        taken += 1
    responder.accepted(taken, taken, wants_ack=taken > 0)
    return taken


def middles(qp: ConnectedQp, run: Run, _now: int) -> int:
    """A run inside a SEND or an RDMA WRITE, perhaps with the last packet of the WRITE."""
    responder, words = qp.responder, run.words
    kind = DATA_OPCODES[run.word0 >> 24 & 0x1F].kind
    if responder.kind != kind or run.payload_bytes != responder.path_mtu or run.count < _WORTHWHILE:
        return 0
    first, last_word = responder.expected_psn & 0xFFFFFF, words[-1]
    last = first + run.count - 1
    ends = words[-3] >> 24 & 0x1F == WRITE_LAST and kind != SEND and words[-3] & _PLAIN_OR_PAD == PLAIN
    if (
        last > 0xFFFFFF
        or last_word & 0xFFFFFF != last
        or not (ends or words[-3] == run.word0)
        or words[0:-3:3] != (run.word0,) * (run.count - 1)
        or words[2:-1:3] != tuple(range(first, last))
    ):
        return 0
    pages = _message_pages(qp, kind, run, ends=ends)
    if not pages:
        return 0
    _copy(run, pages)
    responder.offset += run.count * run.payload_bytes
    if ends:
        responder.kind = 0
    responder.accepted(run.count, int(ends), wants_ack=last_word >> 31 != 0)
    return run.count


def _message_pages(qp: ConnectedQp, kind: int, run: Run, *, ends: bool) -> list[memoryview]:
    """Where the run's part of the unfinished message goes, if that is one plain piece; else nothing."""
    responder = qp.responder
    if kind == SEND:
        receive = responder.current
        return [] if receive is None else _plain_pages(qp, receive.sges, responder.offset, run)
    region, rest = responder.write_region, responder.write_length - responder.offset
    total = run.count * responder.path_mtu
    if region is None or region.direct is None or (total != rest if ends else total >= rest):
        return []
    return region.pages(responder.write_address + responder.offset, responder.path_mtu, run.count)


def _read_middles(qp: ReliableQp, run: Run, now: int) -> int:
    """A run inside the response to the oldest READ."""
    requester = qp.requester
    pieces = requester.pieces
    if not pieces or run.payload_bytes != requester.egress.path_mtu or run.count < _WORTHWHILE:
        return 0
    piece = pieces[0]
    if (
        piece.next_psn == piece.first_psn
        or not run.is_uniform(piece.next_psn, 0)
        or piece.next_psn + run.count > piece.last_psn
    ):
        return 0
    offset = (piece.next_psn - piece.wqe.first_psn) * run.payload_bytes
    pages = _plain_pages(qp, piece.wqe.sges, offset, run)
    if not pages:
        return 0
    _copy(run, pages)
    qp.completer.read_progressed(piece, run.count, now)
    return run.count


def _plain_pages(qp: ConnectedQp, sges: Sequence[Sge], offset: int, run: Run) -> list[memoryview]:
    """The memory at `offset` of a list of one piece, where it is plain, writable, and long enough."""
    if len(sges) != 1:
        return []
    sge, page_bytes = sges[0], run.payload_bytes
    if offset + run.count * page_bytes > sge.length:
        return []
    region = qp.memory.find(sge.lkey, qp, sge.address, sge.length, Access.LOCAL_WRITE)
    if region is None or region.direct is None:
        return []
    return region.pages(sge.address + offset, page_bytes, run.count)


def _copy(run: Run, pages: Sequence[memoryview]) -> None:
    whole = _WHOLE
    for page, payload in zip(pages, run.payloads(), strict=False):
        page[whole] = payload


_SHORTCUTS: dict[int, Callable[[ReliableQp, Run, int], int]] = {
    SEND_ONLY: send_onlies,
    WRITE_ONLY: write_onlies,
    SEND_MIDDLE: middles,
    WRITE_MIDDLE: middles,
    READ_RESPONSE_MIDDLE: _read_middles,
}

_LOCAL_WRITE = Access.LOCAL_WRITE
_SUCCESS = WcStatus.SUCCESS
_RECV = WcOpcode.RECV
LISTENING = frozenset({QpState.RTR, QpState.RTS, QpState.SQD})
_ACK_REQUEST = 1 << 31
_SOLICITED = 1 << 23
PLAIN = 0x0000FFFF
PLAIN_MASK = 0x000FFFFF
"""Transport version 0 and the default P_Key; everything else goes the long way."""
_PLAIN_OR_PAD = 0x003FFFFF
_RETH_BYTES = 16
_WHOLE = slice(None)
_WORTHWHILE = 2
"""Packets from which on a shortcut for the middle of messages gains anything."""
