"""The rows of `make interop`: the short cases with each peer in both roles, and all of them into the page."""

from __future__ import annotations

from pathlib import Path

from interop.outcome import DisagreementError, MissingToolError
from interop.quic.catalogue import CASES
from interop.quic.matrix import SHORT, cells_in_doubt, cells_with_ours, play_all
from interop.quic.page import write_page
from interop.quic.peers import OURS, PEERS
from interop.quic.play import Cell
from interop.quic.verdict import Outcome, Verdict


def with_peer(scratch: Path, peer: str) -> str:
    """The short cases, once with the peer as server and once as client."""
    if PEERS[peer].missing():
        raise MissingToolError(f"{peer} is missing: install {PEERS[peer].missing()}")
    pairs = dict.fromkeys(((OURS.name, peer), (peer, OURS.name)))
    cells = [Cell(case, client, server) for case in SHORT for client, server in pairs]
    return _told(list(play_all(cells, scratch)))


def all_cells(scratch: Path) -> str:
    """Every case with ourselves and each peer in both roles; then what did not pass without us; and the page of it."""
    ours = _play(cells_with_ours(CASES), scratch)
    others = _play(cells_in_doubt(ours), scratch)
    write_page(PAGE, [*ours, *others])
    return _told(ours)


def _play(cells: list[Cell], scratch: Path) -> list[Verdict]:
    """With a line for each as it comes: together they take an hour."""
    verdicts = []
    for verdict in play_all(cells, scratch):
        print(f"      {verdict.outcome.value}  {verdict}"[:400], flush=True)
        verdicts.append(verdict)
    return verdicts


def _told(verdicts: list[Verdict]) -> str:
    failed = [str(each) for each in verdicts if each.outcome is Outcome.FAILED]
    if failed:
        raise DisagreementError("\n".join(failed))
    passed = [each for each in verdicts if each.outcome is Outcome.PASSED]
    others = [str(each)[:200] for each in verdicts if each.outcome is not Outcome.PASSED]
    names = ", ".join(dict.fromkeys(each.cell.case.name for each in passed))
    return "\n".join([f"{len(passed)} of {len(verdicts)} cells passed ({names})", *others])


PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "quic-interop.md"
