"""Pictures of a sweep: what is refused before anything is measured, and that the files are what they are called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from apps.errors import CommandError
from apps.perf.plot import draw, new_figure
from apps.perf.report import Measurement


def measurement(block_bytes: int) -> Measurement:
    result = Measurement("rdma write", block_bytes, operations=10, duration_ns=1_000_000)
    result.latency.record(10_000 + block_bytes)
    return result


@pytest.mark.parametrize("name", ["figure.gif", "nowhere/figure.png"])
def test_a_file_that_cannot_be_drawn_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="cannot be drawn"):
        new_figure(tmp_path / name)


def test_without_matplotlib_one_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CommandError, match="--plot needs matplotlib, which is missing") as caught:
        new_figure(tmp_path / "figure.png")
    assert "pip install 'baremetal-emulator[plot]'" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "start"), [("figure.png", b"\x89PNG"), ("figure.html", b"<!doctype html>")])
def test_a_figure_is_written_as_its_name_says(tmp_path: Path, name: str, start: bytes) -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    path = tmp_path / name
    draw(new_figure(path), [measurement(64), measurement(4096)], path, "rdma rc write")
    content = path.read_bytes()
    assert content.startswith(start)
    assert b"<svg" in content or name.endswith("png")
