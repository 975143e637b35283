"""The event heap of a simulation."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from transports.clock import VirtualClock
from transports.errors import TransportError

MAX_STEPS = 5_000_000
SECOND_NS = 1_000_000_000


class SimulationError(TransportError):
    """A simulation did not get where it was told to: it stood still, ran out of time, or went round in circles."""


class Simulation:
    """Events in virtual time. Two simulations of the same program and seed take exactly the same steps.

    seed: of `rng`, which networks draw from; cores are best given generators of their own (`fork_rng`).
    """

    def __init__(self, seed: int = 0, *, start_ns: int = 0) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = VirtualClock(start_ns)
        self.steps = 0
        """Events executed so far."""
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._wakers: list[Callable[[], None]] = []

    @property
    def now(self) -> int:
        """The virtual time in nanoseconds."""
        return self.clock.now()

    @property
    def is_idle(self) -> bool:
        """Whether no event is left."""
        return not self._heap

    def fork_rng(self) -> random.Random:
        """A generator of its own for a core, seeded from this simulation's."""
        return random.Random(int(self.rng.random() * (1 << 53)))

    def at(self, time_ns: int, action: Callable[[], object]) -> None:
        """Call `action` at `time_ns` (now, when that is past), then wake all hosts, since it may have posted work."""

        def act_and_wake() -> None:
            action()
            self.wake_all()

        self.schedule(time_ns, act_and_wake)

    def after(self, duration_ns: int, action: Callable[[], object]) -> None:
        """Call `action` in `duration_ns`, then wake all hosts."""
        self.at(self.now + duration_ns, action)

    def schedule(self, time_ns: int, action: Callable[[], None]) -> None:
        """Call `action` at `time_ns` (now, when that is past), and no more; for networks and links."""
        self._sequence += 1
        heapq.heappush(self._heap, (max(time_ns, self.clock.now()), self._sequence, action))

    def add_waker(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever code outside of the simulation may have given a host something to do."""
        self._wakers.append(wake)

    def wake_all(self) -> None:
        """Let every host look for work."""
        for wake in self._wakers:
            wake()

    def step(self) -> bool:
        """Execute the next event; False when there is none."""
        if not self._heap:
            return False
        time_ns, _, action = heapq.heappop(self._heap)
        self.clock.move_to(time_ns)
        self.steps += 1
        action()
        return True

    def run(self, *, until_ns: int | None = None, max_steps: int = MAX_STEPS) -> None:
        """Execute events until none is left, or those up to `until_ns`, where the clock then stands.

        SimulationError after `max_steps` events: something goes round in circles.
        """
        self.wake_all()
        bound = self.steps + max_steps
        while self._heap and (until_ns is None or self._heap[0][0] <= until_ns):
            self._check_bound(bound, max_steps)
            self.step()
        if until_ns is not None and until_ns > self.now:
            self.clock.move_to(until_ns)

    def run_for(self, duration_ns: int, *, max_steps: int = MAX_STEPS) -> None:
        """Execute the events of the next `duration_ns`."""
        self.run(until_ns=self.now + duration_ns, max_steps=max_steps)

    def run_until(
        self, predicate: Callable[[], bool], *, timeout_ns: int = 600 * SECOND_NS, max_steps: int = MAX_STEPS
    ) -> None:
        """Execute events until `predicate` holds, asked before the first and after each.

        A predicate that posts work must wake the host. SimulationError when no event is left, the virtual time passes
        `timeout_ns` from now, or after `max_steps` events, and it still does not hold.
        """
        self.wake_all()
        bound, end_ns = self.steps + max_steps, self.now + timeout_ns
        while not predicate():
            if not self._heap:
                raise SimulationError(f"nothing left to happen at {self.now} ns (seed {self.seed})")
            if self._heap[0][0] > end_ns:
                raise SimulationError(f"not reached within {timeout_ns} ns of virtual time (seed {self.seed})")
            self._check_bound(bound, max_steps)
            self.step()

    def _check_bound(self, bound: int, max_steps: int) -> None:
        if self.steps >= bound:
            raise SimulationError(f"not reached within {max_steps} events, at {self.now} ns (seed {self.seed})")
