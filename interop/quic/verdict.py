"""What a cell came to, with what is known of its ends taken into account."""

from __future__ import annotations

import enum
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path

from apps.errors import CommandError
from interop.outcome import DisagreementError, MissingToolError
from interop.quic.play import Cell, Played, play
from interop.quic.unable import CLIENT, SERVER, Unable, unable


class Outcome(enum.Enum):
    """Of a cell. The values are its marks."""

    PASSED = "pass"
    FAILED = "FAIL"
    UNABLE = "peer"
    """A peer cannot, as is known of it."""
    MISSING = "skip"
    """A peer, or what the case needs, is not here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """text: what the judge said. who: the peer that cannot, and its reason. played: where it passed."""

    cell: Cell
    outcome: Outcome
    text: str
    who: str = ""
    played: Played | None = None

    def __str__(self) -> str:
        seconds = f" ({self.played.seconds:.1f} s)" if self.played else ""
        return f"{self.cell.name}{seconds}: {f'{self.who}: ' if self.who else ''}{self.text}"


def judge_cell(cell: Cell, folder: Path, seed: int) -> Verdict:
    """Play it in a folder of its own there, as often as the case says."""
    known = _known(cell)
    try:
        played = _repeat(cell, folder / f"{cell.case.name}-{cell.client}-{cell.server}", seed)
    except MissingToolError as error:
        return Verdict(cell, Outcome.MISSING, str(error))
    except (DisagreementError, CommandError) as error:
        if known is not None:
            who, why = known
            return Verdict(cell, Outcome.UNABLE, str(error), f"{who} {why.kind.value}: {why.reason}")
        return Verdict(cell, Outcome.FAILED, str(error))
    except Exception:  # noqa: BLE001  # a broken judge must not keep the others from being asked
        return Verdict(cell, Outcome.FAILED, traceback.format_exc())
    if known is not None and known[1].is_always:
        text = f"passes, though {known[0]} stands among those that cannot: {known[1].reason}"
        return Verdict(cell, Outcome.FAILED, text, played=played)
    return Verdict(cell, Outcome.PASSED, played.facts, played=played)


def _repeat(cell: Cell, scratch: Path, seed: int) -> Played:
    found = []
    for number in range(cell.case.repetitions):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        found.append(play(cell, scratch, seed + number))
    rates = tuple(rate for each in found for rate in each.goodput_kbps)
    facts = found[-1].facts + f"; {', '.join(f'{rate:.0f}' for rate in rates)} kbit/s" * bool(rates)
    return Played(found[-1].seconds, facts, rates)


def _known(cell: Cell) -> tuple[str, Unable] | None:
    for peer, role in ((cell.client, CLIENT), (cell.server, SERVER)):
        found = unable(peer, role, cell.case.name)
        if found is not None:
            return peer, found
    return None
