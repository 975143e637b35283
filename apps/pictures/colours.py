"""Colours: the same controller and the same state have the same one in every picture."""

from __future__ import annotations

import zlib


def colour(index: int) -> str:
    """The colour of the nth flow or group."""
    return COLOURS[index % len(COLOURS)]


def state_colour(state: str) -> str:
    """The colour of a controller's state; of one that is not known here, one that its name chooses."""
    return STATES.get(state) or OTHERS[zlib.crc32(state.encode()) % len(OTHERS)]


def controller_colour(name: str) -> str:
    """The colour of a controller; of one that is not known here, one that its name chooses."""
    return CONTROLLERS.get(name) or OTHERS[zlib.crc32(name.encode()) % len(OTHERS)]


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f4fc9", "#5f6b73")
"""Okabe and Ito's, which all kinds of colour vision can tell apart, without the yellow, and with two more."""
OTHERS = ("#8fc1e3", "#f2b08a", "#8fd3bd", "#e3c3d5", "#f0cf8a", "#b9a0e3", "#c4cacf", "#3b3f45")
STATES = {
    "Startup": "#d55e00", "Drain": "#e69f00", "ProbeBW_DOWN": "#56b4e9", "ProbeBW_CRUISE": "#0072b2",
    "ProbeBW_REFILL": "#8fd3bd", "ProbeBW_UP": "#009e73", "ProbeRTT": "#7f4fc9", "ProbeBW": "#0072b2",
    "slow start": "#f2b08a", "conservative slow start": "#f0cf8a", "congestion avoidance": "#8fc1e3",
    "recovery": "#cc79a7", "reduction": "#e3c3d5", "reduced": "#e3c3d5", "loss": "#3b3f45",
    "increase": "#8fd3bd", "additive": "#8fd3bd", "hyper increase": "#009e73", "below Tlow": "#56b4e9",
    "decrease": "#cc79a7", "multiplicative": "#cc79a7", "above Thigh": "#d55e00",
}  # fmt: skip
CONTROLLERS = {
    "bbr3": "#0072b2", "cubic": "#d55e00", "reno": "#009e73", "bbr1": "#56b4e9", "prague": "#7f4fc9",
    "dctcp": "#cc79a7", "dcqcn": "#e69f00", "hpcc": "#5f6b73", "swift": "#b9a0e3", "timely": "#f0cf8a",
    "cubic-linux": "#f2b08a", "reno-ecn": "#8fd3bd", "cubic-ecn": "#e3c3d5",
}  # fmt: skip
