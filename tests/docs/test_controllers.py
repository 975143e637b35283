"""docs/controllers.md has every controller that a name stands for, and no other; tables of all pages are whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stacks.congestion.catalogue import CONTROLLERS

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "controllers.md").read_text()


def first_cells(heading: str) -> list[str]:
    """The first cell of each row of the table with that heading."""
    _, _, rest = PAGE.partition(f"\n{heading}")
    return [line.split("|")[1] for line in rest.partition("\n\n")[0].splitlines()[2:]]


def test_the_table_has_every_controller_and_no_other() -> None:
    names = re.findall(r"`([^`]+)`", " ".join(first_cells("| name | what it is |")))
    assert sorted(names) == sorted(CONTROLLERS)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_no_empty_line_ends_a_table_before_its_end(page: Path) -> None:
    lines = ["", *page.read_text().splitlines(), ""]
    starts = [number for number in range(1, len(lines)) if lines[number][:1] == "|" and lines[number - 1][:1] != "|"]
    broken = [lines[number] for number in starts if not re.fullmatch(r"[|: -]+", lines[number + 1])]
    assert broken == []
