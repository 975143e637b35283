"""Many cells, a few at a time: they mostly wait for a slow link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interop.quic.catalogue import CASES, QuicCase
from interop.quic.peers import FOREIGN, OURS
from interop.quic.play import Cell
from interop.quic.verdict import Outcome, Verdict, judge_cell

CELLS_AT_ONCE = 2


def cells_with_ours(cases: Iterable[QuicCase]) -> list[Cell]:
    """Each case with ourselves, then with every other peer in both roles."""
    pairs = [(OURS.name, OURS.name)]
    for peer in FOREIGN:
        pairs += [(OURS.name, peer), (peer, OURS.name)]
    return [Cell(case, client, server) for case in cases for client, server in pairs]


def cells_in_doubt(verdicts: Iterable[Verdict]) -> list[Cell]:
    """Of cells with ours that did not pass: the same with every other partner of that peer, to see whose fault."""
    found: dict[Cell, None] = {}
    for each in verdicts:
        cell = each.cell
        if each.outcome is Outcome.PASSED or each.outcome is Outcome.MISSING:
            continue
        for partner in FOREIGN:
            if cell.client == OURS.name and cell.server != OURS.name:
                found[Cell(cell.case, partner, cell.server)] = None
            elif cell.server == OURS.name and cell.client != OURS.name:
                found[Cell(cell.case, cell.client, partner)] = None
    return list(found)


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
