"""The fuzzers' functions over inputs that are always the same; with atheris, where it is installed, over many more."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import NAMES, module_of

each_fuzzer = pytest.mark.parametrize("name", NAMES)
STRIDES = {
    "target": 5, "nbd": 3, "quic-connections": 7, "quic-packets": 2, "quic-opening": 9, "quic-peer": 11,
}  # fmt: skip
"""Of how many seeds one is run where there are many."""
DAMAGED = {"quic-connections": 30, "quic-packets": 20, "quic-opening": 25, "quic-peer": 20}
"""How many damaged inputs are run where one takes longer, a handshake for example; 150 of the others."""


@each_fuzzer
@pytest.mark.slow
def test_what_is_right_passes(name: str) -> None:
    fuzzer = module_of(name)
    for data in fuzzer.seeds()[:: STRIDES.get(name, 1)]:
        fuzzer.check(data)


@each_fuzzer
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_is_damaged_breaks_nothing(name: str, seed: int) -> None:
    fuzzer, rng = module_of(name), random.Random(seed)
    inputs = fuzzer.seeds()
    for _ in range(DAMAGED.get(name, 150)):
        fuzzer.check(fuzzer.mutated(inputs[int(rng.random() * len(inputs))], rng))


FOUND: dict[str, list[str]] = {name: [] for name in NAMES}
"""Inputs that broke something once, in hexadecimal."""


@each_fuzzer
def test_what_broke_something_once_does_so_no_more(name: str) -> None:
    fuzzer = module_of(name)
    for data in ("", "00", "ff", "0000", *FOUND[name]):
        fuzzer.check(bytes.fromhex(data))


@each_fuzzer
@pytest.mark.long
def test_atheris_finds_nothing_in_two_minutes(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; `make fuzz` does that")
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", "120", "--corpus", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
