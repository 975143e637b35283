"""When a host in virtual time makes its next pass."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from transports.simulation.events import Simulation


class Pumping(Protocol):
    """A pump, as far as a host in virtual time goes."""

    @property
    def has_more(self) -> bool:
        """Whether another pass is due at once."""

    @property
    def deadline_ns(self) -> int | None:
        """When a pass is due without any input, in nanoseconds."""

    def pump(self) -> bool:
        """Make one pass."""


class Turns:
    """Makes the passes of `pump` at the times asked for, at its deadlines, and while it has more."""

    def __init__(self, simulation: Simulation, pump: Pumping) -> None:
        self._simulation = simulation
        self._pump = pump
        self._next_ns: int | None = None
        self._is_stopped = False

    def turn_at(self, time_ns: int) -> None:
        """Make a pass at `time_ns`, or earlier if one is due."""
        if self._next_ns is None or time_ns < self._next_ns:
            self._next_ns = time_ns
            self._simulation.schedule(time_ns, partial(self._turn, time_ns))

    def wake(self) -> None:
        """Make a pass now."""
        self.turn_at(self._simulation.now)

    def stop(self) -> None:
        """Never make a pass again."""
        self._is_stopped = True

    def _turn(self, time_ns: int) -> None:
        # Events cannot be taken off the heap: one that an earlier turn has made superfluous finds another time here.
        if time_ns != self._next_ns or self._is_stopped:
            return
        self._next_ns = None
        self._pump.pump()
        deadline_ns = self._pump.deadline_ns
        if self._pump.has_more:
            self.wake()
        elif deadline_ns is not None:
            self.turn_at(max(deadline_ns, self._simulation.now))
