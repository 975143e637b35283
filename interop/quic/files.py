"""The files of a case: random, seeded, and compared afterwards."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interop.outcome import DisagreementError


@dataclass(frozen=True, slots=True)
class Files:
    """sizes: in bytes. name_letters: how long names are."""

    sizes: tuple[int, ...]
    name_letters: int = 10

    def make(self, folder: Path, rng: random.Random) -> list[str]:
        """Write them; their names, in order."""
        folder.mkdir()
        names = []
        for size in self.sizes:
            name = "".join(LETTERS[int(rng.random() * len(LETTERS))] for _ in range(self.name_letters))
            (folder / name).write_bytes(rng.randbytes(size))
            names.append(name)
        return names


def compare(expected: Path, found: Path, names: Sequence[str]) -> None:
    """DisagreementError unless all came as they were, and nothing else."""
    missing = [name for name in names if not (found / name).exists()]
    if missing:
        raise DisagreementError(f"{len(missing)} of {len(names)} files did not come")
    for name in names:
        if (found / name).read_bytes() != (expected / name).read_bytes():
            got, wanted = (found / name).stat().st_size, (expected / name).stat().st_size
            raise DisagreementError(f"{name[:20]} differs: {got} bytes, {wanted} were served")


LETTERS = "abcdefghijklmnopqrstuvwxyz"
KIB, MIB = 1 << 10, 1 << 20
