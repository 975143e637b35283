"""The Python in README.md and docs/ runs as it stands, each block as a program of its own.

A block after the line `<!-- example: a target serves 127.0.0.2 -->` finds a target there. The tests use addresses of
their own, so 127.0.0.2, 127.0.0.3, ... of a block are replaced by those.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.processes import ServingProcess, environment
from tests.apps.cli import LIMIT_S

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- example: (?P<needs>[^>]*) -->\n+)?```python\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
TARGET = "a target serves 127.0.0.2"


@dataclass(frozen=True)
class Example:
    """One block: where it stands, what it needs, its text."""

    place: str
    needs: str
    code: str


def examples() -> list[Example]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            line = text[: match.start("code")].count("\n") + 1
            found.append(Example(f"{page.name}:{line}", match["needs"] or "", match["code"]))
    return found


@contextlib.contextmanager
def needed(example: Example, address: str) -> Iterator[None]:
    if not example.needs:
        yield
        return
    assert example.needs == TARGET, f"{example.place} needs something unknown"
    listen = ["--listen", f"nvme+rdma://{address}"]
    words = ["nvme", "target", "--namespace", "mem:16MiB", *listen, "--until-stdin-ends", "--json"]
    with ServingProcess(words, timeout_s=LIMIT_S):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.place)
def test_an_example_runs(example: Example, loopback_addresses: Iterator[str], tmp_path: Path) -> None:
    addresses = {old: next(loopback_addresses) for old in sorted(set(re.findall(r"127\.0\.0\.\d+", example.code)))}
    code = example.code
    for old, new in addresses.items():
        code = code.replace(old, new)
    with needed(example, addresses.get("127.0.0.2", "")):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            env=environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout, "an example shows something"


def test_reading_a_block_takes_ten_lines() -> None:
    (readme,) = (example for example in examples() if example.place.startswith("README"))
    assert "read(" in readme.code
    assert len([line for line in readme.code.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_names_the_two_commands_that_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command
