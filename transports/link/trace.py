"""Links that were measured: mahimahi's traces, lists of moments at which 1500 bytes could have been delivered."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from transports.errors import TransportError
from transports.link.packet import LinkPacket
from transports.link.queue import Queue
from transports.link.queue_clock import QueueClock
from transports.timeline import Timeline


class Trace:
    """A trace. times_ns: of the opportunities, in order, several may share a moment; the last is the period, above 0.

    TransportError where that does not hold.
    """

    __slots__ = ("period_ns", "times_ns")

    def __init__(self, times_ns: Sequence[int]) -> None:
        self.times_ns = tuple(times_ns)
        if not self.times_ns:
            raise TransportError("a trace needs at least one opportunity")
        for former_ns, time_ns in zip((0, *self.times_ns), self.times_ns):  # noqa: B905  # one is longer
            if time_ns < former_ns:
                raise TransportError(f"a trace's times do not fall: {time_ns} ns comes after {former_ns} ns")
        self.period_ns = self.times_ns[-1]
        if not self.period_ns:
            raise TransportError("a trace lasts for a time: its last value is above 0")

    @property
    def rate_bps(self) -> int:
        """On average."""
        return len(self.times_ns) * OPPORTUNITY_BYTES * 8 * 1_000_000_000 // self.period_ns


def parse_trace(text: str, name: str = "trace") -> Trace:
    """A trace from its text: one whole number of milliseconds a line. TransportError names the line."""
    times_ns: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.isascii() or not line.isdigit():
            raise TransportError(f"{name}:{number}: a line is one whole number of milliseconds, not {line[:40]!r}")
        time_ns = int(line) * 1_000_000
        if times_ns and time_ns < times_ns[-1]:
            former_ms = times_ns[-1] // 1_000_000
            raise TransportError(f"{name}:{number}: times do not fall, and {line} ms comes after {former_ms}")
        times_ns.append(time_ns)
    try:
        return Trace(times_ns)
    except TransportError as error:
        raise TransportError(f"{name}: {error}") from None


def load_trace(path: str | Path) -> Trace:
    """A trace from a file in mahimahi's format. TransportError for one that cannot be read, or is none."""
    try:
        text = Path(path).read_text(encoding="ascii")
    except OSError as error:
        raise TransportError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise TransportError(f"{path}: no trace: a line is one whole number of milliseconds") from None
    return parse_trace(text, str(path))


class TracePort:
    """A queue in front of a link that delivers when its trace says so, and the wire behind it (as mahimahi's mm-link).

    Each opportunity carries 1500 bytes: several small packets, or a part of one that goes on with the next. What finds
    no packet is lost, and so is the rest of an opportunity after the last one; a packet must have come before the
    moment itself. A packet leaves the queue with the first opportunity that it uses. The trace begins at the present
    time and repeats with its period.

    sent_packets, sent_bytes: what left. busy_ns: time with a packet that waited for an opportunity, up to the last one.
    """

    __slots__ = (
        "_base_ns", "_busy_since_ns", "_clock", "_index", "_left_bytes", "_packet", "_serving", "_timeline", "busy_ns",
        "delay_ns", "queue", "sent_bytes", "sent_packets", "trace",
    )  # fmt: skip

    def __init__(self, timeline: Timeline, queue: Queue, trace: Trace, *, delay_ns: int = 0) -> None:
        self.queue = queue
        self.trace = trace
        self.delay_ns = delay_ns
        self.sent_packets = 0
        self.sent_bytes = 0
        self.busy_ns = 0
        self._timeline = timeline
        self._base_ns = timeline.now
        self._index = 0
        self._packet: LinkPacket | None = None
        self._left_bytes = 0
        self._serving = False
        self._busy_since_ns = 0
        queue.attach(self)
        self._clock = QueueClock.of(queue, timeline, self._kick)

    @property
    def rate(self) -> Trace:
        """The trace, which has a rate on average."""
        return self.trace

    def put(self, packet: LinkPacket) -> None:
        """A packet arrives."""
        if self._serving and self._next_ns() <= self._timeline.now:
            self._serve(None)  # what came in this instant missed its opportunity
        if self.queue.enqueue(packet, self._timeline.now):
            self._kick()
        if self._clock is not None:
            self._clock.look()

    def _kick(self) -> None:
        if not self._serving and self.queue.backlog_packets:
            self._serving = True
            self._busy_since_ns = now = self._timeline.now
            self._seek(now)
            self._timeline.at(self._next_ns(), self._serve)

    def _next_ns(self) -> int:
        return self._base_ns + self.trace.times_ns[self._index]

    def _seek(self, now: int) -> None:
        # The first opportunity after `now`.
        period_ns = self.trace.period_ns
        self._base_ns += (now - self._base_ns) // period_ns * period_ns
        self._index = bisect_right(self.trace.times_ns, now - self._base_ns)

    def _advance(self) -> None:
        self._index += 1
        if self._index == len(self.trace.times_ns):
            self._index = 0
            self._base_ns += self.trace.period_ns

    def _serve(self, _: None) -> None:
        now = self._timeline.now
        if not self._serving or self._next_ns() > now:
            return  # an arrival in this instant saw to it
        while self._serving and self._next_ns() <= now:
            self._advance()
            self._use(now)
            self._serving = self._packet is not None or self.queue.backlog_packets > 0
        if self._clock is not None:
            self._clock.look()
        if self._serving:
            self._timeline.at(self._next_ns(), self._serve)
        else:
            self.busy_ns += now - self._busy_since_ns

    def _use(self, now: int) -> None:
        """One opportunity."""
        room_bytes = OPPORTUNITY_BYTES
        while True:
            packet = self._packet
            if packet is None:
                if not room_bytes or (packet := self.queue.dequeue(now)) is None:
                    return
                self._packet = packet
                self._left_bytes = packet.size_bytes
            if self._left_bytes > room_bytes:
                self._left_bytes -= room_bytes
                return
            room_bytes -= self._left_bytes
            self._packet = None
            self.sent_packets += 1
            self.sent_bytes += packet.size_bytes
            self._timeline.at(now + self.delay_ns, LinkPacket.forward, packet)


OPPORTUNITY_BYTES = 1500
