"""What both faces, `aio` and `sync`, raise where a connection or a stream is no more."""

from __future__ import annotations

from stacks.quic.connection import Connection
from stacks.quic.errors import code_name
from stacks.runtime.errors import StackError


class ConnectionLost(StackError):  # noqa: N818 (it is how connections end)
    """There is no connection (any more). code: of the transport or of the application, as `is_application` says.

    by_peer: who ended it. Its text is one line for a person.
    """

    def __init__(self, reason: str, *, code: int, is_application: bool, by_peer: bool) -> None:
        super().__init__(reason)
        self.code = code
        self.is_application = is_application
        self.by_peer = by_peer


class StreamAborted(StackError):  # noqa: N818 (a peer may well do that)
    """The peer broke a stream off. code: of the application."""

    def __init__(self, stream_id: int, code: int) -> None:
        super().__init__(f"the peer broke stream {stream_id} off with code {code:#x}")
        self.stream_id = stream_id
        self.code = code


def lost(connection: Connection) -> ConnectionLost:
    """Why there is no connection any more."""
    reason = connection.close_reason
    assert reason is not None, "asked for when the connection has ended"
    name = f"application code {reason.code:#x}" if reason.is_application else code_name(reason.code)
    who = "the peer ended the connection" if reason.by_peer else "the connection has ended"
    detail = f": {reason.reason}" if reason.reason else ""
    return ConnectionLost(
        f"{who} ({name}){detail}", code=reason.code, is_application=reason.is_application, by_peer=reason.by_peer
    )
