"""The fuzzers' functions over inputs that are always the same; with atheris, where it is installed, over many more."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import tcp_initiator, tcp_target
from tests.fuzz.direct import whole_pdus
from tests.stacks.nvme.tcp_mutations import Mutator

FUZZERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "target": (tcp_target.check, tcp_target.seeds),
    "initiator": (tcp_initiator.check, tcp_initiator.seeds),
}
each_fuzzer = pytest.mark.parametrize("name", FUZZERS)


@each_fuzzer
@pytest.mark.slow
def test_what_is_right_passes(name: str) -> None:
    check, seeds = FUZZERS[name]
    for data in seeds()[:: 5 if name == "target" else 1]:
        check(data)


@each_fuzzer
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_is_damaged_breaks_nothing(name: str, seed: int) -> None:
    check, seeds = FUZZERS[name]
    rng = random.Random(seed)
    mutator = Mutator(rng)
    inputs = seeds()
    for _ in range(150):
        data = inputs[int(rng.random() * len(inputs))]
        check(data[:2] + mutator.damaged(list(whole_pdus(data[2:])) or [b""]))


FOUND: dict[str, list[str]] = {"target": [], "initiator": []}
"""Inputs that broke something once, in hexadecimal."""


@each_fuzzer
def test_what_broke_something_once_does_so_no_more(name: str) -> None:
    check, _ = FUZZERS[name]
    for data in ("", "00", "ff", "0000", *FOUND[name]):
        check(bytes.fromhex(data))


@each_fuzzer
@pytest.mark.long
def test_atheris_finds_nothing_in_two_minutes(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; `make fuzz` does that")
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", "120", "--corpus", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
