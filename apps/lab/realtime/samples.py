"""Samples of flows at intervals while they run; what `stacks.lab.running.samples` is in virtual time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from apps.lab.realtime.end import FlowEnd
from apps.lab.realtime.loop import Loop
from stacks.lab.running.samples import QUEUE_SERIES, SERIES


class RealSamples:
    """series: of flows; queues: of links, filled in when the link has ended; states: by the number in `series`."""

    def __init__(self, loop: Loop, flows: Sequence[FlowEnd], *, interval_ns: int) -> None:
        self.series = {name: array("q") for name in SERIES}
        self.queues = {name: array("q") for name in QUEUE_SERIES}
        self._states: dict[str, int] = {}
        self._loop = loop
        self._flows = [flow for flow in flows if flow.is_sampled]
        self._interval_ns = interval_ns

    @property
    def states(self) -> tuple[str, ...]:
        """The states that controllers were in, in the order in which they were first seen."""
        return tuple(self._states)

    def plan(self) -> None:
        """Take the first samples at the start, and the others at the interval."""
        self._loop.timeline.at(0, self._take)

    def _take(self, _: object) -> None:
        # Told with the time at which they are taken, which may be later than when they were due.
        now = self._loop.now
        for flow in self._flows:
            if flow.has_started:
                window, pacing, rtt, inflight, goodput, lost = flow.sample()
                state = self._states.setdefault(flow.state, len(self._states))
                values = now, flow.number, window, pacing, rtt, inflight, goodput, lost, state
                for column, value in zip(self.series.values(), values, strict=True):
                    column.append(value)
        self._flows = [flow for flow in self._flows if flow.completed_ns < 0]
        timeline = self._loop.timeline
        timeline.at(timeline.now + self._interval_ns, self._take)
