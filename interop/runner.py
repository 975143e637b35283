"""Ask judges, print what each says, and add up."""

from __future__ import annotations

import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interop.outcome import DisagreementError, MissingToolError


@dataclass(frozen=True, slots=True)
class Case:
    """One judge.

    run: given an empty folder, returns what was compared; raises DisagreementError or MissingToolError.
    is_long: only with --long.
    """

    name: str
    run: Callable[[Path], str]
    is_long: bool = False


def run_cases(cases: Sequence[Case], folder: Path, *, is_skip_allowed: bool) -> int:
    """Run each case in a folder of its own in `folder`, print its outcome and a line with the sums.

    Returns the exit status: 1 when a case failed, or was skipped though that is not allowed.
    """
    outcomes = Counter(_run(case, folder / case.name) for case in cases)
    print(f"interop: {outcomes['pass']} passed, {outcomes['FAIL']} failed, {outcomes['skip']} skipped")
    return 1 if outcomes["FAIL"] or (outcomes["skip"] and not is_skip_allowed) else 0


def _run(case: Case, scratch: Path) -> str:
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        outcome, text = "pass", case.run(scratch)
    except MissingToolError as error:
        outcome, text = "skip", str(error)
    except DisagreementError as error:
        outcome, text = "FAIL", str(error)
    except Exception:  # noqa: BLE001  # a broken judge must not keep the others from being asked
        outcome, text = "FAIL", traceback.format_exc()
    print(f"{outcome}  {case.name}: {_indented(text)}", flush=True)
    return outcome


def _indented(text: str) -> str:
    lines = text.strip().splitlines()
    if len(lines) > LINES:
        lines = [*lines[:LINES], f"and {len(lines) - LINES} more lines"]
    return "\n      ".join(lines)


LINES = 40
"""Enough of a disagreement to see what it is about."""
