"""What becomes of one packet as the rules act on it, one after the other."""

from __future__ import annotations

from stacks.rdma.faults.pieces import Flows, Piece
from stacks.rdma.faults.plan import FaultAction, FaultRule, Icrc
from stacks.rdma.faults.triggers import Trigger
from transports.datagram import ECN_CE
from wire.roce.flow_icrc import ICRC_BYTES


class Fate:
    """A packet, its copies, and how they wait.

    pieces: what is left; empty when it was dropped. wait_ns: how long they are held back, None for not at all.
    overtakers: how many packets of their flow may set them free earlier; 0 when only time does.
    """

    __slots__ = ("overtakers", "pieces", "wait_ns")

    def __init__(self, piece: Piece) -> None:
        self.pieces = [piece]
        self.wait_ns: int | None = None
        self.overtakers = 0

    def suffer(self, trigger: Trigger, flows: Flows) -> str:
        """Let a rule that fired act; returns what it did beyond its name, in words."""
        rule = trigger.rule
        for piece in self.pieces:
            piece.is_touched = True
        match rule.action:
            case FaultAction.DROP:
                self.pieces = []
                return ""
            case FaultAction.DUPLICATE:
                self.pieces += [self.pieces[0].copy() for _ in range(rule.copies)]
                return f"{rule.copies} more"
            case FaultAction.DELAY:
                self.wait_ns = (self.wait_ns or 0) + rule.delay_ns
                return f"by {rule.delay_ns} ns"
            case FaultAction.REORDER:
                self.wait_ns, self.overtakers = max(self.wait_ns or 0, rule.delay_ns), rule.packets
                return f"behind {rule.packets}"
            case FaultAction.MARK:
                for piece in self.pieces:
                    piece.ecn = ECN_CE
                return "ECN CE"
            case FaultAction.CORRUPT:
                return self._corrupt(*_place(trigger, len(self.pieces[0].payload)), rule, flows)

    def _corrupt(self, at: int, bit: int, rule: FaultRule, flows: Flows) -> str:
        if not 0 <= at < len(self.pieces[0].payload):
            return f"has no byte {rule.byte}"
        for piece in self.pieces:
            if rule.icrc is Icrc.RIGHT and piece.identification is None:
                piece.identification = flows.identification_of(piece)
            payload = bytearray(piece.payload)
            payload[at] ^= 1 << bit
            piece.payload = bytes(payload)
            if rule.icrc is Icrc.RIGHT:
                piece.payload = flows.sealed(piece)
        return f"bit {bit} of byte {at}, ICRC {rule.icrc.value}"


def _place(trigger: Trigger, size: int) -> tuple[int, int]:
    """The byte and bit to flip, drawn where the rule leaves them open."""
    at, bit = trigger.rule.byte, trigger.rule.bit
    if at is None:
        # Neither the BTH's fifth byte, which no ICRC covers, nor the ICRC itself.
        at = int(trigger.draw() * (size - ICRC_BYTES - 1))
        at += at >= UNCOVERED_BYTE
    elif at < 0:
        at += size
    return at, int(trigger.draw() * 8) if bit is None else bit


UNCOVERED_BYTE = 4
