"""The plan at work on one device: it takes packets apart, lets the rules act, and hands on what is left.

    burst -> pieces -> lane rx -> bursts -> queue pairs
    transports <- transmits <- lane tx <- pieces <- queue pairs

What no rule touches goes on as it came. A transmit that a rule takes apart is sent as several; their ICRCs are made to
fit the Identifications that they then get.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from stacks.rdma.faults.lane import Lane
from stacks.rdma.faults.pieces import Flows, Piece, bursts_of, pieces_of_burst, pieces_of_transmit, transmits_of
from stacks.rdma.faults.plan import Direction, FaultPlan, FaultRule
from stacks.rdma.faults.report import MAX_HITS, FaultReport, Hit
from stacks.rdma.faults.triggers import Places, Trigger
from transports.datagram import Address, Burst, Transmit

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class FaultInjector:
    """Does what a plan says to the packets of one device; made by `Device.attach`.

    address, qps: the device's. deliver: takes a burst. poll: the queue pairs' next transmit.
    done: called with a transmit that was taken apart, since nobody else will be done with it.
    segment_limit: most packets of one transmit.
    """

    def __init__(
        self,
        address: Address,
        qps: Mapping[int, Qp],
        *,
        deliver: Callable[[Burst, int], None],
        poll: Callable[[int], Transmit | None],
        done: Callable[[Transmit], None],
        segment_limit: int,
    ) -> None:
        self._address = address
        self._deliver = deliver
        self._poll = poll
        self._done = done
        self._segment_limit = segment_limit
        self._triggers: list[Trigger] = []
        self._seed = 0
        self._hits: list[Hit] = []
        self._unlisted = 0
        self._out: deque[Transmit] = deque()
        places = Places(qps)
        self._rx = Lane(Direction.RX, self._triggers, places, Flows(address, is_inbound=True), self._note)
        self._tx_flows = Flows(address, is_inbound=False)
        self._tx = Lane(Direction.TX, self._triggers, places, self._tx_flows, self._note)

    # The plan

    @property
    def plan(self) -> FaultPlan:
        """The rules at work."""
        return FaultPlan(tuple(trigger.rule for trigger in self._triggers), self._seed)

    def add(self, rule: FaultRule) -> int:
        """Have one more rule act from now on; returns its number."""
        number = len(self._triggers) + 1
        self._triggers.append(Trigger(rule, number, self._seed * SEED_STRIDE + number))
        return number

    def replace(self, plan: FaultPlan) -> None:
        """Forget rules and hits, and start with `plan`; packets that are held back go on when their time comes."""
        self._triggers.clear()
        self._hits.clear()
        self._unlisted = 0
        self._seed = plan.seed
        for rule in plan.rules:
            self.add(rule)

    def clear(self) -> None:
        """Act on nothing any more, and forget the hits."""
        self.replace(FaultPlan())

    def report(self) -> FaultReport:
        """What happened so far."""
        return FaultReport(tuple(trigger.count for trigger in self._triggers), tuple(self._hits), self._unlisted)

    # A core's verbs, on the way between transport and queue pairs

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Take a burst from the transport, and deliver what the rules leave of it."""
        pieces = pieces_of_burst(burst)
        passed = self._rx.take(pieces, now)
        if _is_untouched(pieces, passed):
            self._deliver(burst, now)
        else:
            self._deliver_all(passed, burst.received_ns, now)

    def handle_timeout(self, now: int) -> None:
        """Let packets go whose time has come."""
        self._deliver_all(self._rx.release_due(now), now, now)
        self._out.extend(transmits_of(self._tx.release_due(now), self._tx_flows, self._segment_limit))

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next transmit that the rules leave something of."""
        out = self._out
        while not out:
            transmit = self._poll(now)
            if transmit is None:
                return None
            pieces = pieces_of_transmit(transmit)
            passed = self._tx.take(pieces, now)
            if _is_untouched(pieces, passed):
                return transmit
            out.extend(transmits_of(passed, self._tx_flows, self._segment_limit))
            # The pieces are copies.
            self._done(transmit)
        return out.popleft()

    def poll_deadline(self) -> int | None:
        """When the next packet that is held back has waited long enough."""
        deadlines = [due for lane in (self._rx, self._tx) if (due := lane.deadline_ns) is not None]
        return min(deadlines, default=None)

    def _deliver_all(self, pieces: Sequence[Piece], received_ns: int, now: int) -> None:
        for burst in bursts_of(pieces, self._address, received_ns):
            self._deliver(burst, now)

    def _note(self, hit: Hit) -> None:
        if len(self._hits) < MAX_HITS:
            self._hits.append(hit)
        else:
            self._unlisted += 1


def _is_untouched(before: Sequence[Piece], after: Sequence[Piece]) -> bool:
    return len(before) == len(after) and all(
        old is new and not new.is_touched for old, new in zip(before, after, strict=True)
    )


SEED_STRIDE = 1_000_003
"""Keeps the generators of the rules of neighbouring seeds apart."""
