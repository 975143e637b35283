"""docs/quic-interop.md: the dated matrix, and what each peer offers or lacks, with the proof. A run writes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, pstdev

from interop.quic.catalogue import CASES
from interop.quic.peers import FOREIGN, OURS, PEERS
from interop.quic.unable import CLIENT, SERVER, unable
from interop.quic.verdict import Outcome, Verdict

START, END = "<!-- written by a run -->", "<!-- end of what a run wrote -->"


def write_page(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Put what came of them into the page, in the place of what stood there."""
    text = path.read_text()
    pattern = re.compile(f"{re.escape(START)}\n.*?{re.escape(END)}\n", re.DOTALL)
    path.write_text(pattern.sub(lambda _: f"{START}\n{body(verdicts)}{END}\n", text))


def body(verdicts: Sequence[Verdict]) -> str:
    """The matrix with ours, what differs, and the table of what the others offer."""
    date = datetime.now(UTC).date().isoformat()
    versions = ", ".join(f"{name} {PEERS[name].version()}" for name in FOREIGN)
    lines = [f"Run on {date}, with {versions}.", "", "## Ours with others", "", *_matrix(verdicts), ""]
    lines += ["## What did not pass", "", *_troubles(verdicts), ""]
    return "\n".join([*lines, "## What others offer", "", *_offers(verdicts), "", ""])


def _matrix(verdicts: Sequence[Verdict]) -> list[str]:
    pairs = [(OURS.name, OURS.name)] + [pair for peer in FOREIGN for pair in ((OURS.name, peer), (peer, OURS.name))]
    found = {(each.cell.case.name, each.cell.client, each.cell.server): each for each in verdicts}
    heads = [f"{client} from {server}" for client, server in pairs]
    lines = ["| case | " + " | ".join(heads) + " |", "|---" * (len(pairs) + 1) + "|"]
    for case in CASES:
        marks = [_mark(found.get((case.name, *pair))) for pair in pairs]
        lines.append(f"| {case.name} | {' | '.join(marks)} |")
    return lines


def _mark(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    if verdict.outcome is Outcome.PASSED and verdict.played is not None and verdict.played.goodput_kbps:
        rates = verdict.played.goodput_kbps
        return f"{mean(rates):.0f}" + (f" ± {pstdev(rates):.0f}" if len(rates) > 1 else "") + " kbit/s"
    return {Outcome.PASSED: "passed", Outcome.FAILED: "**failed**", Outcome.UNABLE: "peer", Outcome.MISSING: "skipped"}[
        verdict.outcome
    ]


def _troubles(verdicts: Sequence[Verdict]) -> list[str]:
    """Of cells with ours."""
    lines = []
    for each in verdicts:
        if each.outcome is not Outcome.PASSED and OURS.name in (each.cell.client, each.cell.server):
            lines.append(f"* {each.cell.name}: {_one_line(f'{each.who}; seen: ' * bool(each.who) + each.text)}")
    return lines or ["Nothing."]


def _offers(verdicts: Sequence[Verdict]) -> list[str]:
    """Which cases each passes in each role, and the proof where it passes one with nobody."""
    offered = ["| peer | role | passes |", "|---|---|---|"]
    lacking = ["| peer | role | case | why not | with | what was seen |", "|---|---|---|---|---|---|"]
    for peer in FOREIGN:
        for role in (CLIENT, SERVER):
            names = []
            for case in CASES:
                cells = [each for each in verdicts if each.cell.case is case and _plays(each, peer, role)]
                if any(each.outcome is Outcome.PASSED for each in cells):
                    names.append(case.name)
                elif cells:
                    lacking.append(_proof(peer, role, case.name, cells))
            offered.append(f"| {peer} | {role} | {', '.join(names)} |")
    command = "`python -m interop.quic --case CASE --client A --server B` plays such a cell again."
    return [*offered, "", f"What they do not pass, with the judge's words. {command}", "", *lacking]


def _proof(peer: str, role: str, case: str, cells: Sequence[Verdict]) -> str:
    """With itself, or with a partner that is not the reason."""
    known = unable(peer, role, case)
    other = SERVER if role == CLIENT else CLIENT
    proofs = [each for each in cells if unable(_partner(each, role), other, case) is None] or list(cells)
    proof = next((each for each in proofs if _partner(each, role) == peer), proofs[0])
    word = f"{known.kind.value}: {known.reason}" if known else "passed with nobody"
    return f"| {peer} | {role} | {case} | {_one_line(word)} | {_partner(proof, role)} | {_one_line(proof.text)[:240]} |"


def _plays(verdict: Verdict, peer: str, role: str) -> bool:
    return (verdict.cell.client if role == CLIENT else verdict.cell.server) == peer


def _partner(verdict: Verdict, role: str) -> str:
    return verdict.cell.server if role == CLIENT else verdict.cell.client


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
