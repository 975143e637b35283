"""One log: its header, and records behind it (main schema 5, 11.2; RFC 7464)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from stacks.quic.qlog.words import FILE_SCHEMA, QUIC_EVENTS, SERIALIZATION, SIMULATION_EVENTS, dumps


class Sink(Protocol):
    """Where the bytes of a log go; a file opened for writing bytes is one. It must not raise."""

    def write(self, data: bytes, /) -> object:
        """Take whole records."""

    def close(self) -> None:
        """That was all."""


SinkFactory = Callable[[str], Sink]
"""Opens the log that is called so: ODCID_client or ODCID_server."""


class Log:
    """A log that is opened once its name is known. vantage_point: client or server."""

    __slots__ = ("_sink", "_sinks", "_vantage_point", "_wall_clock")

    def __init__(self, sinks: SinkFactory, *, vantage_point: str, wall_clock: str | None) -> None:
        self._sinks = sinks
        self._sink: Sink | None = None
        self._vantage_point = vantage_point
        self._wall_clock = wall_clock

    def open(self, original_destination_cid: bytes) -> None:
        """Write the header; a second call does nothing."""
        if self._sink is not None:
            return
        group = original_destination_cid.hex()
        self._sink = self._sinks(f"{group}_{self._vantage_point}")
        reference = {"clock_type": "monotonic", "epoch": "unknown"}
        if self._wall_clock is not None:
            reference["wall_clock_time"] = self._wall_clock
        self._record(dumps({
            "file_schema": FILE_SCHEMA,
            "serialization_format": SERIALIZATION,
            "title": f"QUIC connection {group}, {self._vantage_point}",
            "trace": {
                "common_fields": {
                    "group_id": group, "time_format": "relative_to_epoch", "reference_time": reference,
                },
                "vantage_point": {"name": "baremetal", "type": self._vantage_point},
                "event_schemas": [QUIC_EVENTS, SIMULATION_EVENTS],
            },
        }))  # fmt: skip

    def event(self, now: int, name: str, data: str, tuple_id: int = 0, *, schema: str = "quic") -> None:
        """One event. now: ns. data: JSON text of an object. tuple_id: 0 for the path that needs no mention."""
        path = f'"tuple":"{tuple_id}",' if tuple_id else ""
        self._record(
            f'{{"time":{now // 1_000_000}.{now % 1_000_000:06d},"name":"{schema}:{name}",{path}"data":{data}}}'
        )

    def put(self, now: int, name: str, data: Mapping[str, object], *, schema: str = "quic") -> None:
        """One event, of what JSON can say."""
        self.event(now, name, dumps(data), schema=schema)

    def change(self, now: int, name: str, old: str, new: str, trigger: str = "") -> None:
        """An event about a state; old and trigger are left out where they are empty."""
        found = {"old": old, "new": new, "trigger": trigger}
        self.put(now, name, {key: word for key, word in found.items() if word})

    def close(self) -> None:
        """No more events; further ones are lost."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None
            self._sinks = _no_more

    def _record(self, text: str) -> None:
        if self._sink is not None:
            self._sink.write(f"\x1e{text}\n".encode("ascii"))


def _no_more(name: str) -> Sink:
    raise AssertionError(f"the log {name} is closed")
