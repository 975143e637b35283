"""rdma_client and rdma_server: sixteen bytes there, sixteen bytes back, all zero; the connection ends."""

from __future__ import annotations

from interop.peers.inbox import Inbox
from interop.peers.link import accept_one, connect_to, wait_disconnected
from interop.peers.terms import Terms, check_data
from stacks.rdma import SendWr, WcOpcode, WrOpcode
from stacks.rdma.sync import Endpoint

MESSAGE = bytes(16)


def serve(endpoint: Endpoint, terms: Terms) -> str:
    """As rdma_server."""
    inbox = Inbox(endpoint, slots=1, size=len(MESSAGE))
    link, cm_id = accept_one(endpoint, terms, inbox.prepare)
    check_data("request", inbox.take(link), MESSAGE)
    mr = endpoint.pd.reg_mr(bytearray(MESSAGE))
    link.send(SendWr(1, WrOpcode.SEND, [mr.sge()]))
    link.wait_last(WcOpcode.SEND)
    wait_disconnected(endpoint, cm_id)
    return "a request and its answer are intact"


def run(endpoint: Endpoint, terms: Terms) -> str:
    """As rdma_client."""
    inbox = Inbox(endpoint, slots=1, size=len(MESSAGE))
    link, cm_id = connect_to(endpoint, terms, inbox.prepare)
    mr = endpoint.pd.reg_mr(bytearray(MESSAGE))
    link.send(SendWr(1, WrOpcode.SEND, [mr.sge()]))
    link.wait(WcOpcode.SEND)
    check_data("answer", inbox.take(link), MESSAGE)
    endpoint.disconnect(cm_id)
    return "a request and its answer are intact"
