"""What a plan did: every hit, and how often each rule matched and acted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from stacks.rdma.faults.plan import Direction, FaultAction

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One packet that a rule acted on.

    time_ns: of the device's clock. rule: its number in the plan, from 1. peer: the host at the other end.
    qp: the device's own queue pair, None where no such one is known; dest_qp: what the packet carries.
    opcode: its name, in which an Acknowledge that is one is called NAK or RNR_NAK. detail: what was done, in words.
    """

    time_ns: int
    rule: int
    action: FaultAction
    direction: Direction
    peer: str
    qp: int | None
    dest_qp: int
    psn: int
    opcode: str
    detail: str = ""

    def as_json(self) -> dict[str, Json]:
        """Under the same names."""
        return asdict(self) | {"action": self.action.value, "direction": self.direction.value}


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How one rule fared: matched packets, fired on so many of them. text: the rule in its compact form."""

    number: int
    text: str
    matched: int
    fired: int


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A moment's account.

    rules: each of the plan, in order. hits: the first MAX_HITS, in order; unlisted: how many there were beyond.
    """

    rules: tuple[RuleCount, ...] = ()
    hits: tuple[Hit, ...] = ()
    unlisted: int = 0

    @property
    def never_fired(self) -> tuple[RuleCount, ...]:
        """Rules that acted on nothing."""
        return tuple(rule for rule in self.rules if not rule.fired)

    def as_json(self) -> dict[str, Json]:
        """Everything, and the numbers of the rules that never fired."""
        return {
            "rules": [asdict(rule) for rule in self.rules],
            "hits": [hit.as_json() for hit in self.hits],
            "unlisted": self.unlisted,
            "never_fired": [rule.number for rule in self.never_fired],
        }

    def lines(self) -> Iterator[str]:
        """Each hit as one line, then the rules that never fired."""
        for hit in self.hits:
            qp = "-" if hit.qp is None else str(hit.qp)
            yield (
                f"{hit.time_ns} {hit.direction.value} rule {hit.rule} {hit.action.value} {hit.opcode} psn {hit.psn}"
                f" qp {qp} to qp {hit.dest_qp} peer {hit.peer}{' ' if hit.detail else ''}{hit.detail}"
            )
        if self.unlisted:
            yield f"and {self.unlisted} more"
        for rule in self.never_fired:
            yield f"rule {rule.number} never fired ({rule.matched} packets matched): {rule.text}"


def report_from_json(document: Mapping[str, Json]) -> FaultReport:
    """The report that `as_json` wrote; ValueError, KeyError or TypeError for anything else."""
    rules, hits, unlisted = document["rules"], document["hits"], document["unlisted"]
    if not isinstance(rules, list) or not isinstance(hits, list) or not isinstance(unlisted, int):
        raise TypeError("not a report")
    return FaultReport(tuple(map(_count, rules)), tuple(map(_hit, hits)), unlisted)


def _count(document: Json) -> RuleCount:
    if not isinstance(document, dict):
        raise TypeError("not a rule's count")
    return RuleCount(**document)  # type: ignore[arg-type]  # TypeError for other fields


def _hit(document: Json) -> Hit:
    if not isinstance(document, dict):
        raise TypeError("not a hit")
    kinds = {"action": FaultAction(document["action"]), "direction": Direction(document["direction"])}
    return Hit(**{**document, **kinds})  # type: ignore[arg-type]  # TypeError for other fields


MAX_HITS = 10_000
