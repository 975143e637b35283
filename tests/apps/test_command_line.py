"""The command line as a whole: every command explains itself, and takes --json where it reports something."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from apps import __version__
from apps.command_line import app
from tests.apps.cli import baremetal


def commands() -> list[tuple[str, ...]]:
    """The words of every group and command."""
    found: list[tuple[str, ...]] = [()]
    for words in found:
        command = typer.main.get_command(app)
        for word in words:
            command = command.commands[word]
        found += [(*words, name) for name in getattr(command, "commands", {})]
    return found


GROUPS = {(), ("nvme",), ("nvme", "ctl"), ("rdma",), ("perf",), ("quic",), ("lab",), ("link",)}


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


@pytest.mark.parametrize("words", [(), ("perf",), ("nvme", "ctl")], ids=" ".join)
def test_a_group_without_a_command_asks_for_one(words: tuple[str, ...]) -> None:
    done = baremetal(*words)
    assert done.returncode == 2
    assert "Usage:" in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == "baremetal: name a command; --help tells how the command is used"


@pytest.mark.parametrize(("program", "is_ours"), [("/usr/bin/baremetal", True), ("/usr/bin/pytest", False)])
def test_an_interrupt_while_modules_are_loaded_is_not_pythons_any_more(program: str, is_ours: bool) -> None:
    script = (
        f"import sys; sys.argv[0] = {program!r}\n"
        "import apps.main, signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{is_ours}\n"
