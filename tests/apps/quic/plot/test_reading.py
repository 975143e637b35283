"""Traces in all their forms come to the same; what is spoilt is told, and the rest is read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from apps.errors import CommandError
from apps.quic.plot.collecting import Collector, choose
from apps.quic.plot.reading import read_trace
from apps.quic.plot.trace import Trace
from tests.apps.quic.plot.traces import BYTES, aioquic, contained, deltas, events_of, lines, load, own, spread


def _seen(trace: Trace) -> tuple[object, ...]:
    way = trace.sent
    return (
        trace.vantage,
        trace.group,
        dict(trace.events),
        list(way.numbers.y),
        list(way.acked.y),
        list(way.lost.y),
        list(way.streams.offset),
        [round(each, 6) for each in way.numbers.x],
        {name: list(metric.y) for name, metric in trace.metrics.items()},
        trace.states,
    )


@pytest.mark.parametrize("form", [contained, lines, spread, deltas, gzip.compress], ids=lambda form: form.__name__)
def test_every_form_of_a_trace_comes_to_the_same(tmp_path: Path, form: object) -> None:
    expected, plain = load(tmp_path / "a.sqlog", own())
    found, file = load(tmp_path / "b.qlog", form(own()))  # type: ignore[operator]
    assert plain.notes == file.notes == []
    assert _seen(found)[:-2] == _seen(expected)[:-2]
    assert _seen(found)[-2] == _seen(expected)[-2]


def test_what_was_sent_is_acknowledged_or_lost(tmp_path: Path) -> None:
    trace, _ = load(tmp_path / "a.sqlog", own())
    way = trace.sent
    assert trace.vantage == "server"
    assert trace.data is way
    assert way.lost.y
    assert len(set(way.numbers.y)) == len(way.numbers.y)
    assert len(set(way.acked.y)) == len(way.acked.y)
    assert set(way.acked.y) | set(way.lost.y) <= set(way.numbers.y)
    first = dict(zip(way.numbers.y, way.numbers.x, strict=True))
    assert all(first[number] < x for number, x in zip(way.acked.y, way.acked.x, strict=True))
    ends = {}
    for stream, offset, length in zip(way.streams.stream, way.streams.offset, way.streams.length, strict=True):
        ends[stream] = max(ends.get(stream, 0), offset + length)
    assert list(ends.values()) == [BYTES] * 3
    assert {"congestion_window", "bytes_in_flight", "smoothed_rtt", "ssthresh"} <= set(trace.metrics)
    assert min(trace.metrics["min_rtt"].y) >= 20


def test_acknowledgements_are_found_in_frames_where_no_event_tells_them(tmp_path: Path) -> None:
    header, events = events_of(own())
    frames = [each for each in events if each["name"] != "quic:packets_acked"]
    told = [{**each, "data": dict(each["data"])} for each in events]
    for event in told:
        if event["name"] == "quic:packet_received":
            event["data"]["frames"] = []
    expected, _ = load(tmp_path / "a.sqlog", own())
    for chosen in (frames, told):
        log = b"".join(b"\x1e" + json.dumps(each).encode() + b"\n" for each in (header, *chosen))
        found, _ = load(tmp_path / "b.sqlog", log)
        assert sorted(found.sent.acked.y) == sorted(expected.sent.acked.y)


@pytest.mark.parametrize("end", ["client", "server"])
def test_a_trace_of_aioquic_is_read(tmp_path: Path, end: str) -> None:
    trace, file = load(tmp_path / "a.qlog", aioquic(end))
    assert (trace.vantage, file.version, file.notes) == (end, "0.3", [])
    way = trace.sent if end == "server" else trace.received
    assert trace.data is way
    assert max(offset + length for offset, length in zip(way.streams.offset, way.streams.length, strict=True)) == BYTES
    assert len(way.acked.y) > len(way.numbers.y) - 5
    if end == "server":
        assert {"congestion_window", "bytes_in_flight", "latest_rtt"} <= set(trace.metrics)


NGTCP2 = [
    {
        "qlog_format": "JSON-SEQ", "qlog_version": "0.3",
        "trace": {"vantage_point": {"name": "ngtcp2", "type": "server"}, "common_fields": {"group_id": "ab"}},
    },
    {
        "time": 0, "name": "transport:packet_sent",
        "data": {
            "frames": [{"frame_type": "stream", "stream_id": "4", "offset": "0", "length": 1000, "fin": True}],
            "header": {"packet_type": "1RTT", "packet_number": 7}, "raw": {"length": 1040},
        },
    },
    {
        "time": 1, "name": "recovery:metrics_updated",
        "data": {"smoothed_rtt": 5, "congestion_window": 14520, "ssthresh": 18446744073709551615},
    },
    {
        "time": 20, "name": "transport:packet_received",
        "data": {
            "frames": [{"frame_type": "ack", "ack_delay": 1, "acked_ranges": [[7]]}],
            "header": {"packet_type": "1RTT", "packet_number": 3}, "raw": {"length": 40},
        },
    },
    {
        "time": 21, "name": "recovery:packet_lost",
        "data": {"type": "1RTT", "packet_number": 6, "trigger": "time_threshold"},
    },
    {"time": 22, "name": "recovery:loss_timer_updated", "data": {"event_type": "set"}},
]  # fmt: skip


def test_the_older_names_of_others_are_understood(tmp_path: Path) -> None:
    """Field for field what ngtcp2 0.12 writes, and packet_lost as aioquic 1.2 does."""
    log = b"".join(b"\x1e" + json.dumps(each).encode() + b"\n" for each in NGTCP2)
    trace, _ = load(tmp_path / "a.sqlog", log)
    assert (trace.sent.bytes, list(trace.sent.numbers.y), list(trace.sent.acked.y)) == (1040, [7], [7])
    assert list(trace.sent.streams.length) == [1000]
    assert list(trace.sent.acked.x) == [0.02]
    assert list(trace.sent.lost.y) == [6]
    assert "ssthresh" not in trace.metrics
    assert trace.events["recovery_metrics_updated"] == trace.events["timer_updated"] == 1


def test_a_record_that_is_cut_off_is_told_and_the_rest_is_there(tmp_path: Path) -> None:
    log = own()[:-30]
    whole, _ = load(tmp_path / "a.sqlog", own())
    trace, file = load(tmp_path / "b.sqlog", log)
    assert sum(trace.events.values()) == sum(whole.events.values()) - 1
    (note,) = file.notes
    assert "the last record" in note
    assert "cut off" in note
    document = contained(own())
    trace, file = load(tmp_path / "c.qlog", document[: len(document) // 2])
    assert 0 < sum(trace.events.values()) < sum(whole.events.values())
    assert "cut off after" in file.notes[0]
    trace, file = load(tmp_path / "d.gz", gzip.compress(own())[:-3000])
    assert trace.packets
    assert "cut off or spoilt" in file.notes[-1]


def test_spoilt_events_are_counted_and_left_out(tmp_path: Path) -> None:
    header, events = events_of(own())
    texts = [json.dumps(each).encode() for each in (header, *events)]
    texts[3] = b'{"time": 1, "name":'
    texts[5] = b"[1, 2]"
    texts[7] = b'{"time": "soon", "name": "quic:packet_sent", "data": {}}'
    texts[9] = b'{"time": 1, "name": "quic:packet_sent", "data": {"frames": [7]}}'
    log = b"".join(b"\x1e" + text + b"\n" for text in texts)
    trace, file = load(tmp_path / "a.sqlog", log)
    assert file.notes == ["4 events could not be read, event 3 first; the others are drawn"]
    assert trace.packets


def test_several_traces_and_groups_of_a_file_are_told_apart(tmp_path: Path) -> None:
    header, events = events_of(own())
    other = [{**each, "group_id": "other"} for each in events]
    del header["trace"]["common_fields"]["group_id"]
    log = b"".join(b"\x1e" + json.dumps(each).encode() + b"\n" for each in (header, *events, *other))
    (tmp_path / "a.sqlog").write_bytes(log)
    collector = Collector()
    read_trace(tmp_path / "a.sqlog", collector.handle)
    traces = collector.finish()
    assert [trace.group for trace in traces.values()] == ["", "other"]
    assert choose(traces, 2).group == "other"
    with pytest.raises(CommandError, match="there is no trace 3; this file has 2"):
        choose(traces, 3)


NO_QLOG = {
    "empty": (b"", "is empty"),
    "text": (b"hello world\n", "is no qlog file"),
    "binary": (bytes(range(256)), "is no qlog file"),
    "another JSON": (b'{"a": 1}\n', "JSON without qlog_version"),
    "an array": (b"[1, 2]", "is no qlog file"),
    "broken JSON": (b'{"a": nonsense}', "is no qlog file"),
    "another JSON that is cut off": (b'{"a": [1, 2', "is no qlog file"),
    "qlog 0.2": (b'{"qlog_version": "draft-02", "traces": []}', "0.3 and the drafts after it"),
    "no traces": (b'{"qlog_version": "0.3", "traces": []}', "no packets"),
    "no events": (b'{"qlog_version": "0.3", "traces": [{"events": []}]}', "no packets"),
    "a header alone": (b'\x1e{"qlog_version": "0.3", "qlog_format": "JSON-SEQ", "trace": {}}\n', "no packets"),
}


@pytest.mark.parametrize("name", NO_QLOG)
def test_what_cannot_be_drawn_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    content, expected = NO_QLOG[name]
    with pytest.raises(CommandError, match=expected) as error:
        load(tmp_path / "a.qlog", content)
    assert "\n" not in str(error.value)
