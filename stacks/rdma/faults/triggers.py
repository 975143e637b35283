"""When a rule acts: its conditions, its count of matching packets, its draws."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stacks.rdma.faults.names import kind_of, packet_kinds
from stacks.rdma.faults.pieces import Piece
from stacks.rdma.faults.plan import Direction, FaultRule
from stacks.rdma.faults.report import RuleCount
from stacks.rdma.faults.text import rule_text
from wire.roce import Bth, Deth
from wire.roce.opcodes import OPCODES, Transport
from wire.seqnum import PSN_MASK

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class Trigger:
    """One rule at work. number: in the plan, from 1. seed: for a rule that has none of its own."""

    def __init__(self, rule: FaultRule, number: int, seed: int) -> None:
        self.rule = rule
        self.number = number
        self.matched = 0
        self.fired = 0
        self.draw = random.Random(seed if rule.seed is None else rule.seed).random
        self._kinds = packet_kinds(rule.opcode)

    @property
    def count(self) -> RuleCount:
        """How the rule fared so far."""
        return RuleCount(self.number, rule_text(self.rule), self.matched, self.fired)

    def fires(self, piece: Piece, direction: Direction, places: Places) -> bool:
        """Whether the rule acts on this packet; counts it where it matches."""
        rule = self.rule
        if rule.direction is not None and rule.direction is not direction:
            return False
        if self._kinds and kind_of(piece.opcode, piece.syndrome) not in self._kinds:
            return False
        if rule.dest_qp is not None and rule.dest_qp != piece.dest_qp:
            return False
        if rule.qp is not None and rule.qp != places.qp_number(piece, direction):
            return False
        if rule.psn is not None and not rule.psn.holds(
            places.relative_psn(piece, direction) if rule.psn.is_relative else piece.psn
        ):
            return False
        self.matched += 1
        return self._is_chosen()

    def _is_chosen(self) -> bool:
        rule, (first, last) = self.rule, self.rule.nth
        if self.matched < first or (last is not None and self.matched > last):
            return False
        if (self.matched - first) % rule.every:
            return False
        # One draw for every packet that gets here, so that two plans that differ in a probability stay comparable.
        if rule.probability < 1 and self.draw() >= rule.probability:
            return False
        self.fired += 1
        return True


class Places:
    """Which queue pair of the device a packet belongs to, and where its PSNs started.

    qps: the device's, by number.
    """

    def __init__(self, qps: Mapping[int, Qp]) -> None:
        self._qps = qps
        self._first_seen: dict[tuple[Direction, str, int, bool], int] = {}

    def qp_number(self, piece: Piece, direction: Direction) -> int | None:
        """The device's own queue pair, or None when it has no such one."""
        if piece.dest_qp == MANAGEMENT_QP:
            return MANAGEMENT_QP
        if direction is Direction.RX:
            return piece.dest_qp
        info = OPCODES[piece.opcode]
        if info is not None and info.transport is Transport.UD and len(piece.payload) >= Bth.SIZE + Deth.SIZE:
            return Deth.decode(piece.payload, Bth.SIZE).source_qp
        qp = self._qp_towards(piece)
        return None if qp is None else qp.number

    def relative_psn(self, piece: Piece, direction: Direction) -> int:
        """The packet's PSN, counted from the first of its queue pair in this direction.

        Responses carry the requests' PSNs. Where no attribute tells the first, it is the first that came by.
        """
        info = OPCODES[piece.opcode]
        is_request = info is None or info.is_request
        first = self._started(piece, direction, is_request=is_request)
        if first is None:
            first = self._seen(piece, direction, is_request=is_request)
        return (piece.psn - first) & PSN_MASK

    def _started(self, piece: Piece, direction: Direction, *, is_request: bool) -> int | None:
        qp = self._qps.get(piece.dest_qp) if direction is Direction.RX else self._qp_towards(piece)
        if qp is None:
            return None
        is_own = is_request == (direction is Direction.TX)
        first = qp.attributes.get("sq_psn" if is_own else "rq_psn")
        return first if isinstance(first, int) else None

    def _seen(self, piece: Piece, direction: Direction, *, is_request: bool) -> int:
        if len(self._first_seen) >= MAX_FLOWS:
            self._first_seen.clear()
        return self._first_seen.setdefault((direction, piece.peer[0], piece.dest_qp, is_request), piece.psn)

    def _qp_towards(self, piece: Piece) -> Qp | None:
        host, number = piece.peer[0], piece.dest_qp
        for qp in self._qps.values():
            if qp.remote_host == host and qp.attributes.get("dest_qpn") == number:
                return qp
        return None


MANAGEMENT_QP = 1
MAX_FLOWS = 4096
