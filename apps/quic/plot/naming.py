"""One vocabulary for all versions: what qlog 0.3 and its writers called events and fields, in the words of today."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]


def event_name(name: str) -> str:
    """The name without its namespace, in today's words."""
    namespace, _, word = name.rpartition(":")
    if word == "parameters_set" and namespace == "recovery":
        return "recovery_parameters_set"
    return EVENTS.get(word, word)


def metric_name(name: str) -> str:
    """A field of recovery_metrics_updated."""
    return METRICS.get(name, name)


def packet_of(data: Data) -> tuple[str, int]:
    """Type and number of the packet that an event is about; -1 where it has none."""
    header = data.get("header") or data
    kind = header.get("packet_type") or header.get("type") or data.get("packet_type") or ""
    number = header.get("packet_number")
    return PACKET_TYPES.get(kind, kind), -1 if number is None else int(number)


def length_of(data: Data) -> int:
    """Bytes of a packet, frame or datagram, as far as they are told."""
    raw = data.get("raw") or data
    length = raw.get("length", raw.get("payload_length", raw.get("packet_size")))
    if length is None:
        length = data.get("length", (data.get("header") or {}).get("packet_size", 0))
    return int(length)


def frame_length_of(frame: Data) -> int:
    """Bytes of data in a STREAM, CRYPTO or DATAGRAM frame: in `length` of old, in raw.length of today."""
    length = frame.get("length")
    if length is None:
        raw = frame.get("raw") or {}
        length = raw.get("payload_length", raw.get("length", 0))
    return int(length)


def acked_ranges(frame: Data) -> list[tuple[int, int]]:
    """Of an ACK frame: first and last, both included."""
    ranges = frame.get("acked_ranges") or ()
    return [(int(each[0]), int(each[-1])) for each in ranges if each]


def space_of(kind: str) -> str:
    """The packet number space of a packet type."""
    return SPACES.get(kind, "")


EVENTS = {
    "metrics_updated": "recovery_metrics_updated",
    "datagrams_sent": "udp_datagrams_sent",
    "datagrams_received": "udp_datagrams_received",
    "datagram_dropped": "udp_datagram_dropped",
    "path_assigned": "tuple_assigned",
    "loss_timer_updated": "timer_updated",
    "key_retired": "key_discarded",
    "data_moved": "stream_data_moved",
}
METRICS = {"cwnd": "congestion_window", "in_flight": "bytes_in_flight", "rtt_var": "rtt_variance"}
PACKET_TYPES = {"onertt": "1RTT", "zerortt": "0RTT", "1rtt": "1RTT", "0rtt": "0RTT", "Initial": "initial"}
SPACES = {"initial": "initial", "handshake": "handshake", "0RTT": "application_data", "1RTT": "application_data"}
