"""Samples of flows and links at intervals, so that nothing is added to what each packet costs."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from stacks.lab.network.link import Link
from stacks.lab.running.flows import FlowRun
from transports.timeline import Timeline


class Samples:
    """series: of flows; queues: of links; columns by name. states: of controllers, by the number in `series`."""

    def __init__(
        self, timeline: Timeline, flows: Sequence[FlowRun], links: Sequence[Link], *, interval_ns: int
    ) -> None:
        self.series = {name: array("q") for name in SERIES}
        self.queues = {name: array("q") for name in QUEUE_SERIES}
        self._states: dict[str, int] = {}
        self._timeline = timeline
        self._flows = [flow for flow in flows if flow.is_sampled]
        self._links = links
        self._interval_ns = interval_ns
        self._flow_adders = [self.series[name].append for name in SERIES]
        self._queue_adders = [self.queues[name].append for name in QUEUE_SERIES]

    @property
    def states(self) -> tuple[str, ...]:
        """The states that controllers were in, in the order in which they were first seen."""
        return tuple(self._states)

    def start(self) -> None:
        """Take the first samples now, and the others at the interval."""
        self._take()

    def _take(self, _: object = None) -> None:
        now = self._timeline.now
        is_any_over = False
        for flow in self._flows:
            if flow.model is not None:
                self._take_flow(flow, now)
                is_any_over = is_any_over or flow.completed_ns >= 0
        if is_any_over:
            self._flows = [flow for flow in self._flows if flow.completed_ns < 0]
        for index, link in enumerate(self._links):
            self._take_link(index, link, now)
        self._timeline.at(now + self._interval_ns, self._take)

    def _take_flow(self, flow: FlowRun, now: int) -> None:
        assert flow.model is not None
        state = self._states.setdefault(flow.model.state, len(self._states))
        values = (now, flow.number, *flow.model.sample(), state)
        for add, value in zip(self._flow_adders, values, strict=True):
            add(value)

    def _take_link(self, index: int, link: Link, now: int) -> None:
        port = link.port
        assert port is not None
        queue = port.queue
        values = (
            now,
            index,
            queue.backlog_bytes,
            queue.backlog_packets,
            port.sent_bytes,
            queue.dropped_packets,
            queue.marked_packets,
        )
        for add, value in zip(self._queue_adders, values, strict=True):
            add(value)


SERIES = (
    "time_ns", "flow", "window_bytes", "pacing_bps", "rtt_ns", "inflight_bytes", "goodput_bytes", "lost_packets",
    "state",
)  # fmt: skip
QUEUE_SERIES = (
    "time_ns", "link", "backlog_bytes", "backlog_packets", "sent_bytes", "dropped_packets", "marked_packets",
)  # fmt: skip
