"""rping (librdmacm): the server READs what the client has, WRITEs it back elsewhere, and says each time that it did.

    client: SEND where its text is        server: READ it, SEND go-ahead
    client: SEND where its sink is        server: WRITE the text there, SEND go-ahead

An advertisement is address 8, R_Key 4 and length 4 bytes, big-endian; a go-ahead is as long, its contents unused.
"""

from __future__ import annotations

import struct

from interop.peers.inbox import Inbox
from interop.peers.link import Link, accept_one, connect_to, wait_disconnected
from interop.peers.terms import Terms, check_data
from stacks.rdma import Access, Mr, SendWr, WcOpcode, WrOpcode
from stacks.rdma.sync import Endpoint

ADVERTISEMENT = struct.Struct(">QII")
EVERYTHING = Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE


def serve(endpoint: Endpoint, terms: Terms) -> str:
    """Serve one client that pings `terms.count` times, and check its texts."""
    mailbox = _Mailbox(endpoint)
    link, cm_id = accept_one(endpoint, terms, mailbox.prepare)
    text = bytearray(terms.size)
    mr = endpoint.pd.reg_mr(text)
    for number in range(terms.count):
        address, rkey, length = mailbox.receive(link)
        sge = mr.sge(0, length)
        link.send(SendWr(number, WrOpcode.RDMA_READ, [sge], remote_address=address, rkey=rkey))
        link.wait(WcOpcode.RDMA_READ)
        check_data(f"text of ping {number}", text[:length], ping_text(number, terms.size))
        mailbox.send(link, bytes(ADVERTISEMENT.size))
        address, rkey, length = mailbox.receive(link)
        link.send(SendWr(number, WrOpcode.RDMA_WRITE, [sge], remote_address=address, rkey=rkey))
        link.wait(WcOpcode.RDMA_WRITE)
        mailbox.send(link, bytes(ADVERTISEMENT.size))
    wait_disconnected(endpoint, cm_id)
    return f"{terms.count} pings of {terms.size} bytes read, checked and written back"


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Ping a server `terms.count` times, and check what comes back."""
    mailbox = _Mailbox(endpoint)
    link, cm_id = connect_to(endpoint, terms, mailbox.prepare)
    source, sink = bytearray(terms.size), bytearray(terms.size)
    there, back = endpoint.pd.reg_mr(source, EVERYTHING), endpoint.pd.reg_mr(sink, EVERYTHING)
    for number in range(terms.count):
        source[:] = ping_text(number, terms.size)
        for mr in (there, back):
            mailbox.send(link, _advertise(mr, terms.size))
            mailbox.receive(link)
        check_data(f"echo of ping {number}", sink, bytes(source))
    endpoint.disconnect(cm_id)
    return f"{terms.count} pings of {terms.size} bytes came back intact"


def ping_text(number: int, size: int) -> bytes:
    """The text of a ping: its number, then letters that start one later each time, and a NUL."""
    head = b"rdma-ping-%d: " % number
    letters = bytes(FIRST + (number + at) % LETTERS for at in range(size - len(head)))
    return (head + letters)[: size - 1] + b"\0"


class _Mailbox:
    """Two receives of advertisements, and one to send."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._inbox = Inbox(endpoint, slots=2, size=ADVERTISEMENT.size)
        self._outbox = bytearray(ADVERTISEMENT.size)
        self._mr = endpoint.pd.reg_mr(self._outbox)
        self.prepare = self._inbox.prepare

    def send(self, link: Link, data: bytes) -> None:
        self._outbox[:] = data
        link.send(SendWr(0, WrOpcode.SEND, [self._mr.sge()]))
        link.wait(WcOpcode.SEND)

    def receive(self, link: Link) -> tuple[int, int, int]:
        address, rkey, length = ADVERTISEMENT.unpack(self._inbox.take(link))
        return address, rkey, length


def _advertise(mr: Mr, length: int) -> bytes:
    return ADVERTISEMENT.pack(mr.address, mr.rkey, length)


FIRST, LETTERS = ord("A"), ord("z") - ord("A") + 1
