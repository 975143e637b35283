"""Controllers in files of the user's own, and what is said of those that cannot be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stacks.congestion import Flow, controller_factory
from stacks.congestion.own import blame, load_controller, place_controller
from stacks.runtime import LocalError

MINE = """\
from dataclasses import dataclass

from stacks.congestion import Controller


class Fixed(Controller):
    def __init__(self, flow):
        self.window_bytes = 7 * flow.packet_bytes
        self.state = "fixed"


@dataclass
class NotOne:
    x: int = 0


number = 3
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_a_class_in_a_file_makes_controllers(mine: Path) -> None:
    name = place_controller("./mine.py:Fixed", mine.parent)
    assert name == f"{mine}:Fixed"
    controller = controller_factory(name)(Flow(line_rate_bps=1, packet_bytes=100))
    assert controller.window_bytes == 700


def test_names_of_the_catalogue_stay_as_they_are() -> None:
    assert place_controller("reno", "/somewhere") == "reno"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("mine.py:Missing", "has no Missing; there are: Fixed, NotOne"),
        ("mine.py", "is a file: name the class in it as well"),
        ("mine.py:number", "number is no class or function that makes a controller"),
        ("other.py:Fixed", "other.py: no such file; write FILE.py:CLASS"),
        (".py:Fixed", "no such file"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line(mine: Path, word: str, reason: str) -> None:
    with pytest.raises(LocalError) as caught:
        controller_factory(place_controller(word, mine.parent))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\ndef f(:\n", ":2: "),
        ("x = 1\n\nimport nothing_of_this_name\n", ":3: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("\n1 / 0\n", ":2: ZeroDivisionError: division by zero"),
        ("", " has no Fixed; there is no class in it"),
    ],
)
def test_a_file_that_fails_is_told_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(LocalError) as caught:
        load_controller(f"{path}:Fixed")
    assert str(caught.value).startswith(f"{path}{reason}"), caught.value


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "dir.py").mkdir()
    with pytest.raises(LocalError, match="no such file"):
        load_controller(f"{tmp_path / 'dir.py'}:Fixed")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_told(mine: Path) -> None:
    mine.chmod(0)
    with pytest.raises(LocalError, match="PermissionError"):
        load_controller(f"{mine}:Fixed")


def test_an_error_that_has_nothing_to_do_with_the_file_is_not_blamed_on_it(mine: Path) -> None:
    with pytest.raises(ValueError, match="elsewhere") as caught:
        raise ValueError("elsewhere")
    assert blame(caught.value, mine) is None
