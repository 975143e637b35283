"""How a connection ends: the state, the reason, and for how long it is remembered (RFC 9000 10)."""

from __future__ import annotations

from stacks.quic.connection.closing import CloseReason
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionEvent, ConnectionState
from stacks.quic.events import ConnectionClosed

DRAIN_TIMEOUTS = 3


def end(parts: Parts, event: ConnectionEvent, reason: CloseReason, now: int) -> None:
    """Leave the living for `reason`; the first reason stays.

    event: CLOSE, PEER_CLOSE, RESET or SILENCE. While CLOSING or DRAINING, three probe timeouts have to pass (10.2).
    """
    if not parts.apply(event):
        return
    if parts.close_reason is not None:
        return  # the peer's answer to our own CONNECTION_CLOSE: the time runs already
    parts.close_reason = reason
    parts.paths.active.congestion.remember(now)
    parts.drained_ns = now + DRAIN_TIMEOUTS * parts.recovery.pto_ns()
    parts.events.append(
        ConnectionClosed(reason.code, reason.reason, is_application=reason.is_application, by_peer=reason.by_peer)
    )
    if parts.tracer is not None:
        parts.tracer.connection_closed(now, reason)


def forget_if_drained(parts: Parts, now: int) -> None:
    """CLOSED, once it was CLOSING or DRAINING for long enough."""
    if parts.drained_ns is not None and now >= parts.drained_ns and parts.state != ConnectionState.CLOSED:
        parts.apply(ConnectionEvent.DRAINED)
