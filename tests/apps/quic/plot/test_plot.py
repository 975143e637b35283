"""`baremetal quic plot` as people run it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from apps.errors import CommandError
from apps.pictures.canvas import to_file
from apps.quic.commands_plot import load
from apps.quic.plot.pictures.congestion import congestion_figure, data_rate
from apps.quic.plot.pictures.multiplexing import first_change, multiplexing_figure, stream_shares, stream_spans
from apps.quic.plot.pictures.sequence import sequence_figure, stream_offsets
from apps.quic.plot.pictures.view import stream_colours
from apps.quic.plot.report import trace_page
from apps.quic.plot.summary import goodput_bps, stream_rows, summary
from tests.apps.cli import baremetal, json_of, only_line
from tests.apps.quic.plot.traces import BYTES, aioquic, own

NAMES = ("sequence", "congestion", "rtt", "multiplexing")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.sqlog").write_bytes(own())
    (tmp_path / "other.qlog").write_bytes(aioquic())
    return tmp_path


@pytest.mark.slow
def test_a_trace_becomes_four_pictures_and_a_page(folder: Path) -> None:
    said = json_of("quic", "plot", "own.sqlog", "--output", "a", directory=folder)
    assert said["files"] == [*(f"a/own-{name}.png" for name in NAMES), "a/own.html"]
    assert (said["vantage_point"], said["notes"]) == ("server", [])
    assert said["stream_data_sent_bytes"] >= 3 * BYTES  # type: ignore[operator]
    for name in NAMES:
        assert (folder / f"a/own-{name}.png").read_bytes().startswith(PNG)
    page = (folder / "a/own.html").read_text()
    assert page.count("<svg") == len(NAMES)
    assert not re.search(r"<script|<link|<img|src=|@import|url\(\s*['\"]?http", page), "it asks for something"
    for word in ("handshake complete", "packets lost", "Streams", "acknowledged", "slow start"):
        assert word in page


@pytest.mark.slow
def test_a_part_of_a_trace_is_drawn_the_same_again(folder: Path) -> None:
    contents = []
    for _ in range(2):
        view, notes = load(folder / "own.sqlog", number=None, start_ns=2_100_000_000, until_ns=2_200_000_000)
        figure = multiplexing_figure(view)
        assert figure is not None
        contents.append((to_file(figure, ".png"), trace_page(view, notes, {"multiplexing": multiplexing_figure})))
        assert (view.start_s, view.end_s) == (2.1, 2.2)
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_a_trace_of_another_implementation_is_drawn(folder: Path) -> None:
    view, _ = load(folder / "other.qlog", number=None, start_ns=None, until_ns=None)
    for make in (sequence_figure, congestion_figure):
        figure = make(view)
        assert figure is not None
        assert to_file(figure, ".png").startswith(PNG)


def test_mistakes_are_one_line(folder: Path) -> None:
    (folder / "empty.qlog").write_bytes(b"")
    (folder / "cut.sqlog").write_bytes(own()[:700])
    cases = {
        ("quic", "plot", "empty.qlog"): "empty.qlog is empty",
        ("quic", "plot", "none.qlog"): "none.qlog: no such file or directory",
        ("quic", "plot", "own.sqlog", "--only", "everything"): "everything",
        ("quic", "plot", "cut.sqlog"): "cut.sqlog has no packet that can be read; the last record",
    }
    for arguments, expected in cases.items():
        assert expected in only_line(baremetal(*arguments, directory=folder)), arguments
    assert not list(folder.glob("*.png"))


def test_parts_that_are_not_there_are_mistakes(folder: Path) -> None:
    with pytest.raises(CommandError, match="there is no trace 2"):
        load(folder / "own.sqlog", number=2, start_ns=None, until_ns=None)
    with pytest.raises(CommandError, match="nothing after 10800 s"):
        load(folder / "own.sqlog", number=None, start_ns=10_800_000_000_000, until_ns=None)
    with pytest.raises(IsADirectoryError):
        load(folder, number=None, start_ns=None, until_ns=None)


@pytest.mark.slow
def test_a_cut_trace_is_drawn_and_said_to_be_cut(folder: Path) -> None:
    (folder / "cut.sqlog").write_bytes(own()[: len(own()) // 2])
    done = baremetal("quic", "plot", "cut.sqlog", "--only", "sequence", directory=folder)
    assert done.returncode == 0, done.stderr
    assert "note: the last record" in done.stdout
    assert (folder / "cut-sequence.png").read_bytes().startswith(PNG)
    assert "cut off" in (folder / "cut.html").read_text()


def test_the_numbers_under_the_pictures_are_those_of_the_transfer(folder: Path) -> None:
    view, _ = load(folder / "own.sqlog", number=None, start_ns=None, until_ns=None)
    way = view.data
    assert [row["stream"] for row in stream_rows(view)] == ["3", "7", "11"]
    assert {row["data"] for row in stream_rows(view)} == {"150 kB"}
    span_s = way.streams.x[-1] - way.streams.x[0]
    assert goodput_bps(way) == round(3 * BYTES * 8 / span_s)
    values = summary(view)
    assert values["packets_lost"] == len(way.lost.y)
    middles, rates = data_rate(way, view)
    width_s = middles[1] - middles[0]
    carried = sum(way.streams.length)
    assert sum(rates) * width_s * 1e6 / 8 == pytest.approx(carried)
    _, rows = stream_shares(view, list(stream_spans(view)))
    assert sum(map(sum, rows)) * width_s * 1e6 / 8 == pytest.approx(carried)
    assert rows[-1] == [0.0] * len(rows[-1]), "there are no other streams"


def test_offsets_tell_new_data_from_what_came_again(folder: Path) -> None:
    view, _ = load(folder / "own.sqlog", number=None, start_ns=None, until_ns=None)
    offsets = stream_offsets(view.data.streams)
    assert len(offsets) == 3
    assert any(row.again.y for row in offsets.values()), "nothing was lost"
    for row in offsets.values():
        assert list(row.first.y) == sorted(row.first.y)
        assert row.first.y[-1] == BYTES
    colours = stream_colours(view.data.streams)
    assert len(set(colours.values())) == 3
    spans = stream_spans(view)
    assert list(spans) == [3, 7, 11]
    for rows in spans.values():
        assert all(start <= end for start, end in rows)
        assert all(before[1] < after[0] for before, after in pairwise(rows))
    first = first_change(view)
    assert len(set(view.data.streams.stream[first : first + 300])) > 1
