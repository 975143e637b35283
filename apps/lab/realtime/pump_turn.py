"""A pump among all else that the loop of a run in real time does."""

from __future__ import annotations

import select
from collections.abc import Callable

from apps.lab.realtime.loop import Loop
from transports.pump import Pump


class PumpTurn:
    """A pump in the loop: it has a turn when its socket is ready, and when its core wants one."""

    def __init__(
        self, loop: Loop, pump: Pump, fileno: int, after: Callable[[], object] | None = None
    ) -> None:
        self._loop = loop
        self._pump = pump
        self._fileno = fileno
        self._after = after
        self._is_blocked = False
        loop.watch(fileno, select.EPOLLIN, self._ready)

    def turn(self) -> int | None:
        """Pump until there is nothing more to do."""
        pump = self._pump
        pump.pump()
        while pump.has_more:
            pump.pump()
        if self._after is not None:
            self._after()
        if pump.is_blocked is not self._is_blocked:
            self._is_blocked = pump.is_blocked
            events = select.EPOLLIN | select.EPOLLOUT if self._is_blocked else select.EPOLLIN
            self._loop.watch(self._fileno, events, self._ready)
        return pump.deadline_ns

    def _ready(self, _: int) -> None:
        self._loop.turn(self)
