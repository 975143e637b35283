"""Every failure leaves as one line that says what is wrong, with a status that says which kind it was."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest
import typer

from apps.errors import CommandError, run
from stacks.runtime import LocalError
from transports.control import ControlError


def raiser(error: BaseException) -> Callable[[], object]:
    """A command that fails with `error`."""

    def command() -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CommandError("disk is wet", "dry it"), 1, "disk is wet; dry it"),
        (CommandError("verification failed", status=3), 3, "verification failed"),
        (LocalError("no such NQN"), 1, "no such NQN"),
        (ControlError("two\nlines"), 1, "two lines"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "disk.img"),
            1,
            "disk.img: no space left on device; free",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ExceptionGroup("g", [ExceptionGroup("h", [LocalError("inner")])]), 1, "inner"),
        (BaseExceptionGroup("g", [LocalError("inner"), KeyboardInterrupt()]), 130, "interrupted"),
        (typer.BadParameter("'1q' is not a size"), 2, "'1q' is not a size; --help"),
        (
            ZeroDivisionError("division by zero"),
            70,
            "fault in baremetal (ZeroDivisionError: division by zero)",
        ),
        (MemoryError(), 1, "not enough memory"),
    ],
)
def test_a_failure_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(raiser(error))
    printed = capsys.readouterr()
    assert left.value.code == status
    assert line in printed.err
    assert printed.err.startswith("baremetal: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_command_that_succeeds_leaves_with_zero() -> None:
    with pytest.raises(SystemExit) as left:
        run(lambda: None)
    assert left.value.code == 0


def test_an_unforeseen_fault_shows_where_it_came_from_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAREMETAL_DEBUG", "1")
    with pytest.raises(SystemExit):
        run(raiser(ZeroDivisionError()))
    assert "Traceback" in capsys.readouterr().err
