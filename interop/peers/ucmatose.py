"""ucmatose: the server sends some messages, the client as many, the server ends the connection.

Theirs sends from the buffer that it receives into: as a client it answers with our last message.
"""

from __future__ import annotations

from interop.peers.inbox import Inbox
from interop.peers.link import Link, accept_one, connect_to, wait_disconnected
from interop.peers.terms import PeerError, Terms, check_data, pattern
from stacks.rdma import SendWr, WcOpcode, WrOpcode
from stacks.rdma.sync import Endpoint


def serve(endpoint: Endpoint, terms: Terms) -> str:
    """Send first, and check that the last message comes back again and again."""
    inbox = Inbox(endpoint, slots=terms.count, size=terms.size)
    link, cm_id = accept_one(endpoint, terms, inbox.prepare)
    _send_all(link, terms)
    for number in range(terms.count):
        check_data(f"reply {number}", inbox.data(link.receive()), pattern(terms.count - 1, terms.size))
    endpoint.disconnect(cm_id)
    return f"{terms.count} messages of {terms.size} bytes each way, the replies intact"


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Receive first: the same message each time, whatever was in their buffer."""
    inbox = Inbox(endpoint, slots=terms.count, size=terms.size)
    link, cm_id = connect_to(endpoint, terms, inbox.prepare)
    found = [inbox.data(link.receive()) for _ in range(terms.count)]
    if set(map(len, found)) != {terms.size} or len(set(found)) != 1:
        raise PeerError(f"messages differ, or are not all of {terms.size} bytes")
    _send_all(link, terms)
    wait_disconnected(endpoint, cm_id)
    return f"{terms.count} messages of {terms.size} bytes each way"


def _send_all(link: Link, terms: Terms) -> None:
    memory = bytearray(b"".join(pattern(number, terms.size) for number in range(terms.count)))
    mr = link.endpoint.pd.reg_mr(memory)
    for number in range(terms.count):
        link.send(SendWr(number, WrOpcode.SEND, [mr.sge(number * terms.size, terms.size)]))
    for _ in range(terms.count):
        link.wait(WcOpcode.SEND)
