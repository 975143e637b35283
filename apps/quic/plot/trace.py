"""What is kept of one connection: columns of numbers, some tens of bytes a packet."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field


def _seconds() -> array[float]:
    return array("d")


def _whole() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Numbers:
    """Whole numbers, each at a moment: of packets, when something happened to them."""

    x: array[float] = field(default_factory=_seconds)
    y: array[int] = field(default_factory=_whole)

    def add(self, time_s: float, number: int) -> None:
        """One of them."""
        self.x.append(time_s)
        self.y.append(number)


@dataclass(slots=True)
class StreamFrames:
    """STREAM frames of one direction: when, of which stream, where in it, how many bytes of data."""

    x: array[float] = field(default_factory=_seconds)
    stream: array[int] = field(default_factory=_whole)
    offset: array[int] = field(default_factory=_whole)
    length: array[int] = field(default_factory=_whole)

    def add(self, time_s: float, stream: int, offset: int, length: int) -> None:
        """One frame."""
        self.x.append(time_s)
        self.stream.append(stream)
        self.offset.append(offset)
        self.length.append(length)

    def sizes(self) -> dict[int, int]:
        """Bytes in frames of each stream, in the order of their first frames."""
        found: dict[int, int] = {}
        for stream, length in zip(self.stream, self.length, strict=True):
            found[stream] = found.get(stream, 0) + length
        return found


@dataclass(slots=True)
class Metric:
    """A recovery metric, each time that it was told; in its unit of the log (ms, bytes, bit/s, packets)."""

    x: array[float] = field(default_factory=_seconds)
    y: array[float] = field(default_factory=_seconds)

    def add(self, time_s: float, value: float) -> None:
        """One value; one that is the same as before is not kept, but for the last."""
        x, y = self.x, self.y
        if len(y) > 1 and y[-1] == value and y[-2] == value:
            x[-1] = time_s
        else:
            x.append(time_s)
            y.append(value)


@dataclass(slots=True)
class Direction:
    """What went one way. packets, bytes: of all spaces. acked: by the other end. lost: as the sender found out."""

    packets: int = 0
    bytes: int = 0
    numbers: Numbers = field(default_factory=Numbers)
    acked: Numbers = field(default_factory=Numbers)
    lost: Numbers = field(default_factory=Numbers)
    streams: StreamFrames = field(default_factory=StreamFrames)
    ack_delays: Metric = field(default_factory=Metric)


@dataclass(slots=True)
class Trace:
    """One connection at one end. Times are seconds from its first event.

    index: of the trace in its file; group: of events in it. states: of the congestion controller, when they began.
    marks: moments that a picture should show. events: how many of each name.
    """

    index: int
    group: str
    vantage: str = ""
    title: str = ""
    start_ms: float | None = None
    end_s: float = 0.0
    sent: Direction = field(default_factory=Direction)
    received: Direction = field(default_factory=Direction)
    metrics: dict[str, Metric] = field(default_factory=dict)
    states: list[tuple[float, str]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def packets(self) -> int:
        """Of both directions."""
        return self.sent.packets + self.received.packets

    @property
    def data(self) -> Direction:
        """The direction in which more stream data went: the one to look at."""
        sent = sum(self.sent.streams.length)
        received = sum(self.received.streams.length)
        if sent == received:
            return self.sent if self.sent.packets >= self.received.packets else self.received
        return self.sent if sent > received else self.received
