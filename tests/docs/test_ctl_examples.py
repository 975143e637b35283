"""Every example of `baremetal nvme ctl` in docs/commands.md works at the page's own target, in the page's order."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks.nvme import sync
from stacks.nvme.configuration import read_configuration
from stacks.nvme.host import HostConfig
from stacks.nvme.url import NvmeUrl
from tests.apps.managed import command, control_folder, managed
from tests.docs.test_commands import COMMANDS, PAGE, section

__all__ = ["control_folder"]

HOST = "nqn.2026-11.com.example:alice"


def examples() -> list[str]:
    """All lines, `drain` last, as on the page."""
    names = [name for name in re.findall(r"^## (.*)$", PAGE, re.MULTILINE) if name.startswith("baremetal nvme ctl ")]
    assert set(names) == {name for name in COMMANDS if name.startswith("baremetal nvme ctl ")}
    return [line for name in names for line in re.findall(r"^(baremetal nvme ctl .*)$", section(name), re.MULTILINE)]


@pytest.mark.slow
def test_the_examples_of_ctl_work_as_they_stand(
    loopback_addresses: Iterator[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, control_folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disks").mkdir()
    first, second = next(loopback_addresses), next(loopback_addresses)
    _, _, rest = PAGE.partition("\n## Managing a target\n")
    document = rest.partition("```toml\n")[2].partition("```")[0]
    configuration, _ = read_configuration(document.replace("127.0.0.1", first), "target.toml")
    url = NvmeUrl("tcp", first, nqn=configuration.subsystems[0].nqn)
    with managed(configuration) as target:
        for line in examples():
            words = line.replace("127.0.0.1", first).replace("127.0.0.2", second).split()[1:]
            with contextlib.ExitStack() as stack:
                if "kick" in words:
                    # There has to be somebody, who has to be let in again.
                    assert command("nvme", "ctl", "allow", "--all").status == 0
                    stack.enter_context(sync.attach(url, config=HostConfig(host_nqn=HOST), reconnect=None))
                result = command(*words)
            assert result.status == 0, (line, result.line)
        target.join()
