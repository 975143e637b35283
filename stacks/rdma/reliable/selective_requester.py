"""The requester of selective repeat: it walks its queue again from the first hole, stepping over what arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.rdma.reliable.requester import Requester
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp


class SelectiveRequester(Requester):
    """A requester that knows which packets past `una` have arrived.

    A walk that repairs ends where it was told of the last arrival (`_repair_end`) and goes on behind everything that
    was ever sent; one after a timeout or another NAK goes all the way, as go-back-N does.
    """

    def __init__(self, qp: ReliableQp, capacity: int) -> None:
        super().__init__(qp, capacity)
        self._arrived: set[int] = set()
        self._repair_end: int | None = None
        self._repaired_psn = 0
        """Holes before it have been sent again."""

    def reset(self, psn: int) -> None:
        """As of every requester."""
        super().reset(psn)
        self._arrived.clear()
        self._repair_end = None
        self._repaired_psn = psn

    @property
    def awaits_response(self) -> bool:
        """Whether something is outstanding that only a response acknowledges."""
        return bool(self._reads) and self._reads[0].first_psn < self.sent_psn

    def learn(self, psn: int) -> bool:
        """The packet `psn` (not wrapped) arrived ahead of its turn; True when that shows a hole to repair now."""
        if not self.una < psn < self.sent_psn:
            return False
        arrived = self._arrived
        arrived.add(psn)
        self.window.arrived(psn)
        hole = max(self.una, self._repaired_psn)
        while hole in arrived:
            hole += 1
        if hole >= psn or self.awaits_response:
            return False
        if self._repair_end is None:
            if self.next_psn <= hole:
                # A walk from further back is on its way to it.
                return False
            self._cursor = 0
            self._skip_to(hole)
        self._repair_end = self._repaired_psn = psn
        return True

    def poll_transmit(self) -> Transmit | None:
        """As of every requester, but nothing that arrived is sent again."""
        if not self._arrived and self._repair_end is None:
            return super().poll_transmit()
        self.step_over()
        room = min(self.window.packets - self.in_flight, self._stretch())
        if room <= 0 or self._cursor >= len(self._ring):
            return None
        transmit = self._build(room)
        if self.next_psn > self.sent_psn:
            self.sent_psn = self.next_psn
        return transmit

    def advance(self, una: int) -> None:
        """As of every requester."""
        super().advance(una)
        if self._arrived:
            self._arrived = {psn for psn in self._arrived if psn >= una}

    def rewind(self) -> None:
        """As of every requester; what arrived stays where it is, but for the packet that is complained of."""
        super().rewind()
        self._arrived.discard(self.una)
        self._repair_end = None
        self._repaired_psn = self.sent_psn

    def step_over(self) -> None:
        """Move on from packets that arrived, and from a repair that is complete."""
        if self._repair_end is not None and self.next_psn >= self._repair_end:
            self._repair_end = None
            self._skip_to(max(self.next_psn, self.sent_psn))
        while self.next_psn in self._arrived:
            self._skip_to(self.next_psn + 1)

    def _stretch(self) -> int:
        """How many PSNs from `next_psn` on may be sent before one that need not."""
        bounds = [psn for psn in self._arrived if psn > self.next_psn]
        if self._repair_end is not None:
            bounds.append(self._repair_end)
        return min(bounds) - self.next_psn if bounds else self.window.packets
