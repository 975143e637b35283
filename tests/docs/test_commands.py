"""docs/commands.md has every command, and under each its options; and nothing that the command line does not know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from apps.command_line import app

PAGE = (Path(__file__).parent.parent.parent / "docs" / "commands.md").read_text()


def commands(command: object, path: tuple[str, ...] = ("baremetal",)) -> dict[str, set[str]]:
    """The options of each command that does something, by its whole name."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        found: dict[str, set[str]] = {}
        for name, each in inner.items():
            found |= commands(each, (*path, name))
        return found
    shown = [each for each in getattr(command, "params", ()) if not getattr(each, "hidden", False)]
    return {" ".join(path): {word for each in shown for word in (*each.opts, *each.secondary_opts) if word[0] == "-"}}


def section(name: str) -> str:
    """What the page says under the heading of a command."""
    _, _, rest = PAGE.partition(f"\n## {name}\n")
    return rest.partition("\n## ")[0]


def words(text: str) -> set[str]:
    """The long options in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))


COMMANDS = commands(typer.main.get_command(app))
SHARED = {"--help", "--version"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_with_an_example(name: str) -> None:
    assert f"\n{name} " in section(name) or f"\n{name}\n" in section(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_stands_in_its_section(name: str) -> None:
    assert COMMANDS[name] - words(section(name)) - SHARED == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_names_no_option_that_the_command_does_not_have(name: str) -> None:
    others = set().union(*COMMANDS.values()) if name == "baremetal perf serve" else COMMANDS[name]
    assert words(section(name)) - others - SHARED == set()


def test_every_section_is_a_command() -> None:
    headings = set(re.findall(r"^## (baremetal .*)$", PAGE, re.MULTILINE))
    assert headings == set(COMMANDS)


def test_options_of_the_commands_in_all_pages_exist() -> None:
    root = Path(__file__).parent.parent.parent
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        for line in re.findall(r"^(?:sudo )?(baremetal .*)$", page.read_text(), re.MULTILINE):
            line = line.partition(" #")[0]
            names = [name for name in COMMANDS if line == name or line.startswith(f"{name} ")]
            assert names, (page.name, line)
            assert words(line) - COMMANDS[names[0]] - SHARED == set(), (page.name, line)
