"""A device of ours with one queue pair, and waits that end: for completions by kind, and for the other side."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from interop.peers.terms import PeerError, Terms
from stacks.rdma import Qp, RecvWr, SendWr, Wc, WcOpcode, WcStatus
from stacks.rdma.cm import ConnectionParameters
from stacks.rdma.cm.ids import CmId, ConnectionFailed
from stacks.rdma.sync import Endpoint
from wire.ibcm import RejectReason

SECONDS = 1_000_000_000
PATIENCE_NS = 20 * SECONDS
"""An emulated processor that shares two real ones with others takes its time."""
T = TypeVar("T")


class Link:
    """Completions of one queue pair, handed out by kind; those of other kinds are kept for later."""

    def __init__(self, endpoint: Endpoint, qp: Qp) -> None:
        self.endpoint = endpoint
        self.qp = qp
        self._kept = dict[WcOpcode, deque[Wc]]()
        self._is_last = False

    def receive(self) -> Wc:
        """The next message that came."""
        return self.wait(WcOpcode.RECV)

    def send(self, wr: SendWr) -> None:
        """Post a request; it leaves with the next wait."""
        self.qp.post_send(wr)

    def post_recv(self, wr: RecvWr) -> None:
        """Post a receive."""
        self.qp.post_recv(wr)

    def wait(self, opcode: WcOpcode) -> Wc:
        """The next completion of that kind; PeerError for one with an error, or when none comes."""
        kept = self._kept.setdefault(opcode, deque())
        while not kept:
            for wc in self._take():
                if wc.status is not WcStatus.SUCCESS and not (self._is_last and wc.status in UNKNOWN_OUTCOMES):
                    raise PeerError(f"waiting for {opcode.name}: request {wc.wr_id} ended with {wc.status.name}")
                self._kept.setdefault(wc.opcode, deque()).append(wc)
        return kept.popleft()

    def wait_last(self, opcode: WcOpcode) -> None:
        """Wait for the completion of a request whose receiver leaves as soon as it has it.

        When its acknowledgement was lost it is repeated to nobody, or flushed, which is no fault of either side.
        """
        self._is_last = True
        self.wait(opcode)

    def _take(self) -> list[Wc]:
        send, receive = self.qp.send_cq, self.qp.recv_cq
        if not self.endpoint.wait_until(lambda: len(send) > 0 or len(receive) > 0, timeout_ns=PATIENCE_NS):
            raise PeerError("nothing completes; the other side has stopped")
        return [*send.poll(16), *receive.poll(16)]


def accept_one(endpoint: Endpoint, terms: Terms, prepare: Callable[[Qp], None]) -> tuple[Link, CmId]:
    """Wait for a connection on the port of `terms` and accept it, with receives posted before by `prepare`."""
    listener = endpoint.listen(terms.port)
    announce_ready()
    request = endpoint.next_request(listener, timeout_ns=PATIENCE_NS)
    qp = endpoint.create_qp()
    prepare(qp)
    return Link(endpoint, qp), endpoint.accept(request, qp=qp)


def connect_to(
    endpoint: Endpoint, terms: Terms, prepare: Callable[[Qp], None], *, data: bytes = b""
) -> tuple[Link, CmId]:
    """Connect to the port of `terms`, again and again while nobody listens there yet."""
    assert terms.remote is not None
    remote = terms.remote

    def attempt() -> tuple[Link, CmId]:
        qp = endpoint.create_qp()
        prepare(qp)
        parameters = ConnectionParameters(qpn=qp.number, path_mtu=terms.path_mtu) if terms.path_mtu else None
        return Link(endpoint, qp), endpoint.connect(remote, terms.port, qp=qp, parameters=parameters, private_data=data)

    return retried(attempt, lambda error: isinstance(error, ConnectionFailed) and error.reason == NOBODY_LISTENS)


def wait_disconnected(endpoint: Endpoint, cm_id: CmId) -> None:
    """Wait until the other side ends the connection."""
    if not endpoint.wait_until(lambda: cm_id.failure is not None, timeout_ns=PATIENCE_NS):
        raise PeerError("the other side does not end the connection")


def dial(terms: Terms) -> socket.socket:
    """A TCP connection to the port of `terms`, tried again while it is refused."""

    def attempt() -> socket.socket:
        return socket.create_connection((terms.meeting or terms.remote, terms.port), timeout=PATIENCE_NS / SECONDS)

    return retried(attempt, lambda error: isinstance(error, ConnectionRefusedError))


def take_call(terms: Terms) -> socket.socket:
    """The first TCP connection to the port of `terms`."""
    address = terms.meeting or terms.own
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, terms.port), family=family) as listener:
        announce_ready()
        listener.settimeout(PATIENCE_NS / SECONDS)
        stream, _ = listener.accept()
        stream.settimeout(PATIENCE_NS / SECONDS)
        return stream


def announce_ready() -> None:
    """Tell who started us that the other side may come."""
    print("ready", flush=True)


def retried(attempt: Callable[[], T], is_too_early: Callable[[Exception], bool]) -> T:
    """What `attempt` returns, as soon as the other side is there."""
    deadline = time.monotonic_ns() + PATIENCE_NS
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_too_early(error) or time.monotonic_ns() > deadline:
                raise
            time.sleep(0.1)


UNKNOWN_OUTCOMES = (WcStatus.RETRY_EXC_ERR, WcStatus.WR_FLUSH_ERR)
NOBODY_LISTENS = RejectReason.INVALID_SERVICE_ID
