"""What each flow got through a link, interval by interval: bytes and delay, measured at the link itself.

So flows of a kernel and of our own are measured alike, whatever they say of themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transports.relay.direction import Direction
from transports.relay.packet import RelayPacket
from transports.relay.relay import Relay


@dataclass(slots=True)
class FlowSample:
    """One flow in one interval.

    way, flow: which direction, and who. start_ns: of the interval, since the relay started. packets, bytes: that left
    the link in it. delay_ns: the sum of what each of them took from entering the link to leaving it.
    """

    way: str
    flow: str
    start_ns: int
    packets: int = 0
    bytes: int = 0
    delay_ns: int = 0

    @property
    def mean_delay_ns(self) -> int:
        """Of a packet."""
        return self.delay_ns // self.packets if self.packets else 0


class FlowSamples:
    """Samples of everything that leaves a link.

    interval_ns: length of an interval. name_of: of the flow that a packet belongs to; asked once a flow.
    """

    def __init__(self, relay: Relay, interval_ns: int, name_of: Callable[[RelayPacket, bool], str]) -> None:
        self.interval_ns = interval_ns
        self._relay = relay
        self._name_of = name_of
        self._names: dict[tuple[bool, int], str] = {}
        self._open: dict[tuple[bool, int], FlowSample] = {}
        self._closed: list[FlowSample] = []

    def watch(self, forward: Direction, back: Direction) -> None:
        """Sample both ways of a link from now on."""
        forward.watchers.append(self._watcher(is_forward=True))
        back.watchers.append(self._watcher(is_forward=False))

    def finished(self) -> list[FlowSample]:
        """All samples, by time, way, and who was first; intervals in which a flow got nothing are left out."""
        samples = [*self._closed, *self._open.values()]
        order = {name: number for number, name in enumerate(dict.fromkeys((*self._names.values(),)))}
        return sorted(samples, key=lambda sample: (sample.start_ns, sample.way != "forward", order[sample.flow]))

    def as_csv(self) -> str:
        """The same with a line of names."""
        lines = ["way,flow,start_ns,packets,bytes,mean_delay_ns"]
        for sample in self.finished():
            numbers = (sample.start_ns, sample.packets, sample.bytes, sample.mean_delay_ns)
            lines.append(",".join((sample.way, sample.flow, *map(str, numbers))))
        return "\n".join(lines) + "\n"

    def _watcher(self, *, is_forward: bool) -> Callable[[RelayPacket, bool], None]:
        timeline, interval_ns = self._relay.timeline, self.interval_ns

        def watch(packet: RelayPacket, has_left: bool) -> None:
            if not has_left:
                return
            sample = self._sample(packet, timeline.now - timeline.now % interval_ns, is_forward)
            sample.packets += 1
            sample.bytes += packet.size_bytes
            sample.delay_ns += timeline.now - packet.entered_ns

        return watch

    def _sample(self, packet: RelayPacket, start_ns: int, is_forward: bool) -> FlowSample:
        key = is_forward, packet.flow
        sample = self._open.get(key)
        if sample is not None and sample.start_ns == start_ns:
            return sample
        if sample is not None:
            self._closed.append(sample)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self._name_of(packet, is_forward)
        sample = self._open[key] = FlowSample("forward" if is_forward else "back", name, start_ns)
        return sample
