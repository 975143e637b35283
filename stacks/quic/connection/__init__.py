"""One QUIC connection: the concerns of the other folders put together.

    receiving -> dispatch -> streams, recovery, paths, handshake, ...
    streams, control, ids, ... -> sending -> assembly -> sealed bursts

`making` begins one, `ending` ends it; `parts` is what the pieces share.
"""

from stacks.quic.connection.connection import Connection
from stacks.quic.connection.making import Beginning, accept, connect
from stacks.quic.connection.states import ConnectionState

__all__ = ["Beginning", "Connection", "ConnectionState", "accept", "connect"]
