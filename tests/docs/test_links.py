"""docs/links.md has every kind of element and rate with its parameters, and its examples run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from transports.link.elements import SLOTS
from transports.link.linkspec import RATES, read_link

PAGE = (Path(__file__).parent.parent.parent / "docs" / "links.md").read_text()
ROWS = {
    **{("rate", kind.name): kind for kind in RATES},
    **{(slot.name, kind.name): kind for slot in SLOTS.values() for kind in slot.kinds},
}


def rows(slot: str) -> list[list[str]]:
    """The cells of the table's rows for a slot: its own, and those below that begin with an empty cell."""
    heading = "| `rate` |" if slot == "rate" else f"| `{slot}` |"
    _, _, rest = PAGE.partition(f"\n{heading}")
    found = [heading + rest.partition("\n")[0]]
    for line in rest.split("\n")[1:]:
        if not line.startswith("|" if slot == "rate" else "| | "):
            break
        found.append(line)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]


@pytest.mark.parametrize("slot_and_kind", ROWS, ids="/".join)
def test_every_kind_stands_in_the_table_with_its_parameters(slot_and_kind: tuple[str, str]) -> None:
    slot, name = slot_and_kind
    kind = ROWS[slot_and_kind]
    row = next(
        (row for row in rows(slot) if f"`{name}`" in row[0 if slot == "rate" or name == slot else 1]), None
    )
    assert row is not None
    cell = row[1 if slot == "rate" else 2]
    for parameter in kind.parameters:
        assert f"`{parameter.name}`" in cell
    for alias in kind.aliases:
        assert f"`{alias}`" in " ".join(row)


def test_the_kind_that_is_meant_without_a_name_is_in_bold() -> None:
    bold = set(re.findall(r"\*\*`([a-z-]+)`\*\*", PAGE))
    assert bold == {"constant", *(slot.short for slot in SLOTS.values() if len(slot.kinds) > 1)}


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_an_example_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "links.md", "exec"), {})
    assert capsys.readouterr().out


def test_the_toml_is_a_link() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (table,) = tomllib.loads(block)["link"]
    assert [place for place, _ in read_link(table).before] == ["loss"]


@pytest.mark.parametrize("written", re.findall(r"`elements = (\[.*?\])`", PAGE))
def test_the_list_of_elements_is_one(written: str) -> None:
    table = tomllib.loads(f"elements = {written}")
    assert len(read_link(table).after) == 2
