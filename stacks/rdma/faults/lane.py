"""One direction of a plan: packets go in, and what the rules leave of them comes out, at once or later."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace

from stacks.rdma.faults.fate import Fate
from stacks.rdma.faults.names import kind_name, kind_of
from stacks.rdma.faults.pieces import Flows, Piece
from stacks.rdma.faults.plan import Direction
from stacks.rdma.faults.report import Hit
from stacks.rdma.faults.triggers import Places, Trigger
from transports.datagram import Address


class _Held:
    """Packets that wait: for so many others of their flow to pass, and for a time at most."""

    __slots__ = ("due_ns", "flow", "is_free", "left", "pieces")

    def __init__(self, pieces: list[Piece], flow: tuple[Address, int], due_ns: int, left: int) -> None:
        self.pieces = pieces
        self.flow = flow
        self.due_ns = due_ns
        self.left = left
        """How many are still to pass; 0 when only time counts."""
        self.is_free = False


class Lane:
    """The packets of one direction.

    triggers: the rules, asked in order; the list is the owner's, who may change it. note: told of every hit.
    """

    def __init__(
        self,
        direction: Direction,
        triggers: Sequence[Trigger],
        places: Places,
        flows: Flows,
        note: Callable[[Hit], None],
    ) -> None:
        self._direction = direction
        self._triggers = triggers
        self._places = places
        self._flows = flows
        self._note = note
        self._heap: list[tuple[int, int, _Held]] = []
        self._overtaken: list[_Held] = []
        self._count = 0

    @property
    def deadline_ns(self) -> int | None:
        """When something is due that waits; None when nothing does."""
        while self._heap and self._heap[0][2].is_free:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, pieces: Sequence[Piece], now: int) -> list[Piece]:
        """What goes on at once when `pieces` come, in order, with those that it sets free."""
        passed: list[Piece] = []
        for piece in pieces:
            left = self._judge(piece, now) if piece.is_whole and self._triggers else [piece]
            for each in left:
                passed.append(each)
                if self._overtaken and each.is_whole:
                    passed += self._count_passing(each)
        return passed

    def release_due(self, now: int) -> list[Piece]:
        """What has waited long enough."""
        released: list[Piece] = []
        while (due := self.deadline_ns) is not None and due <= now:
            held = heapq.heappop(self._heap)[2]
            released += self._free(held)
        return released

    def _judge(self, piece: Piece, now: int) -> list[Piece]:
        """What is left of a packet now, after all rules; nothing when it is dropped or held back."""
        fate = Fate(piece)
        for trigger in self._triggers:
            if not trigger.fires(piece, self._direction, self._places):
                continue
            hit = self._hit(trigger, piece, now)
            self._note(replace(hit, detail=fate.suffer(trigger, self._flows)))
            if not fate.pieces:
                return []
        if fate.wait_ns is None:
            return fate.pieces
        self._hold(fate.pieces, now + fate.wait_ns, fate.overtakers)
        return []

    def _hold(self, pieces: list[Piece], due_ns: int, overtakers: int) -> None:
        held = _Held(pieces, (pieces[0].peer, pieces[0].dest_qp), due_ns, overtakers)
        # The count keeps equal times in the packets' order.
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, held))
        if overtakers:
            self._overtaken.append(held)

    def _count_passing(self, piece: Piece) -> list[Piece]:
        """A packet went by: what of its flow has now been overtaken often enough."""
        flow = piece.peer, piece.dest_qp
        released: list[Piece] = []
        for held in [each for each in self._overtaken if each.flow == flow]:
            held.left -= 1
            if not held.left:
                released += self._free(held)
        return released

    def _free(self, held: _Held) -> list[Piece]:
        held.is_free = True
        if held in self._overtaken:
            self._overtaken.remove(held)
        return held.pieces

    def _hit(self, trigger: Trigger, piece: Piece, now: int) -> Hit:
        return Hit(
            now,
            trigger.number,
            trigger.rule.action,
            self._direction,
            piece.peer[0],
            self._places.qp_number(piece, self._direction),
            piece.dest_qp,
            piece.psn,
            kind_name(kind_of(piece.opcode, piece.syndrome)),
        )
