"""The state machine of section 5.1.1: states, what happens to them, and one table of where that leads.

             |
             V
    +---> Startup  ------------+
    |        V                 |
    |     Drain  --------------+
    |        V                 |
    +---> ProbeBW_DOWN  -------+
    | ^      V                 |
    | |   ProbeBW_CRUISE ------+
    | |      V                 |
    | |   ProbeBW_REFILL  -----+
    | |      V                 |
    | |   ProbeBW_UP  ---------+
    | +------+                 |
    +---- ProbeRTT <-----------+

The diagram leaves out what its text has: DOWN goes straight to REFILL when it is time to probe or when a precautionary
probe held, and a spurious loss leads back to Startup or to REFILL. A pair that is not in the table cannot happen.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class State(enum.Enum):
    """BBR.state, by the draft's names."""

    STARTUP = "Startup"
    DRAIN = "Drain"
    DOWN = "ProbeBW_DOWN"
    CRUISE = "ProbeBW_CRUISE"
    REFILL = "ProbeBW_REFILL"
    UP = "ProbeBW_UP"
    PROBE_RTT = "ProbeRTT"


class Event(enum.Enum):
    """What moves BBR from one state to another, and the section that says when."""

    FULL_PIPE = "full_bw_reached: a plateau or high loss (5.3.1)"
    DRAINED = "inflight at most Inflight(1.0), or three rounds over (5.3.2)"
    TIME_TO_CRUISE = "the queue is drained and there is headroom (5.3.3.1)"
    TIME_TO_PROBE_BW = "the time or the rounds of the wait are over (5.3.3.5)"
    REFILLED = "one round of refilling is over (5.3.3.3)"
    TIME_TO_GO_DOWN = "a plateau, or precaution (5.3.3.4)"
    INFLIGHT_TOO_HIGH = "loss above LossThresh of data sent while probing (5.5.10)"
    PRECAUTION_HELD = "a precautionary probe was answered without excess loss (5.3.3.4)"
    PROBE_RTT_EXPIRED = "no lower round-trip time for ProbeRTTInterval (5.3.4)"
    PROBE_RTT_DONE = "ProbeRTTDuration and a round are over, and the pipe was full before (5.3.4)"
    PROBE_RTT_DONE_UNFILLED = "the same, and it was never full"
    UNDO_STARTUP = "the loss that ended Startup was none (5.5.11)"
    UNDO_PROBE_UP = "the loss that ended ProbeBW_UP was none (5.5.11)"


class AckPhase(enum.Enum):
    """BBR.ack_phase: what the acknowledgements that arrive say about probing (2.13)."""

    INIT = "ACKS_INIT"
    REFILLING = "ACKS_REFILLING"
    PROBE_STARTING = "ACKS_PROBE_STARTING"
    PROBE_FEEDBACK = "ACKS_PROBE_FEEDBACK"
    PROBE_STOPPING = "ACKS_PROBE_STOPPING"


IGNORE = None
"""The state stays, and nothing is entered again."""

PROBE_BW = (State.DOWN, State.CRUISE, State.REFILL, State.UP)

TABLE: Mapping[tuple[State, Event], State | None] = {
    (State.STARTUP, Event.FULL_PIPE): State.DRAIN,
    (State.DRAIN, Event.DRAINED): State.DOWN,
    (State.DOWN, Event.TIME_TO_CRUISE): State.CRUISE,
    (State.DOWN, Event.TIME_TO_PROBE_BW): State.REFILL,
    (State.CRUISE, Event.TIME_TO_PROBE_BW): State.REFILL,
    (State.REFILL, Event.REFILLED): State.UP,
    (State.UP, Event.TIME_TO_GO_DOWN): State.DOWN,
    (State.UP, Event.INFLIGHT_TOO_HIGH): State.DOWN,
    **{(state, Event.INFLIGHT_TOO_HIGH): IGNORE for state in State if state is not State.UP},
    **{(state, Event.PRECAUTION_HELD): State.REFILL for state in PROBE_BW},
    **{(state, Event.PROBE_RTT_EXPIRED): State.PROBE_RTT for state in State if state is not State.PROBE_RTT},
    (State.PROBE_RTT, Event.PROBE_RTT_DONE): State.DOWN,
    (State.PROBE_RTT, Event.PROBE_RTT_DONE_UNFILLED): State.STARTUP,
    **{(state, Event.UNDO_STARTUP): State.STARTUP for state in State},
    (State.STARTUP, Event.UNDO_STARTUP): IGNORE,
    (State.PROBE_RTT, Event.UNDO_STARTUP): IGNORE,
    **{(state, Event.UNDO_PROBE_UP): State.REFILL for state in State},
    (State.UP, Event.UNDO_PROBE_UP): IGNORE,
    (State.PROBE_RTT, Event.UNDO_PROBE_UP): IGNORE,
}
