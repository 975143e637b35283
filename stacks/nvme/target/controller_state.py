r"""Where a controller is, and what moves it.

    Connect on an admin queue makes it, CC.EN makes it ready, CC.SHN or a lost admin queue ends it.

      DISABLED --ENABLE--> READY --SHUT_DOWN--> SHUTTING_DOWN --FLUSHED--> SHUT_DOWN --DISABLE--> DISABLED
          |                  |  \---DISABLE--------------------------------------------------------^
          \---ENABLE_WRONG---+-----FAIL---> FAILED --DISABLE--> DISABLED

In every state but READY its I/O queues do nothing.

Follows NVM Express Base 2.0 3.5, 3.6 and 3.9.
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class ControllerState(enum.Enum):
    """Where a controller is between Connect and its end."""

    DISABLED = "disabled"
    """CC.EN is 0: only fabrics commands are taken."""
    READY = "ready"
    """CSTS.RDY is 1."""
    SHUTTING_DOWN = "shutting down"
    """CSTS.SHST says in progress: the stores are flushed; commands are refused."""
    SHUT_DOWN = "shut down"
    """CSTS.SHST says complete; commands are refused until it is enabled again."""
    FAILED = "failed"
    """CSTS.CFS is 1."""


class ControllerEvent(enum.Enum):
    """What moves a controller."""

    ENABLE = "enable"
    ENABLE_WRONG = "enable with a configuration that is not supported"
    DISABLE = "disable"
    SHUT_DOWN = "shut down"
    FLUSHED = "the stores are flushed"
    FAIL = "fail"


_S, _E = ControllerState, ControllerEvent

CONTROLLER_TABLE = StateTable[ControllerState, ControllerEvent](
    "controller",
    ControllerState,
    events=ControllerEvent,
    entries={
        (_S.DISABLED, _E.ENABLE): _S.READY,
        (_S.DISABLED, _E.ENABLE_WRONG): _S.FAILED,
        (_S.DISABLED, _E.DISABLE): IGNORE,
        (_S.DISABLED, _E.SHUT_DOWN): _S.SHUTTING_DOWN,
        (_S.DISABLED, _E.FLUSHED): IGNORE,
        (_S.DISABLED, _E.FAIL): _S.FAILED,
        (_S.READY, _E.ENABLE): IGNORE,
        (_S.READY, _E.ENABLE_WRONG): IGNORE,
        (_S.READY, _E.DISABLE): _S.DISABLED,
        (_S.READY, _E.SHUT_DOWN): _S.SHUTTING_DOWN,
        (_S.READY, _E.FLUSHED): IGNORE,
        (_S.READY, _E.FAIL): _S.FAILED,
        (_S.SHUTTING_DOWN, _E.ENABLE): _S.READY,
        (_S.SHUTTING_DOWN, _E.ENABLE_WRONG): IGNORE,
        (_S.SHUTTING_DOWN, _E.DISABLE): _S.DISABLED,
        (_S.SHUTTING_DOWN, _E.SHUT_DOWN): IGNORE,
        (_S.SHUTTING_DOWN, _E.FLUSHED): _S.SHUT_DOWN,
        (_S.SHUTTING_DOWN, _E.FAIL): _S.FAILED,
        (_S.SHUT_DOWN, _E.ENABLE): _S.READY,
        (_S.SHUT_DOWN, _E.ENABLE_WRONG): IGNORE,
        (_S.SHUT_DOWN, _E.DISABLE): _S.DISABLED,
        (_S.SHUT_DOWN, _E.SHUT_DOWN): IGNORE,
        (_S.SHUT_DOWN, _E.FLUSHED): IGNORE,
        (_S.SHUT_DOWN, _E.FAIL): _S.FAILED,
        (_S.FAILED, _E.ENABLE): IGNORE,
        (_S.FAILED, _E.ENABLE_WRONG): IGNORE,
        (_S.FAILED, _E.DISABLE): _S.DISABLED,
        (_S.FAILED, _E.SHUT_DOWN): IGNORE,
        (_S.FAILED, _E.FLUSHED): IGNORE,
        (_S.FAILED, _E.FAIL): IGNORE,
    },
)
