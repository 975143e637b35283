"""Runs a relay beside its control socket until it is told to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from apps.link.report import INVALID, show
from apps.output import announce, console
from apps.punctual import be_punctual, is_realtime
from apps.serving import announce_json, run_until_told
from transports.control import ControlError, ControlServer, Json
from transports.control.server import Command
from transports.errors import TransportError
from transports.relay import Direction, Relay


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What runs, and how.

    between: what it connects, to tell it from others by. facts: what else its snapshot tells. commands: what else its
    control socket does. duration_ns: None for until told. is_realtime: before all other processes; None for where that
    is allowed. noted: signals that came before it runs, for which it ends at once.
    """

    relay: Relay
    forward: Direction
    back: Direction
    between: tuple[str, str]
    facts: Callable[[], Mapping[str, Json]] = dict
    commands: Mapping[str, Command] = field(default_factory=dict)
    duration_ns: int | None = None
    is_realtime: bool | None = None
    as_json: bool = False
    ends_with_stdin: bool = False
    noted: Sequence[int] = ()

    def snapshot(self) -> dict[str, Json]:
        """Everything that is known of the run so far."""
        return {
            "between": list(self.between),
            "duration_ns": self.relay.now(),
            "forward": self.forward.as_json(),
            "back": self.back.as_json(),
            "realtime": is_realtime(),
            "lateness": self.relay.punctuality.as_json(),
            **self.facts(),
        }

    def change(self, arguments: Mapping[str, Json]) -> Json:
        """The control socket's command: `forward` and `back`, an object of changes each."""
        ways = {"forward": self.forward, "back": self.back}
        if unknown := arguments.keys() - ways.keys():
            raise ControlError(f"a link has the ways forward and back, not {', '.join(sorted(unknown))}")
        for name, changes in arguments.items():
            if not isinstance(changes, dict):
                raise ControlError(f"{name} is an object of changes, such as rate")
            try:
                ways[name].change(changes)
            except TransportError as error:
                raise ControlError(str(error)) from error
        return {name: way.as_json()["config"] for name, way in ways.items()}


def run_link(run: Run, *, ready: Mapping[str, Json], say: Callable[[], None]) -> int:
    """Run to the end and report; returns the exit status.

    ready: printed as one line of JSON once it runs, where JSON is wanted; otherwise `say` is called.
    """

    def tell() -> None:
        if run.as_json:
            announce_json(ready)
        else:
            say()

    trio.run(_serve, run, tell)
    report = run.snapshot()
    if run.as_json:
        announce(lambda: announce_json(report))
    else:
        announce(lambda: show(report, console()))
    return 0 if run.relay.punctuality.is_valid else INVALID


async def _serve(run: Run, tell: Callable[[], None]) -> None:
    async def serve() -> None:
        if run.noted:
            return
        with trio.move_on_after(float("inf") if run.duration_ns is None else run.duration_ns / 1e9):
            await run.relay.run()

    control = ControlServer("link", run.snapshot, commands={"change": run.change, **run.commands})
    be_punctual(is_realtime=run.is_realtime)
    await run_until_told(control, serve, announce=tell, ends_with_stdin=run.ends_with_stdin)
