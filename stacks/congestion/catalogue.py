"""Controllers by name, as programs and configurations call them; a program of yours passes a factory instead."""

from __future__ import annotations

from collections.abc import Mapping

from stacks.congestion.controller import ControllerFactory, Flow
from stacks.congestion.dcqcn import Dcqcn
from stacks.congestion.dcqcn_presets import PRESETS
from stacks.congestion.dctcp import Dctcp
from stacks.congestion.hpcc import Hpcc
from stacks.congestion.prague import Prague
from stacks.congestion.reno import Reno
from stacks.congestion.swift import Swift
from stacks.congestion.timely import Timely
from stacks.runtime import LocalError


def controller_factory(name: str) -> ControllerFactory:
    """What makes the controllers called `name`; LocalError, naming those that exist, for any other."""
    factory = CONTROLLERS.get(name)
    if factory is None:
        raise LocalError(f"no congestion controller is called {name!r}: there are {', '.join(CONTROLLERS)}")
    return factory


def _dcqcn(preset: str) -> ControllerFactory:
    parameters = PRESETS[preset]

    def make(flow: Flow) -> Dcqcn:
        return Dcqcn(flow, parameters(flow.line_rate_bps))

    return make


CONTROLLERS: Mapping[str, ControllerFactory] = {
    "reno": Reno,
    "dcqcn": Dcqcn,
    **{f"dcqcn-{preset}": _dcqcn(preset) for preset in PRESETS},
    "dctcp": Dctcp,
    "prague": Prague,
    "timely": Timely,
    "swift": Swift,
    "hpcc": Hpcc,
}
