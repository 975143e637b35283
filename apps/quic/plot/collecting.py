"""Events into the columns of their traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.errors import CommandError
from apps.quic.plot.naming import (
    acked_ranges,
    event_name,
    frame_length_of,
    length_of,
    metric_name,
    packet_of,
    space_of,
)
from apps.quic.plot.reading import TraceHeader
from apps.quic.plot.spans import Spans
from apps.quic.plot.trace import Direction, Metric, Trace

Data = dict[str, Any]


class Collector:
    """Is given the events of a file, and makes a `Trace` of each connection in it, in `traces`."""

    def __init__(self) -> None:
        self.traces: dict[tuple[int, str], Trace] = {}
        self._building: dict[tuple[int, str], _Builder] = {}
        self._headers: dict[int, TraceHeader] = {}
        self._clocks: dict[int, float] = {}

    def handle(self, header: TraceHeader, event: Data) -> None:
        """One event; an AttributeError, KeyError, TypeError or ValueError says that it is not as it should be."""
        common = header.common
        group = str(event.get("group_id") or common.get("group_id") or common.get("ODCID") or "")
        key = (header.index, group)
        builder = self._building.get(key)
        if builder is None:
            trace = self.traces[key] = Trace(header.index, group)
            builder = self._building[key] = _Builder(trace)
            self._headers[header.index] = header
        trace = builder.trace
        time_ms = self._time(header, event)
        if trace.start_ms is None:
            trace.start_ms = time_ms
        time_s = (time_ms - trace.start_ms) / 1e3
        if time_s > trace.end_s:
            trace.end_s = time_s
        name = event_name(event["name"])
        trace.events[name] += 1
        handle = HANDLERS.get(name)
        if handle is not None:
            handle(builder, time_s, event.get("data") or {})

    def finish(self) -> dict[tuple[int, str], Trace]:
        """All traces; a header may have said something behind its events."""
        for trace in self.traces.values():
            trace.vantage = self._headers[trace.index].vantage
        return self.traces

    def _time(self, header: TraceHeader, event: Data) -> float:
        time_ms = float(event["time"])
        form = event.get("time_format") or header.common.get("time_format")
        if form in DELTAS:
            time_ms += self._clocks.get(header.index, 0.0)
            self._clocks[header.index] = time_ms
        return time_ms


class _Builder:
    """A trace, and what is remembered while it is filled."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._acked_by_peer = {space: Spans() for space in SPACES}
        self._acked_by_us = {space: Spans() for space in SPACES}

    def packet_sent(self, time_s: float, data: Data) -> None:
        """A packet of ours."""
        self._packet(time_s, data, self.trace.sent, self.trace.received, self._acked_by_us)

    def packet_received(self, time_s: float, data: Data) -> None:
        """A packet of the peer's; its ACKs are of ours."""
        self._packet(time_s, data, self.trace.received, self.trace.sent, self._acked_by_peer)

    def packet_lost(self, time_s: float, data: Data) -> None:
        """One of ours."""
        kind, number = packet_of(data)
        self.trace.losses[str(data.get("trigger") or "no reason told")] += 1
        if number >= 0 and space_of(kind or "1RTT") == APPLICATION:
            self.trace.sent.lost.add(time_s, number)

    def packets_acked(self, time_s: float, data: Data) -> None:
        """Of ours; told besides the ACK frames, or instead of them."""
        space = data.get("packet_number_space", APPLICATION)
        numbers = self.trace.sent.acked
        for number in data.get("packet_numbers") or ():
            if self._acked_by_peer[space].add(int(number), int(number)) and space == APPLICATION:
                numbers.add(time_s, int(number))

    def metrics(self, time_s: float, data: Data) -> None:
        """Those that are numbers, whatever they are called."""
        metrics = self.trace.metrics
        for name, value in data.items():
            if isinstance(value, str):
                try:
                    value = float(value)
                except ValueError:
                    continue
            if isinstance(value, int | float) and value < ENDLESS:
                name = metric_name(name)
                found = metrics.get(name)
                if found is None:
                    found = metrics[name] = Metric()
                found.add(time_s, value)

    def congestion_state(self, time_s: float, data: Data) -> None:
        """The controller's."""
        if not self.trace.states and data.get("old"):
            self.trace.states.append((0.0, str(data["old"])))
        self.trace.states.append((time_s, str(data["new"])))

    def connection_state(self, time_s: float, data: Data) -> None:
        """Moments that everybody knows by name."""
        word = MOMENTS.get(str(data.get("new")))
        if word:
            self.trace.marks.append((time_s, word))

    def closed(self, time_s: float, data: Data) -> None:  # noqa: ARG002 - as all handlers
        """The end, and why."""
        reason = data.get("connection_error") or data.get("application_error") or data.get("trigger") or ""
        if data.get("error_code") is not None:
            reason = f"{reason} {data['error_code']}"
        self.trace.facts["closed"] = " ".join(filter(None, (str(reason), str(data.get("reason") or "")))).strip()

    def key_updated(self, time_s: float, data: Data) -> None:
        """Of 1-RTT keys, after the first."""
        if data.get("trigger") in ("local_update", "remote_update"):
            self.trace.marks.append((time_s, "key update"))

    def migration(self, time_s: float, data: Data) -> None:
        """To another path."""
        if data.get("new") in ("migration_started", "migration_complete"):
            self.trace.marks.append((time_s, str(data["new"]).replace("_", " ")))

    def marker(self, time_s: float, data: Data) -> None:
        """Something was done to the network."""
        self.trace.marks.append((time_s, str(data.get("message") or data.get("type") or "marker")))

    def versions(self, time_s: float, data: Data) -> None:  # noqa: ARG002
        """The version that is spoken."""
        if data.get("chosen_version"):
            self.trace.facts["version"] = f"0x{str(data['chosen_version']).removeprefix('0x').lstrip('0') or '0'}"

    def alpn(self, time_s: float, data: Data) -> None:  # noqa: ARG002
        """The protocol that was agreed on."""
        chosen = data.get("chosen_alpn")
        if chosen:
            self.trace.facts["protocol"] = str(chosen.get("string_value") if isinstance(chosen, dict) else chosen)

    def parameters(self, time_s: float, data: Data) -> None:  # noqa: ARG002
        """What TLS agreed on."""
        if data.get("tls_cipher"):
            self.trace.facts["cipher"] = str(data["tls_cipher"])

    def _packet(self, time_s: float, data: Data, way: Direction, other: Direction, acked: dict[str, Spans]) -> None:
        kind, number = packet_of(data)
        way.packets += 1
        way.bytes += length_of(data)
        space = space_of(kind)
        if number >= 0 and space == APPLICATION:
            way.numbers.add(time_s, number)
        for frame in data.get("frames") or ():
            word = frame.get("frame_type")
            if word == "stream":
                way.streams.add(time_s, int(frame["stream_id"]), int(frame.get("offset") or 0), frame_length_of(frame))
            elif word == "ack" and space:
                self._ack(time_s, frame, space, way, other, acked[space])

    def _ack(self, time_s: float, frame: Data, space: str, way: Direction, other: Direction, acked: Spans) -> None:
        delay = frame.get("ack_delay")
        if delay is not None and space == APPLICATION:
            way.ack_delays.add(time_s, float(delay))
        for first, last in acked_ranges(frame):
            for low, high in acked.add(first, last):
                if space == APPLICATION and high - low < RANGE_MAX:
                    for number in range(low, high + 1):
                        other.acked.add(time_s, number)


