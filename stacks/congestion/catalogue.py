"""Controllers by name, as programs and configurations call them.

A program of yours passes a factory instead; where only a name can be given, `./mine.py:MyController` is one, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stacks.congestion.bbr1 import Bbr1
from stacks.congestion.bbr3 import Bbr3
from stacks.congestion.controller import Controller, ControllerFactory, Flow
from stacks.congestion.cubic import Cubic
from stacks.congestion.dcqcn import Dcqcn
from stacks.congestion.dcqcn_presets import PRESETS
from stacks.congestion.dctcp import Dctcp
from stacks.congestion.guarded import guarded
from stacks.congestion.hpcc import Hpcc
from stacks.congestion.own import is_own, load_controller
from stacks.congestion.prague import Prague
from stacks.congestion.reno import Reno
from stacks.congestion.swift import Swift
from stacks.congestion.timely import Timely
from stacks.runtime import LocalError
from stacks.runtime.toml_table import suggestion


def controller_factory(name: str) -> ControllerFactory:
    """What makes the controllers called `name` or FILE.py:CLASS; LocalError for any other, with those that exist."""
    if is_own(name):
        return guarded(name, load_controller(name))
    factory = CONTROLLERS.get(name)
    if factory is None:
        raise LocalError(f"no congestion controller is called {name!r}; {suggestion(name, CONTROLLERS, 'there are')}")
    return factory


def _dcqcn(preset: str) -> ControllerFactory:
    parameters = PRESETS[preset]

    def make(flow: Flow) -> Dcqcn:
        return Dcqcn(flow, parameters(flow.line_rate_bps))

    return make


def _option(factory: Callable[..., Controller], **option: int) -> ControllerFactory:
    def make(flow: Flow) -> Controller:
        return factory(flow, **option)

    return make


CONTROLLERS: Mapping[str, ControllerFactory] = {
    "reno": Reno,
    "reno-hystart": _option(Reno, hystart=True),
    "reno-ecn": _option(Reno, ecn=2),
    "reno-paced": _option(Reno, is_paced=True),
    "cubic": Cubic,
    "cubic-ecn": _option(Cubic, ecn=2),
    "cubic-paced": _option(Cubic, is_paced=True),
    "cubic-linux": _option(Cubic, is_linux=True),
    "cubic-plain": _option(Cubic, hystart=False),
    "bbr1": Bbr1,
    "bbr3": Bbr3,
    "dcqcn": Dcqcn,
    **{f"dcqcn-{preset}": _dcqcn(preset) for preset in PRESETS},
    "dctcp": Dctcp,
    "prague": Prague,
    "timely": Timely,
    "swift": Swift,
    "hpcc": Hpcc,
}
