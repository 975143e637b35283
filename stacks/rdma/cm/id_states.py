"""The states of an identifier, as Linux's rdma_cm_state has them.

    active    IDLE > ADDR_BOUND > ADDR_QUERY > ADDR_RESOLVED > ROUTE_QUERY > ROUTE_RESOLVED > CONNECT > DISCONNECT
    passive   IDLE > ADDR_BOUND > LISTEN, and for each request IDLE > CONNECT > DISCONNECT

CONNECT lasts from the request until the end of the connection; where it is in between, the connection knows.
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class RdmaIdState(enum.IntEnum):
    """Where an identifier is."""

    IDLE = 0
    ADDR_BOUND = 1
    ADDR_QUERY = 2
    ADDR_RESOLVED = 3
    ROUTE_QUERY = 4
    ROUTE_RESOLVED = 5
    CONNECT = 6
    DISCONNECT = 7
    LISTEN = 8
    DEVICE_REMOVAL = 9
    DESTROYED = 10


class RdmaIdStep(enum.IntEnum):
    """What happens to an identifier."""

    BIND = 0
    RESOLVE_ADDR = 1
    RESOLVE_ROUTE = 2
    LISTEN = 3
    CONNECT = 4
    ACCEPT = 5
    REJECT = 6
    ESTABLISH = 7
    DISCONNECT = 8
    JOIN_MULTICAST = 9
    DESTROY = 10
    ADDR_DONE = 11
    ADDR_FAILED = 12
    ROUTE_DONE = 13
    ROUTE_FAILED = 14
    REQUESTED = 15
    """It was made for a request that came in."""
    ENDED = 16
    """The connection failed, or is over."""
    REMOVED = 17
    """The device went away."""


_S = RdmaIdState
_E = RdmaIdStep

RDMA_ID_TABLE: StateTable[RdmaIdState, RdmaIdStep] = StateTable(
    "identifier",
    RdmaIdState,
    events=RdmaIdStep,
    entries={
        (_S.IDLE, _E.BIND): _S.ADDR_BOUND,
        (_S.IDLE, _E.REQUESTED): _S.CONNECT,
        (_S.ADDR_BOUND, _E.RESOLVE_ADDR): _S.ADDR_QUERY,
        (_S.ADDR_BOUND, _E.LISTEN): _S.LISTEN,
        (_S.ADDR_BOUND, _E.JOIN_MULTICAST): _S.ADDR_BOUND,
        (_S.ADDR_QUERY, _E.ADDR_DONE): _S.ADDR_RESOLVED,
        (_S.ADDR_QUERY, _E.ADDR_FAILED): _S.ADDR_BOUND,
        (_S.ADDR_RESOLVED, _E.RESOLVE_ROUTE): _S.ROUTE_QUERY,
        (_S.ADDR_RESOLVED, _E.JOIN_MULTICAST): _S.ADDR_RESOLVED,
        (_S.ROUTE_QUERY, _E.ROUTE_DONE): _S.ROUTE_RESOLVED,
        (_S.ROUTE_QUERY, _E.ROUTE_FAILED): _S.ADDR_RESOLVED,
        (_S.ROUTE_RESOLVED, _E.CONNECT): _S.CONNECT,
        (_S.CONNECT, _E.ACCEPT): _S.CONNECT,
        (_S.CONNECT, _E.REJECT): _S.DISCONNECT,
        (_S.CONNECT, _E.ESTABLISH): _S.CONNECT,
        (_S.CONNECT, _E.DISCONNECT): _S.DISCONNECT,
        (_S.CONNECT, _E.ENDED): _S.DISCONNECT,
        (_S.DISCONNECT, _E.DISCONNECT): IGNORE,
        (_S.DISCONNECT, _E.ENDED): IGNORE,
        (_S.DEVICE_REMOVAL, _E.DISCONNECT): IGNORE,
        (_S.DEVICE_REMOVAL, _E.ENDED): IGNORE,
        **{(state, _E.REMOVED): _S.DEVICE_REMOVAL for state in _S if state is not _S.DESTROYED},
        **{(state, _E.DESTROY): _S.DESTROYED for state in _S if state is not _S.DESTROYED},
        (_S.DESTROYED, _E.DESTROY): IGNORE,
        (_S.DESTROYED, _E.ENDED): IGNORE,
        (_S.DESTROYED, _E.REMOVED): IGNORE,
    },
    commands=(
        _E.BIND, _E.RESOLVE_ADDR, _E.RESOLVE_ROUTE, _E.LISTEN, _E.CONNECT, _E.ACCEPT, _E.REJECT, _E.ESTABLISH,
        _E.DISCONNECT, _E.JOIN_MULTICAST, _E.DESTROY,
    ),
)  # fmt: skip
