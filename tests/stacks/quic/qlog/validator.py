"""Whether the bytes of a log are what the drafts say; independent of the code that writes them.

`problems` holds a log against the rules of the documents, and against what their text says besides: the order of
records and times, fields that belong together, packets that are acknowledged or lost but were never sent.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.stacks.quic.qlog.cddl import check, check_map
from tests.stacks.quic.qlog.frame_rules import FRAME_EXTENSIONS, FRAME_RULES
from tests.stacks.quic.qlog.main_rules import EVENT, MAIN_RULES, SIMULATION_EVENTS
from tests.stacks.quic.qlog.quic_rules import DATA_TYPES, EXTENSIONS, QUIC_RULES

RULES = {**MAIN_RULES, **QUIC_RULES, "QuicFrame": "map"}
SPACES = {
    "initial": "initial", "handshake": "handshake", "0RTT": "application_data", "1RTT": "application_data",
}  # fmt: skip


def records(log: bytes) -> list[Any]:
    """The JSON texts of a sequence (RFC 7464 2.2); AssertionError where it is none."""
    assert log.startswith(b"\x1e"), "no record separator at the start"
    found = []
    for record in log[1:].split(b"\x1e"):
        assert record.endswith(b"\n"), f"a record without a line feed: {record[:80]!r}"
        found.append(json.loads(record.decode("ascii"), parse_float=Decimal))
    return found


def problems(log: bytes) -> list[str]:
    """What is wrong with a log, as sentences; empty when nothing is."""
    header, *events = records(log)
    wrong = _header_problems(log, header)
    for index, event in enumerate(events):
        wrong += _event_problems(event, f"event {index}")
    return wrong + _order_problems(events) + _packet_problems(events)


def named(log: bytes, name: str) -> list[Any]:
    """The data of all events that are called so, in order."""
    return [event["data"] for event in records(log)[1:] if event["name"] == f"quic:{name}"]


def _header_problems(log: bytes, header: Any) -> list[str]:
    wrong = check(header, "QlogFileSeq", RULES, "header")
    if wrong:
        return wrong
    trace = header["trace"]
    for key in ("file_schema", "serialization_format"):
        if f'"{key}"'.encode() not in log[:256]:
            wrong.append(f"header: {key} is not in the first 256 bytes")
    reference = trace["common_fields"]["reference_time"]
    if reference["clock_type"] == "monotonic" and reference["epoch"] != "unknown":
        wrong.append("header: a monotonic clock whose epoch is known")
    if not any(each.startswith("urn:ietf:params:qlog:events:quic-") for each in trace["event_schemas"]):
        wrong.append("header: the draft of the QUIC events is not told")
    return wrong


def _event_problems(event: Any, where: str) -> list[str]:
    wrong = check_map(event, EVENT, RULES, where)
    if wrong:
        return wrong
    name, data = event["name"], event["data"]
    where = f"{where} ({name})"
    kind = name.removeprefix("quic:")
    if name in SIMULATION_EVENTS:
        return check(data, SIMULATION_EVENTS[name], RULES, where)
    if not name.startswith("quic:") or kind not in QUIC_RULES or kind in DATA_TYPES:
        return [f"{where}: there is no such event"]
    fields = QUIC_RULES[kind]
    assert not isinstance(fields, str)
    wrong = check_map(data, {**fields, **EXTENSIONS.get(kind, {})}, RULES, where)
    if wrong:
        return wrong
    for frame in data.get("frames", ()):
        wrong += _frame_problems(frame, where)
    return wrong + _meaning_problems(kind, data, where)


def _frame_problems(frame: Any, where: str) -> list[str]:
    kind = frame.get("frame_type") if isinstance(frame, dict) else None
    fields = FRAME_RULES.get(kind) if kind in FRAME_RULES else FRAME_EXTENSIONS.get(kind)  # type: ignore[arg-type]
    if fields is None:
        return [f"{where}: {frame!r} is no frame"]
    wrong = check_map(frame, {"frame_type": "text", **fields}, RULES, f"{where} {kind}")
    if not wrong and kind == "ack":
        wrong += [f"{where}: range {each}" for each in frame.get("acked_ranges", ()) if each != sorted(each)]
    if not wrong and kind in ("crypto", "stream", "datagram") and "length" not in frame.get("raw", ()):
        wrong.append(f"{where} {kind}: raw.length is missing")
    return wrong + _code_problems(frame, ("error",), f"{where} {kind}")


def _meaning_problems(kind: str, data: Any, where: str) -> list[str]:
    wrong = []
    if kind == "connection_closed":
        wrong += _code_problems(data, ("connection_error", "application_error"), where)
    if kind == "recovery_metrics_updated" and not data:
        wrong.append(f"{where}: no metric at all")
    if kind == "timer_updated" and ("delta" in data) != (data["event_type"] == "set"):
        wrong.append(f"{where}: delta is for set timers")
    header = data.get("header")
    if header is not None:
        word = header["packet_type"]
        if word in SPACES and kind in ("packet_sent", "packet_received", "packet_lost"):
            wrong += [f"{where}: no packet_number"] if "packet_number" not in header else []
        if "token" in header and word not in ("initial", "retry"):
            wrong.append(f"{where}: a token in {word}")
        if "supported_versions" in data and word != "version_negotiation":
            wrong.append(f"{where}: supported_versions in {word}")
    return wrong


def _code_problems(data: Any, names: tuple[str, ...], where: str) -> list[str]:
    is_unknown = any(data.get(name) == "unknown" for name in names)
    return [] if ("error_code" in data) == is_unknown else [f"{where}: error_code is for unknown errors"]


def _order_problems(events: list[Any]) -> list[str]:
    wrong = []
    states: dict[str, Any] = {}
    time: Any = None
    for index, event in enumerate(events):
        name, data = event["name"], event["data"]
        if time is not None and event["time"] < time:
            wrong.append(f"event {index} ({name}): before the one before it")
        time = event["time"]
        if name.endswith(("state_updated", "mtu_updated")) and "stream_id" not in data and "tuple_id" not in data:
            if data.get("old") != states.get(name):
                wrong.append(f"event {index} ({name}): old {data.get('old')!r}, and it was {states.get(name)!r}")
            states[name] = data["new"]
    return wrong


def _packet_problems(events: list[Any]) -> list[str]:
    wrong = []
    sent: set[tuple[str, int]] = set()
    received: set[tuple[str, int]] = set()
    acked: set[tuple[str, int]] = set()
    types: dict[tuple[str, int], str] = {}
    for event in events:
        kind, data = event["name"].removeprefix("quic:"), event["data"]
        header = data.get("header", {})
        word = header.get("packet_type")
        packet = (SPACES.get(word, ""), header.get("packet_number", -1))
        if kind in ("packet_sent", "packet_received") and word in SPACES:
            books = sent if kind == "packet_sent" else received
            if packet in books:
                wrong.append(f"{kind}: {packet} twice")
            books.add(packet)
            if kind == "packet_sent":
                types[packet] = word
        elif kind == "packet_lost":
            if types.get(packet) != word:
                wrong.append(f"packet_lost: {packet} as {word}, and it was sent as {types.get(packet)}")
        elif kind == "packets_acked":
            for number in data["packet_numbers"]:
                each = (data.get("packet_number_space", "application_data"), number)
                if each not in sent or each in acked:
                    wrong.append(f"packets_acked: {each} was {'acked' if each in acked else 'never sent'}")
                acked.add(each)
    return wrong
