"""cmtime: many connections made, then all of them ended, by the client; the server only follows."""

from __future__ import annotations

from interop.peers.link import NOBODY_LISTENS, PATIENCE_NS, announce_ready, retried
from interop.peers.terms import PeerError, Terms
from stacks.rdma.cm.ids import CmId, ConnectionFailed
from stacks.rdma.sync import Endpoint


def serve(endpoint: Endpoint, terms: Terms) -> str:
    """Accept as many connections as were agreed on, and see them end."""
    listener = endpoint.listen(terms.port)
    announce_ready()
    made: list[CmId] = []
    for _ in range(terms.count):
        request = endpoint.next_request(listener, timeout_ns=PATIENCE_NS)
        endpoint.ids.accept(request, qp=endpoint.create_qp())
        made.append(request)
    if not endpoint.wait_until(lambda: all(cm_id.failure for cm_id in made), timeout_ns=PATIENCE_NS):
        raise PeerError(f"{sum(not cm_id.failure for cm_id in made)} connections do not end")
    # One whose RTU was lost is over without having been established: its DREQ comes next.
    if lost := [cm_id.failure for cm_id in made if cm_id.failure and cm_id.failure.reason]:
        raise PeerError(f"{len(lost)} connections did not come about: {lost[0]}")
    return f"{terms.count} connections made and ended"


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Ask for all connections at once, then end all of them."""
    assert terms.remote is not None
    remote = terms.remote
    first = retried(
        lambda: endpoint.connect(remote, terms.port, qp=endpoint.create_qp()),
        lambda error: isinstance(error, ConnectionFailed) and error.reason == NOBODY_LISTENS,
    )
    made = [first]
    made += [endpoint.start_connect(remote, terms.port, qp=endpoint.create_qp()) for _ in range(terms.count - 1)]
    if not endpoint.wait_until(lambda: all(cm_id.is_settled for cm_id in made), timeout_ns=PATIENCE_NS):
        raise PeerError("connections are neither made nor refused")
    for cm_id in made:
        cm_id.check()
        endpoint.ids.disconnect(cm_id)
    if not endpoint.wait_until(lambda: all(cm_id.failure for cm_id in made), timeout_ns=PATIENCE_NS):
        raise PeerError("connections do not end")
    return f"{terms.count} connections made and ended"
