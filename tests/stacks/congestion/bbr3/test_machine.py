"""The state machine of BBRv3: its table as reviewed against sections 5.1 to 5.5.11, and what each state sends with."""

from __future__ import annotations

from stacks.congestion.bbr3 import Event, State
from stacks.congestion.bbr3.controller import CHECKS, ENTER, GAINS
from stacks.congestion.bbr3.machine import PROBE_BW, TABLE

SHORT = {
    State.STARTUP: "Startup",
    State.DRAIN: "Drain",
    State.DOWN: "DOWN",
    State.CRUISE: "CRUISE",
    State.REFILL: "REFILL",
    State.UP: "UP",
    State.PROBE_RTT: "ProbeRTT",
}

# "." is a pair that cannot happen, "-" is IGNORE.
REVIEWED = """
                         Startup  Drain    DOWN     CRUISE   REFILL   UP       ProbeRTT
FULL_PIPE                Drain    .        .        .        .        .        .
DRAINED                  .        DOWN     .        .        .        .        .
TIME_TO_CRUISE           .        .        CRUISE   .        .        .        .
TIME_TO_PROBE_BW         .        .        REFILL   REFILL   .        .        .
REFILLED                 .        .        .        .        UP       .        .
TIME_TO_GO_DOWN          .        .        .        .        .        DOWN     .
INFLIGHT_TOO_HIGH        -        -        -        -        -        DOWN     -
PRECAUTION_HELD          .        .        REFILL   REFILL   REFILL   REFILL   .
PROBE_RTT_EXPIRED        ProbeRTT ProbeRTT ProbeRTT ProbeRTT ProbeRTT ProbeRTT .
PROBE_RTT_DONE           .        .        .        .        .        .        DOWN
PROBE_RTT_DONE_UNFILLED  .        .        .        .        .        .        Startup
UNDO_STARTUP             -        Startup  Startup  Startup  Startup  Startup  -
UNDO_PROBE_UP            REFILL   REFILL   REFILL   REFILL   REFILL   -        -
"""


def drawn() -> str:
    lines = ["".join([" " * 25, *(f"{SHORT[state]:9}" for state in State)])]
    for event in Event:
        cells = []
        for state in State:
            if (state, event) not in TABLE:
                cells.append(".")
            else:
                new = TABLE[state, event]
                cells.append("-" if new is None else SHORT[new])
        lines.append("".join([f"{event.name:25}", *(f"{cell:9}" for cell in cells)]))
    return "\n".join(line.rstrip() for line in lines)


def test_every_pair_of_state_and_event_is_as_reviewed() -> None:
    assert drawn() == REVIEWED.strip("\n")


def test_gains_are_those_of_the_drafts_table() -> None:
    # 5.6.1, pacing and cwnd gain in percent.
    assert {SHORT[state]: gains for state, gains in GAINS.items()} == {
        "Startup": (277, 200),
        "Drain": (50, 200),
        "DOWN": (90, 200),
        "CRUISE": (100, 200),
        "REFILL": (100, 200),
        "UP": (125, 225),
        "ProbeRTT": (100, 50),
    }


def test_every_state_can_be_entered_and_those_of_probe_bw_checked() -> None:
    assert set(ENTER) == set(State)
    assert set(CHECKS) == set(PROBE_BW)


def test_states_are_called_as_in_the_draft() -> None:
    assert [state.value for state in State] == [
        "Startup", "Drain", "ProbeBW_DOWN", "ProbeBW_CRUISE", "ProbeBW_REFILL", "ProbeBW_UP", "ProbeRTT",
    ]  # fmt: skip
