"""The runner of outside judges: what it prints, and when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.cases import CASES
from interop.outcome import DisagreementError, require
from interop.runner import Case, run_cases


def agree(scratch: Path) -> str:
    assert list(scratch.iterdir()) == []
    (scratch / "left").touch()
    return "7 things agree"


def disagree(_: Path) -> str:
    raise DisagreementError("\n".join(f"line {number}" for number in range(100)))


def break_down(_: Path) -> str:
    raise ZeroDivisionError("a broken judge")


def need_a_tool(_: Path) -> str:
    require("no-such-judge", package="judges")
    return "never"


PASSING, FAILING = Case("passing", agree), Case("failing", disagree)
BREAKING, SKIPPED = Case("breaking", break_down), Case("skipped", need_a_tool)


def test_every_outcome_is_printed_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cases([PASSING, FAILING, BREAKING, SKIPPED], tmp_path, is_skip_allowed=True) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pass  passing: 7 things agree"
    assert "FAIL  failing: line 0" in lines
    assert "      and 60 more lines" in lines
    assert any("ZeroDivisionError: a broken judge" in line for line in lines)
    assert lines[-2] == "skip  skipped: no-such-judge is missing: install the package judges"
    assert lines[-1] == "interop: 1 passed, 2 failed, 1 skipped"


@pytest.mark.parametrize(("is_skip_allowed", "status"), [(True, 0), (False, 1)])
def test_a_skip_is_a_failure_where_it_is_not_allowed(is_skip_allowed: bool, status: int, tmp_path: Path) -> None:
    assert run_cases([PASSING, SKIPPED], tmp_path, is_skip_allowed=is_skip_allowed) == status


def test_each_run_starts_with_an_empty_folder(tmp_path: Path) -> None:
    for _ in range(2):
        assert run_cases([PASSING], tmp_path, is_skip_allowed=False) == 0


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
