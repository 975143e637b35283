"""Extended reliable connections: one sends, the other delivers to the shared receive queue that each packet names.

    XRC_SEND: Requester -> requests with an XRCETH ... responses without -> Completer
    XRC_RECV: requests -> the SRQ of that number in the domain -> Responder -> responses

Everything else is as with reliable connections: sequence, acknowledgements, retries, READs and atomics. A target is in
a domain; it has no receives, works in the protection domain of the SRQ that a request names, and completes to that
queue's CQ (IBTA annex A14).
"""

from __future__ import annotations

from stacks.rdma.enums import SYNDROME_NAK, Nak, QpType
from stacks.rdma.opcodes import LOCAL_OPERATIONS, RESPONSES, XRC
from stacks.rdma.reliable.queue_pair import ReliableQp
from stacks.rdma.reliable.requester import Requester
from stacks.rdma.reliable.responder import Responder
from stacks.rdma.reliable.shortcuts import one_by_one, take_lone
from stacks.rdma.runs import Run
from stacks.rdma.srq import Srq, Xrcd
from stacks.rdma.work import RecvWr, SendWqe, SendWr
from stacks.runtime import LocalError, RemoteError
from transports.datagram import Transmit
from wire.roce import XrcEth


class XrcQp(ReliableQp):
    """What both ends have in common. No packet is taken by the shortcuts, but runs share one ICRC check."""

    transport = XRC

    def handle_run(self, run: Run, now: int) -> int:
        """Take packets from the front of a run whose ICRCs are right; returns how many."""
        return one_by_one(self, run, 0, now)

    def handle_lone(self, words: tuple[int, ...], packet: memoryview, now: int) -> int:
        """Take one packet whose ICRC is right; 0 when it needs the complete check, else 1."""
        return take_lone(self, words, packet, now)

    def post_recv(self, wr: RecvWr) -> None:
        """LocalError: receives are posted to a shared receive queue."""
        raise LocalError(f"QP {self.number} is {self.qp_type.name}: post {wr.wr_id} to an SRQ of its domain")


class XrcRequester(Requester):
    """A requester whose every packet begins with an XRCETH (A14.3.2)."""

    def post(self, wr: SendWr, flags: int) -> None:
        """Queue a request; LocalError as of every requester, and for a number that takes more than 24 bits."""
        if not 0 <= wr.remote_srqn <= 0xFFFFFF:
            raise LocalError(f"remote_srqn takes 24 bits: {wr.remote_srqn} does not fit")
        super().post(wr, flags)
        if wr.opcode not in LOCAL_OPERATIONS:
            wqe = self._ring[-1]
            wqe.header = XrcEth(srq=wr.remote_srqn).encode() + wqe.header

    def _data_extension(self, wqe: SendWqe, *, is_first: bool, is_last: bool) -> bytes:
        header = wqe.header if is_first else wqe.header[: XrcEth.SIZE]
        return header + wqe.trailer if is_last else header

    def _build_middles(self, room: int) -> Transmit | None:  # noqa: ARG002  # their headers are not alike
        return None

    def _add_middles(self, send: object, wqe: SendWqe, room: int) -> bool:  # noqa: ARG002  # likewise
        return False


class XrcResponder(Responder):
    """A responder that delivers where each request says."""

    _qp: XrcTargetQp

    def handle_request(self, opcode: int, *, psn: int, wants_ack: bool, is_solicited: bool, body: memoryview) -> None:
        """One request: `psn` 24 bits, `body` from the XRCETH to the ICRC without padding."""
        if psn == self.expected_psn & 0xFFFFFF and not self._is_waiting:
            try:
                self._deliver_to(body)
            except RemoteError as error:
                self.refuse(error)
                return
        body = body[XrcEth.SIZE :]
        super().handle_request(opcode, psn=psn, wants_ack=wants_ack, is_solicited=is_solicited, body=body)

    def _deliver_to(self, body: memoryview) -> None:
        """Take on the SRQ that a request names, its protection domain and its CQ.

        A number that is nobody's, or not that of the message's first packet, is an invalid request; a queue of another
        domain is an access error (A14.2.4: invalid XRCETH, XRC domain violation; the codes are our reading of it).
        """
        qp = self._qp
        srq = qp.find_srq(XrcEth.decode(body).srq) if len(body) >= XrcEth.SIZE else None
        if srq is None or (self.kind and srq is not self.queue):
            raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "the XRCETH names no queue that it may")
        if srq.xrcd is not qp.xrcd or srq.cq is None:
            raise RemoteError(SYNDROME_NAK | Nak.REMOTE_ACCESS_ERROR, "the queue is of another XRC domain")
        if srq is not self.queue:
            self.queue, self.receives = srq, srq.entries
            qp.pd, qp.recv_cq = srq.pd, srq.cq


class XrcInitiatorQp(XrcQp):
    """The sending end (XRC_SEND)."""

    requester_class = XrcRequester

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """One packet of XRC; requests have no business here and are counted."""
        if word0 >> 24 & 0x1F in RESPONSES:
            super().handle_packet(word0 & _OPERATION, psn_word, body, now)
        else:
            self.counters.rcvd_opcode_err += 1


class XrcTargetQp(XrcQp):
    """The receiving end (XRC_RECV), in a domain from `join` on."""

    responder_class = XrcResponder
    xrcd: Xrcd

    def join(self, xrcd: Xrcd) -> None:
        """Deliver to the shared receive queues of a domain; once, before anything else."""
        self.xrcd = xrcd
        xrcd.qps.add(self)

    def find_srq(self, number: int) -> Srq | None:
        """The shared receive queue of a number, whatever its domain."""
        return self._device.srqs.get(number)

    def destroy(self) -> None:
        """As of every queue pair."""
        super().destroy()
        self.xrcd.qps.discard(self)

    def post_send(self, wr: SendWr) -> None:
        """LocalError: a target sends nothing of its own."""
        raise LocalError(f"QP {self.number} is XRC_RECV and sends nothing: post {wr.wr_id} to an XRC_SEND queue pair")

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """One packet of XRC; responses have no business here and are counted."""
        if word0 >> 24 & 0x1F in RESPONSES:
            self.counters.rcvd_opcode_err += 1
        else:
            super().handle_packet(word0 & _OPERATION, psn_word, body, now)


def check_domain(qp_type: QpType, srq: Srq | None, xrcd: Xrcd | None) -> None:
    """Raise LocalError unless an XRC target, and nothing else, is given an open domain; XRC takes no SRQ of its own."""
    if qp_type is QpType.XRC_RECV and (xrcd is None or xrcd.is_closed):
        raise LocalError("an XRC_RECV queue pair needs an XRC domain (xrcd) that is open: see Device.open_xrcd")
    if qp_type is not QpType.XRC_RECV and xrcd is not None:
        raise LocalError(f"a {qp_type.name} queue pair takes no XRC domain: only XRC_RECV does")
    if qp_type in (QpType.XRC_SEND, QpType.XRC_RECV) and srq is not None:
        raise LocalError(f"a {qp_type.name} queue pair takes no SRQ: each request names one")


_OPERATION = 0x1FFFFFFF
"""Everything of a first word but the transport."""
