"""rdma-core's tests as a judge: none may fail, and each that is skipped must be so for a reason that is known here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from interop.outcome import DisagreementError
from interop.pyverbs.packages import tests_folder
from interop.pyverbs.table import Row, known_reason, written

ROOT = Path(__file__).resolve().parent.parent.parent


def rdma_core_tests(scratch: Path) -> str:
    """rdma-core 44's tests, all that belong to no vendor, run over our `pyverbs`; writes their table into `scratch`."""
    rows = run(scratch)
    (scratch / "pyverbs.md").write_text(written(rows), encoding="utf-8")
    bad = [f"{row.name}: {row.outcome} {_last_line(row.reason)}" for row in rows if not is_agreed(row)]
    counts = Counter(row.outcome for row in rows)
    summary = f"{len(rows)} tests: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    if bad:
        raise DisagreementError("\n".join([summary, *bad]))
    return summary


def run(scratch: Path) -> list[Row]:
    """What came of each test, in order. A test that did not end, and those behind it, have the outcome FAIL."""
    outcomes, tests = scratch / "outcomes.jsonl", tests_folder()
    command = [sys.executable, "-m", "interop.pyverbs.session", str(tests), str(outcomes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    (scratch / "output.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    if not outcomes.exists():
        raise DisagreementError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    plan, *lines = (json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines())
    ended = {line["test"]: Row(line["test"], line["outcome"], line["reason"]) for line in lines}
    return [ended.get(test, Row(test, "FAIL", "did not end")) for test in plan["tests"]]


def is_agreed(row: Row) -> bool:
    """Whether a test passed, or was skipped for a reason that is known."""
    return row.outcome == "ok" or (row.outcome == "skip" and known_reason(row) is not None)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


SECONDS = 500
