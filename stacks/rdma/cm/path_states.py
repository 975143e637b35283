"""The loading of an alternate path into an established connection (IBTA 12.9.9, figure 126).

    asking      IDLE > LAP_SENT > [MRA_LAP_RCVD] > IDLE
    answering   IDLE > LAP_RCVD > [MRA_LAP_SENT] > IDLE

An entry that names its own state is not without effect: the duplicate is answered again.
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class LoadState(enum.IntEnum):
    """Where the loading of an alternate path is."""

    IDLE = 0
    LAP_SENT = 1
    MRA_LAP_RCVD = 2
    LAP_RCVD = 3
    MRA_LAP_SENT = 4


class LoadStep(enum.IntEnum):
    """What happens to it."""

    LOAD = 0
    ANSWER = 1
    DELAY = 2
    """The owner needs time: send MRA."""
    LAP = 3
    APR = 4
    MRA = 5
    RETRIES_EXHAUSTED = 6


_S = LoadState
_E = LoadStep

LOAD_TABLE: StateTable[LoadState, LoadStep] = StateTable(
    "alternate path",
    LoadState,
    events=LoadStep,
    entries={
        (_S.IDLE, _E.LOAD): _S.LAP_SENT,
        (_S.IDLE, _E.LAP): _S.LAP_RCVD,
        (_S.IDLE, _E.APR): IGNORE,
        (_S.LAP_SENT, _E.APR): _S.IDLE,
        (_S.LAP_SENT, _E.MRA): _S.MRA_LAP_RCVD,
        (_S.LAP_SENT, _E.RETRIES_EXHAUSTED): _S.IDLE,
        (_S.MRA_LAP_RCVD, _E.APR): _S.IDLE,
        (_S.MRA_LAP_RCVD, _E.MRA): _S.MRA_LAP_RCVD,
        (_S.MRA_LAP_RCVD, _E.RETRIES_EXHAUSTED): _S.IDLE,
        (_S.LAP_RCVD, _E.ANSWER): _S.IDLE,
        (_S.LAP_RCVD, _E.DELAY): _S.MRA_LAP_SENT,
        (_S.LAP_RCVD, _E.LAP): _S.MRA_LAP_SENT,
        (_S.MRA_LAP_SENT, _E.ANSWER): _S.IDLE,
        (_S.MRA_LAP_SENT, _E.DELAY): _S.MRA_LAP_SENT,
        (_S.MRA_LAP_SENT, _E.LAP): _S.MRA_LAP_SENT,
    },
    commands=(_E.LOAD, _E.ANSWER, _E.DELAY),
)
