"""udaddy: the client finds the server's queue pair by SIDR and sends datagrams with its own number as immediate data.

The server answers as many. Theirs sends from the start of the buffer that it receives into, so that a reply is the GRH
of our last datagram and then what we sent, as much as there is room for.
"""

from __future__ import annotations

from interop.peers.inbox import Inbox
from interop.peers.link import PATIENCE_NS, Link, announce_ready, retried
from interop.peers.terms import PeerError, Terms, check_data, pattern
from interop.peers.ud_pingpong import GRH_BYTES, check_grh
from stacks.rdma import AddressVector, QpType, SendWr, Wc, WcFlags, WcOpcode, WrOpcode
from stacks.rdma.cm import CmEventType, EventChannel, RdmaEvent, RdmaId
from stacks.rdma.cm.queue_pair import RDMA_UDP_QKEY
from stacks.rdma.sync import Endpoint
from wire.ibcm import RdmaPortSpace, SidrStatus


class _TooEarlyError(Exception):
    """Nobody serves the port yet."""


def serve(endpoint: Endpoint, terms: Terms) -> str:
    """Answer one client."""
    channel = EventChannel()
    listener = _identifier(endpoint, channel)
    listener.bind_addr(terms.own, terms.port)
    listener.listen()
    announce_ready()
    request = _event(endpoint, channel, CmEventType.CONNECT_REQUEST).id
    link, inbox = _ready(endpoint, request, terms)
    request.accept()
    found = [_take(link, inbox, terms, request.destination) for _ in range(terms.count)]
    messages = {data for _, data in found}
    if len(messages) != 1 or len(messages.pop()) != terms.size:
        raise PeerError(f"datagrams differ, or are not all of {terms.size} bytes")
    [wc, _] = found[-1]
    av = AddressVector(destination=request.destination)
    _send_all(link, terms, av, wc.src_qp, RDMA_UDP_QKEY)
    return f"{terms.count} datagrams of {terms.size} bytes each way"


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Ask a server for its queue pair, send to it, and check what comes back."""
    channel = EventChannel()

    def attempt() -> tuple[RdmaId, RdmaEvent]:
        asking = _identifier(endpoint, channel)
        assert terms.remote is not None
        asking.resolve_addr(terms.remote, terms.port)
        _event(endpoint, channel, CmEventType.ADDR_RESOLVED)
        asking.resolve_route()
        _event(endpoint, channel, CmEventType.ROUTE_RESOLVED)
        asking.connect()
        return asking, _event(endpoint, channel, CmEventType.ESTABLISHED)

    asking, event = retried(attempt, lambda error: isinstance(error, _TooEarlyError))
    assert event.ud is not None
    link, inbox = _ready(endpoint, asking, terms)
    _send_all(link, terms, event.ud.av, event.ud.qp_num, event.ud.qkey)
    sent = pattern(terms.count - 1, terms.size)
    for number in range(terms.count):
        wc, data = _take(link, inbox, terms, asking.destination)
        if wc.src_qp != event.ud.qp_num:
            raise PeerError(f"reply {number} is of queue pair {wc.src_qp:#x}, not {event.ud.qp_num:#x}")
        check_data(f"reply {number}", data[GRH_BYTES:], sent[: terms.size - GRH_BYTES])
    return f"{terms.count} datagrams of {terms.size} bytes each way, the replies intact"


def _identifier(endpoint: Endpoint, channel: EventChannel) -> RdmaId:
    return RdmaId(channel, endpoint.device.cm, port_space=RdmaPortSpace.UDP)


def _ready(endpoint: Endpoint, owner: RdmaId, terms: Terms) -> tuple[Link, Inbox]:
    cq = endpoint.create_cq(4 * terms.count)
    qp = endpoint.pd.create_qp(QpType.UD, send_cq=cq, recv_cq=cq)
    owner.attach_qp(qp)
    inbox = Inbox(endpoint, slots=terms.count, size=GRH_BYTES + terms.size)
    inbox.prepare(qp)
    return Link(endpoint, qp), inbox


def _event(endpoint: Endpoint, channel: EventChannel, kind: CmEventType) -> RdmaEvent:
    endpoint.wait_until(lambda: len(channel) > 0, timeout_ns=PATIENCE_NS)
    event = channel.poll_event()
    if event is None:
        raise PeerError(f"no {kind.name}: the other side is silent")
    channel.ack(event)
    if event.kind is CmEventType.UNREACHABLE and event.status == SidrStatus.UNSUPPORTED:
        raise _TooEarlyError
    if event.kind is not kind:
        raise PeerError(f"{event.kind.name} with status {event.status} instead of {kind.name}")
    return event


def _take(link: Link, inbox: Inbox, terms: Terms, source: str) -> tuple[Wc, bytes]:
    wc = link.receive()
    data = inbox.data(wc)
    check_grh(wc, data, source=source, destination=terms.own)
    if not wc.flags & WcFlags.WITH_IMM or int.from_bytes(wc.imm_data, "big") != wc.src_qp:
        raise PeerError(f"immediate data {wc.imm_data.hex()} is not the sender's number {wc.src_qp:#x}")
    return wc, data[GRH_BYTES:]


def _send_all(link: Link, terms: Terms, av: AddressVector, qpn: int, qkey: int) -> None:
    ah = link.endpoint.pd.create_ah(av)
    memory = bytearray(b"".join(pattern(number, terms.size) for number in range(terms.count)))
    mr = link.endpoint.pd.reg_mr(memory)
    imm_data = link.qp.number.to_bytes(4, "big")
    for number in range(terms.count):
        sge = mr.sge(number * terms.size, terms.size)
        wr = SendWr(number, WrOpcode.SEND_WITH_IMM, [sge], imm_data=imm_data, ah=ah, remote_qpn=qpn, remote_qkey=qkey)
        link.send(wr)
    for _ in range(terms.count):
        link.wait(WcOpcode.SEND)
