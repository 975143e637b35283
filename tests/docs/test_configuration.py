"""docs/configuration.md: its example is a target, its tables have every key and no other, its messages are true."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from apps.command_line import app
from apps.errors import explain
from stacks.nvme.configuration import ConfigurationError, ConfiguredTarget, load_configuration, read_configuration
from stacks.nvme.stores import create_image
from stacks.runtime import LocalError

PAGE = (Path(__file__).parent.parent.parent / "docs" / "configuration.md").read_text()
EXAMPLE = PAGE.partition("```toml\n")[2].partition("```")[0]
PORT = '[[port]]\nlisten = "nvme+tcp://127.0.0.1"\n'
SUBSYSTEM = '[[subsystem]]\nnqn = "nqn.2026-11.io.baremetal:disk"\n'

TABLES = {
    "At the top of the file": "{}\n",
    "`[[port]]`": "[[port]]\n{}",
    "`[[subsystem]]`": f"{PORT}[[subsystem]]\n{{}}",
    "`[[subsystem.namespace]]`": f"{PORT}{SUBSYSTEM}[[subsystem.namespace]]\n{{}}",
    "`[[subsystem.directory]]`": f"{PORT}{SUBSYSTEM}[[subsystem.directory]]\n{{}}",
    "`[[subsystem.ana]]`": f"{PORT}{SUBSYSTEM}[[subsystem.ana]]\n{{}}",
    "`[[referral]]`": f"{PORT}[[referral]]\n{{}}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target.toml").write_text(EXAMPLE)
    for name in ("state", "disks"):
        (tmp_path / name).mkdir()
    for name in ("disk.img", "golden.img"):
        create_image(str(tmp_path / name), 1 << 20)
    return tmp_path


def test_the_example_is_a_target(folder: Path) -> None:
    configuration, origin = load_configuration(folder / "target.toml")
    with contextlib.closing(ConfiguredTarget(configuration, origin=origin)) as configured:
        disk = configured.subsystem("nqn.2026-11.io.baremetal:disk").subsystem
        assert sorted(disk.namespaces) == [1, 2, 3]
        assert [port.portid for port in configured.ports] == [1, 2, 3]


def test_the_example_has_every_kind_of_table() -> None:
    found = set(re.findall(r"^\s*(\[\[.*\]\])$", EXAMPLE, re.MULTILINE))
    assert found == {heading.strip("`") for heading in TABLES if "[[" in heading}


def rows(heading: str) -> dict[str, str]:
    """What the page says of each key of a table."""
    _, _, rest = PAGE.partition(f"\n{heading}:\n\n")
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", rest.partition("\n\n")[0], re.MULTILINE))


def complaints(document: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(document, "t")
    return caught.value.lines


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_of_keys_is_complete(heading: str) -> None:
    (line,) = [line for line in complaints(TABLES[heading].format("qqq = 1")) if "unknown key 'qqq'" in line]
    assert sorted(rows(heading)) == sorted(line.partition("there are: ")[2].split(", "))


@pytest.mark.parametrize("heading", [heading for heading in TABLES if "[[" in heading])
def test_keys_that_are_said_to_be_needed_are(heading: str) -> None:
    needed = [key for key, text in rows(heading).items() if text.startswith("needed")]
    found = re.findall(r" needs (\w+), such as", " ".join(complaints(TABLES[heading].format("qqq = 1"))))
    assert found == needed


def test_the_mistakes_that_are_shown_are_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = EXAMPLE.replace('digests = "both"', 'digest = "both"').replace(
        '"nqn.2026-11.com.example:alice", ', '"alice", ', 1
    )
    (folder / "target.toml").write_text(wrong)
    (folder / "disk.img").unlink()
    monkeypatch.chdir(folder)
    shown = re.findall(r"^target\.toml:.*$", PAGE, re.MULTILINE)
    with pytest.raises(LocalError) as caught:
        load_configuration("target.toml")
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.lines == shown[:2]
    (folder / "target.toml").write_text(EXAMPLE)
    with pytest.raises(LocalError) as caught:
        load_configuration("target.toml")
    assert str(caught.value) == shown[2]


def test_what_does_not_go_together_is_refused() -> None:
    for words in (["--namespace", "mem:1MiB"], ["--listen", "nvme+tcp://127.0.0.1"], ["--nqn", "nqn.2026-11.io.x:a"],
                  ["--block-size", "512"]):  # fmt: skip
        with pytest.raises(BaseException) as caught:  # noqa: PT011 (what main() explains)
            app(["nvme", "target", "--config", "target.toml", *words], standalone_mode=False)
        line, status = explain(caught.value)
        assert status == 2
        assert f"--config says what {words[0]} would" in line
