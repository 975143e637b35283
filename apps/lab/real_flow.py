"""Turns a sending endpoint in real time, and keeps a trace of its controller."""

from __future__ import annotations

import select
from typing import Protocol

from stacks.model import Sender
from stacks.model.endpoint import SendingEndpoint
from transports.clock import Clock
from transports.pump import Pump
from transports.udp import UdpTransport


class Trace(Protocol):
    """What looks at a sender now and then. due_ns: when next; None for never."""

    due_ns: int | None

    def start(self, now: int) -> None:
        """The flow begins."""

    def take(self, now: int) -> None:
        """Look; `due_ns` becomes the next time."""


class SenderTrace:
    """The state of a sender at intervals. interval_ns: 0 for no trace. rows: by name; the first names are `COLUMNS`."""

    def __init__(self, sender: Sender, *, interval_ns: int) -> None:
        self.rows: list[dict[str, int | str]] = []
        self.due_ns: int | None = None
        self._sender = sender
        self._interval_ns = interval_ns
        self._start_ns = 0

    def start(self, now: int) -> None:
        """The flow begins."""
        self._start_ns = now
        self.due_ns = now if self._interval_ns else None

    def take(self, now: int) -> None:
        """One row; the next is due an interval later."""
        sender = self._sender
        controller, delivery = sender.controller, sender.delivery
        values: tuple[int | str, ...] = (
            now - self._start_ns,
            controller.state,
            controller.window_bytes or 0,
            controller.rate_bps or 0,
            sender.rtt.latest_ns,
            delivery.inflight_bytes,
            delivery.delivered_bytes,
            delivery.lost_bytes,
        )
        row = dict(zip(COLUMNS, values, strict=True))
        row.update(controller.variables())
        self.rows.append(row)
        self.due_ns = now - (now - self._start_ns) % self._interval_ns + self._interval_ns

    def as_csv(self) -> str:
        """With a line of names; empty where a controller did not show a variable."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        lines = [columns, *([str(row.get(name, "")) for name in columns] for row in self.rows)]
        return "".join(",".join(line) + "\n" for line in lines)


def run_sender(
    core: SendingEndpoint, transport: UdpTransport, clock: Clock, trace: Trace, *, limit_ns: int
) -> int:
    """Run until all that was written has arrived, or for `limit_ns`; returns how long it took in nanoseconds."""
    pump, sender, files = Pump(core, transport, clock), core.sender, [transport.fileno()]
    start_ns = now = clock.now()
    end_ns = start_ns + limit_ns
    trace.start(start_ns)
    while now < end_ns and not sender.is_done:
        pump.pump()
        now = clock.now()
        if trace.due_ns is not None and now >= trace.due_ns:
            trace.take(now)
        if pump.has_more:
            continue
        due_ns = min(end_ns, pump.deadline_ns or end_ns, trace.due_ns or end_ns)
        if due_ns > now:
            # select waits to the microsecond, where poll rounds up to a millisecond, of which pacing would suffer.
            select.select(files, files if pump.is_blocked else (), (), (due_ns - now) / 1e9)
            now = clock.now()
    return now - start_ns


COLUMNS = (
    "time_ns", "state", "window_bytes", "rate_bps", "rtt_ns", "inflight_bytes", "delivered_bytes", "lost_bytes",
)  # fmt: skip
