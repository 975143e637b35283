"""Controllers by name, as programs and configurations call them.

A program of yours passes a factory instead; where only a name can be given, `./mine.py:MyController` is one, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from stacks.congestion.controller import ControllerFactory, Flow
from stacks.congestion.dcqcn import Dcqcn
from stacks.congestion.dcqcn_presets import PRESETS
from stacks.congestion.own import is_own, load_controller
from stacks.congestion.reno import Reno
from stacks.runtime import LocalError
from stacks.runtime.toml_table import suggestion


def controller_factory(name: str) -> ControllerFactory:
    """What makes the controllers called `name` or FILE.py:CLASS; LocalError for any other, with those that exist."""
    if is_own(name):
        return load_controller(name)
    factory = CONTROLLERS.get(name)
    if factory is None:
        raise LocalError(f"no congestion controller is called {name!r}; {suggestion(name, CONTROLLERS, 'there are')}")
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
}
