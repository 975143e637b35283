"""`python -m interop.pyverbs.table`: run rdma-core's tests and write docs/pyverbs.md."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One test: its name, `ok`, `skip` or `FAIL`, and why."""

    name: str
    outcome: str
    reason: str

    @property
    def module(self) -> str:
        """The file that it is in."""
        return self.name.split(".")[1]

    @property
    def short_name(self) -> str:
        """Class and method."""
        return ".".join(self.name.split(".")[2:])


def known_reason(row: Row) -> str | None:
    """Why a test is rightly skipped, in our words; None when it is not."""
    return next((ours for part, ours in REASONS.items() if part in row.reason), None)


def written(rows: Sequence[Row]) -> str:
    """The table as a document."""
    counts = Counter(row.outcome for row in rows)
    reasons = Counter(known_reason(row) or row.reason for row in rows if row.outcome == "skip")
    lines = [
        "# rdma-core's tests over our verbs",
        "",
        f"Written on {datetime.now(UTC):%Y-%m-%d} by `python -m interop.pyverbs.table`: the tests of rdma-core 44, as",
        "Debian 12 packs them (python3-pyverbs 44.0), over the module in `interop/pyverbs/site`, on device bm0.",
        "Modules of one vendor's devices (test_mlx5_*, test_efa*, test_cuda_dmabuf) are left out by name.",
        "",
        f"{len(rows)} tests: {counts['ok']} ok, {counts['skip']} skipped, {counts['FAIL']} failed.",
        "",
        "| skipped | because |",
        "|---|---|",
        *(f"| {count} | {reason} |" for reason, count in reasons.most_common()),
        "",
        "| module | test | outcome | why |",
        "|---|---|---|---|",
    ]
    for row in rows:
        why = row.reason.strip().splitlines()[-1] if row.reason.strip() else ""
        if row.outcome == "skip":
            why = f"{why} ({known_reason(row) or 'to be done'})"
        lines.append(f"| {row.module} | {row.short_name} | {row.outcome} | {why.replace('|', '/')} |")
    return "\n".join([*lines, ""])


REASONS = {
    "Create Raw Packet QP": "no raw packets on a UDP socket; rxe has none either",
    "Create QP type 8": "no raw packets on a UDP socket; rxe has none either",
    "/dev/dri/renderD": "the machine has no graphics card to share a buffer with; rxe cannot share one",
    "huge pages": "the machine has no huge pages set aside",
    "Extended CQ is not supported": "no tag matching; rxe has none either",
}
"""Part of what a test says when it skips, and why that is right: Linux 6.1's rxe skips it as well, or the machine lacks
what it needs."""


def main() -> int:
    """Run, write, and say what is not as it should be."""
    from interop.pyverbs.case import ROOT, is_agreed, run

    with tempfile.TemporaryDirectory() as scratch:
        rows = run(Path(scratch))
    (ROOT / "docs" / "pyverbs.md").write_text(written(rows), encoding="utf-8")
    bad = [row for row in rows if not is_agreed(row)]
    print(*(f"{row.outcome} {row.name}: {row.reason.strip()}" for row in bad), sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
