"""Many cells, a few at a time: they mostly wait for a slow link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interop.quic.catalogue import CASES, QuicCase
from interop.quic.peers import FOREIGN, OURS
from interop.quic.play import Cell
from interop.quic.verdict import Verdict, judge_cell

CELLS_AT_ONCE = 2


def cells_with_ours(cases: Iterable[QuicCase]) -> list[Cell]:
    """Each case with ourselves, then with every other peer in both roles."""
    pairs = [(OURS.name, OURS.name)]
    for peer in FOREIGN:
        pairs += [(OURS.name, peer), (peer, OURS.name)]
    return [Cell(case, client, server) for case in cases for client, server in pairs]


def cells_among_others(cases: Iterable[QuicCase]) -> list[Cell]:
    """Each case with every pair of the others."""
    return [Cell(case, client, server) for case in cases for client in FOREIGN for server in FOREIGN]


def play_all(cells: Iterable[Cell], folder: Path, seed: int = 1, at_once: int = CELLS_AT_ONCE) -> Iterator[Verdict]:
    """Their verdicts, in order. What runs between namespaces or is measured runs alone, behind the others."""
    given = list(cells)
    together = [cell for cell in given if not (cell.case.between_namespaces or cell.case.is_measurement)]
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda cell: judge_cell(cell, folder, seed), together)
    for cell in given:
        if cell.case.between_namespaces or cell.case.is_measurement:
            yield judge_cell(cell, folder, seed)


SHORT = tuple(case for case in CASES if case.is_short)
