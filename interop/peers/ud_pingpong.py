"""ibv_ud_pingpong: as the others, in datagrams, which come with 40 bytes of GRH in front (IBTA annex A17.4.5)."""

from __future__ import annotations

from ipaddress import ip_address

from interop.peers.hand import ready_datagrams
from interop.peers.inbox import Inbox
from interop.peers.link import Link
from interop.peers.pingpong import first_message, page_pattern
from interop.peers.rendezvous import Place, meet
from interop.peers.terms import PeerError, Terms, check_data
from stacks.rdma import AddressVector, QpAttributes, QpState, QpType, SendWr, Wc, WcFlags, WcOpcode, WrOpcode
from stacks.rdma.sync import Endpoint

GRH_BYTES = 40
QKEY = 0x11111111


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Be either side."""
    cq = endpoint.create_cq(64)
    qp = endpoint.pd.create_qp(QpType.UD, send_cq=cq, recv_cq=cq)
    qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, qkey=QKEY))
    inbox = Inbox(endpoint, slots=2, size=GRH_BYTES + terms.size)
    inbox.prepare(qp)
    found: list[Place] = []

    def get_ready(ours: list[Place], theirs: list[Place]) -> None:
        ready_datagrams(qp, ours[0])
        found.extend(theirs)

    meet(terms, [qp.number], get_ready)
    return _play(Link(endpoint, qp), inbox, terms, found[0])


def _play(link: Link, inbox: Inbox, terms: Terms, other: Place) -> str:
    memory = bytearray(terms.size)
    mr = link.endpoint.pd.reg_mr(memory)
    ah = link.endpoint.pd.create_ah(AddressVector(destination=other.address))
    expected = first_message(terms.size)
    for number in range(terms.count):
        if terms.is_server:
            check_data(f"message {number}", _take(link, inbox, terms, other), expected)
        memory[:] = expected = page_pattern(number, terms.size)
        link.send(SendWr(number, WrOpcode.SEND, [mr.sge()], ah=ah, remote_qpn=other.qpn, remote_qkey=QKEY))
        link.wait(WcOpcode.SEND)
        if not terms.is_server:
            check_data(f"echo {number}", _take(link, inbox, terms, other), expected)
    return f"{terms.count} datagrams of {terms.size} bytes went to and fro intact"


def _take(link: Link, inbox: Inbox, terms: Terms, other: Place) -> bytes:
    wc = link.receive()
    data = inbox.data(wc)
    inbox.post(link.qp, wc.wr_id)
    check_grh(wc, data, source=other.address, destination=terms.own)
    if wc.src_qp != other.qpn:
        raise PeerError(f"a datagram of queue pair {wc.src_qp:#x} instead of {other.qpn:#x}")
    return data[GRH_BYTES:]


def check_grh(wc: Wc, data: bytes, *, source: str, destination: str) -> None:
    """PeerError unless a datagram came with its IPv6 header in front, or an IPv4 one in the second half."""
    if not wc.flags & WcFlags.GRH:
        raise PeerError("a datagram came without GRH")
    addresses = ip_address(source).packed + ip_address(destination).packed
    if data[GRH_BYTES - len(addresses) : GRH_BYTES] != addresses:
        raise PeerError(f"the GRH {data[:GRH_BYTES].hex()} is not of a datagram from {source} to {destination}")
