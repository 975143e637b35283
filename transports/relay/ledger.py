"""Every packet that left a link, and what its queues were like at intervals: columns of integers in one file.

    a line of JSON: {"epoch_ns", "flows": [[way, name], ...], "tables": {table: [[column, ...], rows]}}
    then each column of each table in that order, 64-bit integers, little-endian

For whoever wants percentiles, which the sums of `sampling` do not give.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from transports.errors import TransportError
from transports.relay.direction import Direction
from transports.relay.packet import RelayPacket
from transports.relay.relay import Relay

Columns = Mapping[str, "array[int]"]


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """What was recorded.

    epoch_ns: when the link's time began, by the monotonic clock. flows: way (`forward`, `back`) and name of each.
    packets: time_ns at which it left, flow, size_bytes, delay_ns from entering to leaving. queues: time_ns, way (0
    forward, 1 back), backlog, and counters since the beginning.
    """

    epoch_ns: int
    flows: tuple[tuple[str, str], ...]
    packets: Columns
    queues: Columns


class Ledger:
    """The recording. interval_ns: between two looks at the queues. name_of: as of `FlowSamples`."""

    def __init__(self, relay: Relay, interval_ns: int, name_of: Callable[[RelayPacket, bool], str]) -> None:
        self._relay = relay
        self._interval_ns = interval_ns
        self._name_of = name_of
        self._flows: dict[tuple[bool, int], int] = {}
        self._names: list[tuple[str, str]] = []
        self._packets = {name: array("q") for name in PACKET_COLUMNS}
        self._queues = {name: array("q") for name in QUEUE_COLUMNS}
        self._ways: tuple[Direction, ...] = ()

    def watch(self, forward: Direction, back: Direction) -> None:
        """Record both ways of a link from now on."""
        self._ways = forward, back
        forward.watchers.append(self._watcher(is_forward=True))
        back.watchers.append(self._watcher(is_forward=False))
        self._look()

    def write(self, path: Path) -> None:
        """Look at the queues once more, and write what was recorded. OSError when that fails."""
        self._look_once()
        tables = {"packets": self._packets, "queues": self._queues}
        head = {
            "epoch_ns": self._relay.epoch_ns,
            "flows": self._names,
            "tables": {name: [list(table), len(table["time_ns"])] for name, table in tables.items()},
        }
        with path.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            for table in tables.values():
                for column in table.values():
                    file.write(_little(column).tobytes())

    def _watcher(self, *, is_forward: bool) -> Callable[[RelayPacket, bool], None]:
        timeline, flows = self._relay.timeline, self._flows
        add_time, add_flow, add_size, add_delay = (self._packets[name].append for name in PACKET_COLUMNS)

        def watch(packet: RelayPacket, has_left: bool) -> None:
            if not has_left:
                return
            number = flows.get((is_forward, packet.flow))
            if number is None:
                number = self._add_flow(packet, is_forward)
            now = timeline.now
            add_time(now)
            add_flow(number)
            add_size(packet.size_bytes)
            add_delay(now - packet.entered_ns)

        return watch

    def _add_flow(self, packet: RelayPacket, is_forward: bool) -> int:
        number = self._flows[is_forward, packet.flow] = len(self._names)
        self._names.append(("forward" if is_forward else "back", self._name_of(packet, is_forward)))
        return number

    def _look(self, _: object = None) -> None:
        self._look_once()
        timeline = self._relay.timeline
        timeline.at(timeline.now + self._interval_ns, self._look)

    def _look_once(self) -> None:
        for number, way in enumerate(self._ways):
            queue = way.queue
            values = (
                self._relay.timeline.now,
                number,
                queue.backlog_bytes,
                queue.backlog_packets,
                way.port.sent_bytes,
                way.port.sent_packets,
                queue.dropped_packets,
                queue.marked_packets,
                way.lost_packets,
            )
            for name, value in zip(QUEUE_COLUMNS, values, strict=True):
                self._queues[name].append(value)


def read_ledger(path: Path) -> LinkRecord:
    """What a ledger wrote; TransportError when there is no whole one."""
    try:
        content = path.read_bytes()
        line, _, rest = content.partition(b"\n")
        head = json.loads(line)
        tables: dict[str, dict[str, array[int]]] = {}
        at = 0
        for name, (columns, rows) in head["tables"].items():
            table = tables[name] = {}
            for column in columns:
                table[column] = array("q", b"")
                table[column].frombytes(rest[at : at + 8 * rows])
                table[column] = _little(table[column])
                at += 8 * rows
        if at != len(rest):
            raise ValueError("its length is not what its head says")
        flows = tuple((str(way), str(flow)) for way, flow in head["flows"])
        return LinkRecord(head["epoch_ns"], flows, tables["packets"], tables["queues"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TransportError(f"{path} holds no whole record of a link: {error}") from error


def _little(column: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return column
    swapped = array("q", column)
    swapped.byteswap()
    return swapped


PACKET_COLUMNS = ("time_ns", "flow", "size_bytes", "delay_ns")
QUEUE_COLUMNS = (
    "time_ns", "way", "backlog_bytes", "backlog_packets", "sent_bytes", "sent_packets", "dropped_packets",
    "marked_packets", "lost_packets",
)  # fmt: skip
