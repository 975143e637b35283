"""Mistakes of a controller in a user's file are told with its file and class, and no run hangs for one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stacks.lab.runners.virtual import VirtualRunner
from stacks.runtime import LocalError
from tests.stacks.lab.documents import changed, experiment

MINE = """\
from stacks.congestion import Controller, Reno
from stacks.congestion.bbr3 import Bbr3

class Silent(Controller):
    def __init__(self, flow): pass

class Huge(Controller):
    window_bytes = 10**12

    def __init__(self, flow): pass

class NoFlow(Controller): pass

class NoBase:
    def __init__(self, flow): pass

class Half(Reno):
    def handle_ack(self, ack, now): self.window_bytes = 15000.5

class Nothing(Controller):
    def __init__(self, flow): self.window_bytes = 0

class Below(Controller):
    def __init__(self, flow): self.window_bytes = -5

class Still(Controller):
    def __init__(self, flow): self.rate_bps = 0

class HalfRate(Controller):
    def __init__(self, flow): self.rate_bps = 1e6

class Wordless(Reno):
    def handle_ack(self, ack, now): self.state = None

class Ecn(Reno):
    def handle_ack(self, ack, now): self.ecn = 7

class Late(Reno):
    def poll_deadline(self): return 5

class HalfLate(Reno):
    def poll_deadline(self): return 5.5

class Fails(Reno):
    def handle_loss(self, loss, now):
        raise KeyError("x")

class Property(Reno):
    @property
    def state(self): return 1 // 0
    @state.setter
    def state(self, value): pass

class Same(Bbr3): pass
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("Silent", r"mine\.py:Silent has 100,\d+ packets in flight, more than .*; set window_bytes, in"),
        ("Huge", r"mine\.py:Huge has 100,\d+ packets in flight"),
        ("NoFlow", r"mine\.py:NoFlow: TypeError: NoFlow\(\) takes no arguments"),
        ("NoBase", r"mine\.py:NoBase makes no controller but a NoBase; derive its class from Controller"),
        ("Half", r"mine\.py:Half: window_bytes is a whole number above 0, or None, not 15000\.5; int\(\) makes one"),
        ("Nothing", r"mine\.py:Nothing: window_bytes is a whole number above 0, or None, not 0"),
        ("Below", r"mine\.py:Below: window_bytes is a whole number above 0, or None, not -5"),
        ("Still", r"mine\.py:Still: rate_bps is a whole number above 0, or None, not 0"),
        ("HalfRate", r"mine\.py:HalfRate: rate_bps is a whole number above 0, or None, not 1000000\.0"),
        ("Wordless", r"mine\.py:Wordless: state is a word, not None"),
        ("Ecn", r"mine\.py:Ecn: ecn is 0, 1 or 2, not 7"),
        ("Late", r"mine\.py:Late: poll_deadline is still 5 after handle_timeout\(\d+\)"),
        ("HalfLate", r"mine\.py:HalfLate: poll_deadline is whole nanoseconds or None, not 5\.5"),
        ("Fails", r"mine\.py:46: KeyError: 'x'"),
        ("Property", r"mine\.py:50: ZeroDivisionError: "),
    ],
)
def test_a_mistake_ends_the_run_with_its_name(mine: Path, word: str, line: str) -> None:
    with pytest.raises(LocalError) as caught:
        VirtualRunner().run(experiment(changed('"reno"', f'"{mine}:{word}"')), lambda _: None)
    assert re.search(line, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_controller_that_makes_none_records_what_the_same_in_the_library_does(mine: Path) -> None:
    own, ours = (
        VirtualRunner().run(experiment(changed('"reno"', name)), lambda _: None)
        for name in (f'"{mine}:Same"', '"bbr3"')
    )
    assert own.metrics == ours.metrics
    assert own.tables["series"] == ours.tables["series"]
    assert own.states == ours.states
