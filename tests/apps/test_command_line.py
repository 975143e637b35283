"""The command line as a whole: every command explains itself, and takes --json where it reports something."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from apps import __version__
from apps.command_line import app


def commands() -> list[tuple[str, ...]]:
    """The words of every group and command."""
    found: list[tuple[str, ...]] = [()]
    for words in found:
        command = typer.main.get_command(app)
        for word in words:
            command = command.commands[word]
        found += [(*words, name) for name in getattr(command, "commands", {})]
    return found


GROUPS = {(), ("nvme",), ("nvme", "ctl"), ("rdma",), ("perf",)}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


@pytest.mark.parametrize("words", [words for words in commands() if words not in GROUPS], ids=" ".join)
def test_every_command_has_json(words: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(app, [*words, "--help"]).output


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"baremetal {__version__}\n"
