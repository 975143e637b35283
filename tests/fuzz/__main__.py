"""`python -m tests.fuzz [NAME] [--seconds N] [--corpus FOLDER]`: let atheris look for bytes that break something.

What it finds is written to FOLDER/NAME-crash-*, and `python -m tests.fuzz NAME --replay FILE` runs that alone. Without
a name each fuzzer has its turn, in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, and fuzz or replay; an exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Coverage-guided fuzzing.")
    parser.add_argument("name", nargs="?", choices=NAMES, help="which fuzzer; all of them in turn if left out")
    parser.add_argument("--seconds", type=int, default=120, help="how long each looks")
    parser.add_argument("--corpus", type=Path, default=Path(".venv/fuzz"), help="where what it learns is kept")
    parser.add_argument("--replay", type=Path, help="run one input, without atheris")
    options = parser.parse_args(arguments)
    if options.replay is not None:
        if options.name is None:
            parser.error("say whose input that is")
        module_of(options.name).check(options.replay.read_bytes())
        return 0
    if options.name is None:
        return max(_run_alone(name, options) for name in NAMES)
    return fuzz(options.name, options.corpus, seconds=options.seconds)


def _run_alone(name: str, options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(options.seconds)]
    return subprocess.run([*command, "--corpus", str(options.corpus)], check=False).returncode


def module_of(name: str) -> Fuzzer:
    """The module of a fuzzer; it is imported here, so that atheris can watch what that imports."""
    return cast("Fuzzer", importlib.import_module(NAMES[name]))


def fuzz(name: str, corpus: Path, *, seconds: int) -> int:
    """Run a fuzzer for a time; atheris ends the process, with a status other than 0 when it has found something."""
    try:
        import atheris
    except ImportError:
        sys.stderr.write("fuzz: atheris is not installed; `make fuzz` does that, or pip install atheris\n")
        return 2
    with atheris.instrument_imports(include=["stacks.nvme", "wire.nvme", "stacks.quic", "wire.quic", "transports"]):
        fuzzer = module_of(name)
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzzer.seeds()):
        (folder / f"seed-{number:04}").write_bytes(seed)
    flags = [f"-max_total_time={seconds}", f"-artifact_prefix={corpus}/{name}-", "-max_len=40000", "-timeout=20"]
    flags += ["-rss_limit_mb=2048", "-print_final_stats=1", str(folder)]

    def plain(data: bytes, max_size: int) -> bytes:
        # Which of its parts mutates is known to atheris only once it runs.
        mutated: bytes = atheris.Mutate(data, max_size)
        return mutated

    atheris.Setup([sys.argv[0], *flags], fuzzer.check, custom_mutator=_mutator(fuzzer.mutated, plain))
    atheris.Fuzz()
    return 0


def _mutator(
    knowing: Callable[[bytes, random.Random], bytes], plain: Callable[[bytes, int], bytes]
) -> Callable[[bytes, int, int], bytes]:
    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        # Half of the time as one who knows the format, half as one who does not.
        rng = random.Random(seed)
        return plain(data, max_size) if rng.random() < 0.5 else knowing(data, rng)[:max_size]

    return mutate


class Fuzzer(Protocol):
    """What a fuzzer's module has."""

    def check(self, data: bytes) -> None:
        """Run one input; raises whatever does not hold."""

    def seeds(self) -> list[bytes]:
        """The inputs to begin with."""

    def mutated(self, data: bytes, rng: random.Random) -> bytes:
        """An input changed by one who knows the format."""


NAMES = {
    "target": "tests.fuzz.tcp_target",
    "initiator": "tests.fuzz.tcp_initiator",
    "capsules": "tests.fuzz.capsules",
    "nbd": "tests.fuzz.nbd",
    "quic-formats": "tests.fuzz.quic_formats",
    "quic-opening": "tests.fuzz.quic_opening",
    "quic-peer": "tests.fuzz.quic_peer",
    "quic-connections": "tests.fuzz.quic_connections",
    "quic-packets": "tests.fuzz.quic_packets",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
