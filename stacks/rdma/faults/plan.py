"""What a fault plan says: frozen values, checked when they are made."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields

from stacks.rdma.faults.names import packet_kinds
from stacks.runtime import LocalError
from wire.seqnum import PSN_MASK


class FaultAction(enum.Enum):
    """What happens to a packet."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"
    DELAY = "delay"
    MARK = "mark"


class Direction(enum.Enum):
    """Which way a packet goes, as the device sees it."""

    TX = "tx"
    RX = "rx"


class Icrc(enum.Enum):
    """What a corrupt packet's ICRC is: left as it was, which is wrong then, or made right again."""

    WRONG = "wrong"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class PsnRange:
    """PSNs from `first` to `last`, both included, modulo 2^24; one only when `last` is None.

    is_relative: counted from the first PSN of the QP in this direction, which is 0 then.
    LocalError for a number that is no PSN.
    """

    first: int
    last: int | None = None
    is_relative: bool = False

    def __post_init__(self) -> None:
        for psn in (self.first, self.first if self.last is None else self.last):
            if not 0 <= psn <= PSN_MASK:
                raise LocalError(f"a PSN is 0 to {PSN_MASK}, not {psn}")

    def holds(self, psn: int) -> bool:
        """Whether `psn`, relative where the range is, lies in the range, which may wrap."""
        last = self.first if self.last is None else self.last
        return (psn - self.first) & PSN_MASK <= (last - self.first) & PSN_MASK

    def __str__(self) -> str:
        last = "" if self.last is None else f"..{self.last}"
        return f"{'+' if self.is_relative else ''}{self.first}{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One rule: which packets, which of them, and what happens to those. What is not given matches everything.

    action: see FaultAction. direction: None for both.
    qp: number of the device's own queue pair (1 for management). dest_qp: the number that the packet carries.
    psn: see PsnRange. opcode: names of `wire.roce.Opcode`, with or without the transport, or groups of OPCODE_GROUPS.
    nth: which of the matching packets, counted from 1 over all queue pairs, first and last; last None: without end.
    every: of those, the first and then every so many-th. probability: of those, how many, 0 to 1; drawn from
    `random.Random(seed)`, or from the plan's seed where `seed` is None.
    copies: of a duplicate, how many more. packets: how many of the same flow overtake a reordered one.
    delay_ns: how long a delayed packet waits, and a reordered one at most.
    byte, bit: what a corruption flips; byte counts from the BTH's first, or back from the ICRC's last when negative;
    bit 7 is a byte's most significant. Drawn for each packet where None. icrc: see Icrc.

    LocalError, which says what is allowed, for values that make no sense, and for those that the action does not use.
    """

    action: FaultAction
    direction: Direction | None = None
    qp: int | None = None
    dest_qp: int | None = None
    psn: PsnRange | None = None
    opcode: tuple[str, ...] = ()
    nth: tuple[int, int | None] = (1, None)
    every: int = 1
    probability: float = 1.0
    seed: int | None = None
    copies: int = 1
    packets: int = 1
    delay_ns: int = 1_000_000
    byte: int | None = None
    bit: int | None = None
    icrc: Icrc = Icrc.WRONG

    def __post_init__(self) -> None:
        packet_kinds(self.opcode)
        self._check_used()
        first, last = self.nth
        _check("nth", "counts from 1 and does not run backwards", first >= 1 and (last is None or last >= first))
        _check("probability", "is from 0 to 1", 0 <= self.probability <= 1)
        for name in ("every", "copies", "packets"):
            _check(name, "is at least 1", getattr(self, name) >= 1)
        _check("copies", f"is at most {MAX_COPIES}", self.copies <= MAX_COPIES)
        _check("delay", "is not negative", self.delay_ns >= 0)
        _check("bit", "is 0 to 7", self.bit is None or 0 <= self.bit <= 7)
        for number in (self.qp, self.dest_qp):
            _check("a QP number", "has 24 bits", number is None or 0 <= number <= PSN_MASK)
        is_in_icrc = self.byte is not None and -4 <= self.byte < 0
        _check(
            "icrc=right", "makes a corrupt byte of the ICRC right again", not (is_in_icrc and self.icrc is Icrc.RIGHT)
        )

    def _check_used(self) -> None:
        for field in fields(self):
            users = USERS.get(field.name)
            if users is not None and self.action not in users and getattr(self, field.name) != field.default:
                names = " and ".join(user.value for user in users)
                raise LocalError(f"{field.name.removesuffix('_ns')} is for {names}, not for {self.action.value}")


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rules, asked in order for every packet: each acts on what those before it left of the packet.

    seed: of the rules that have none; each of them draws from a generator of its own.
    """

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0


def _check(what: str, rule: str, holds: bool) -> None:
    if not holds:
        raise LocalError(f"{what} {rule}")


MAX_COPIES = 64
USERS: dict[str, tuple[FaultAction, ...]] = {
    "copies": (FaultAction.DUPLICATE,),
    "packets": (FaultAction.REORDER,),
    "delay_ns": (FaultAction.DELAY, FaultAction.REORDER),
    "byte": (FaultAction.CORRUPT,),
    "bit": (FaultAction.CORRUPT,),
    "icrc": (FaultAction.CORRUPT,),
}
"""Fields that belong to some actions only."""