def choose(traces: dict[tuple[int, str], Trace], wanted: int | None) -> Trace:
    """The trace to draw: the `wanted`th from 1 on, or the first that has packets; CommandError where there is none."""
    found = [trace for trace in traces.values() if trace.packets]
    if not found:
        raise CommandError("there are no packets in this trace", "log packet_sent and packet_received events", status=2)
    if wanted is None:
        return found[0]
    if not 1 <= wanted <= len(found):
        raise CommandError(f"there is no trace {wanted}", f"this file has {len(found)} with packets", status=2)
    return found[wanted - 1]


HANDLERS: dict[str, Callable[[_Builder, float, Data], None]] = {
    "packet_sent": _Builder.packet_sent,
    "packet_received": _Builder.packet_received,
    "packet_lost": _Builder.packet_lost,
    "packets_acked": _Builder.packets_acked,
    "recovery_metrics_updated": _Builder.metrics,
    "congestion_state_updated": _Builder.congestion_state,
    "connection_state_updated": _Builder.connection_state,
    "connection_closed": _Builder.closed,
    "key_updated": _Builder.key_updated,
    "migration_state_updated": _Builder.migration,
    "marker": _Builder.marker,
    "version_information": _Builder.versions,
    "alpn_information": _Builder.alpn,
    "parameters_set": _Builder.parameters,
}
APPLICATION = "application_data"
SPACES = ("initial", "handshake", APPLICATION)
DELTAS = ("relative_to_previous_event", "delta")
"""Of today, and of 0.3."""
MOMENTS = {"handshake_complete": "handshake complete", "handshake_confirmed": "confirmed", "closing": "closing"}
ENDLESS = 1e15
"""More stands for no limit: ngtcp2 writes 2^64 - 1 for ssthresh."""
RANGE_MAX = 1 << 20
"""More packets in one step of an ACK is no acknowledgement but a mistake: it is not drawn."""
