"""What tests run in a fork of theirs is what people run."""

from __future__ import annotations

import pytest

from tests.apps.cli import baremetal, baremetal_anew

COMMANDS = ["--version", "nvme id-ns", "nvme list http://x", "nvme list nvme+tcp://127.0.0.44", "nvme target --check"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_forked_command_ends_and_prints_as_one_with_its_own_interpreter(command: str) -> None:
    forked, anew = baremetal(*command.split()), baremetal_anew(*command.split())
    assert (forked.returncode, forked.stdout, forked.stderr) == (anew.returncode, anew.stdout, anew.stderr)
