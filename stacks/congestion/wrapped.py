"""A controller around another one: everything is passed on, and what the other answers is looked at afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stacks.congestion.controller import Ack, Controller, Loss
from stacks.congestion.delivery import SentPacket


class WrappedController(Controller, ABC):
    """Around `inner`. A subclass calls `_follow` when it is made, and overrides what it cares about itself."""

    def __init__(self, inner: Controller) -> None:
        self.inner = inner
        self.ecn = inner.ecn
        self.wants_telemetry = inner.wants_telemetry
        self.cnp_interval_ns = inner.cnp_interval_ns

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """See Controller."""
        self.inner.handle_sent(length_bytes, now)
        self._follow()

    def handle_ack(self, ack: Ack, now: int) -> None:
        """See Controller."""
        self.inner.handle_ack(ack, now)
        self._follow()

    def handle_lost_packet(self, packet: SentPacket, now: int) -> None:
        """See Controller."""
        self.inner.handle_lost_packet(packet, now)

    def handle_loss(self, loss: Loss, now: int) -> None:
        """See Controller."""
        self.inner.handle_loss(loss, now)
        self._follow()

    def handle_recovered(self, now: int) -> None:
        """See Controller."""
        self.inner.handle_recovered(now)
        self._follow()

    def handle_spurious_loss(self, now: int) -> None:
        """See Controller."""
        self.inner.handle_spurious_loss(now)
        self._follow()

    def handle_notification(self, now: int) -> None:
        """See Controller."""
        self.inner.handle_notification(now)
        self._follow()

    def handle_mtu(self, packet_bytes: int, now: int) -> None:
        """See Controller."""
        self.inner.handle_mtu(packet_bytes, now)
        self._follow()

    def handle_timeout(self, now: int) -> None:
        """See Controller."""
        self.inner.handle_timeout(now)
        self._follow()

    def poll_deadline(self) -> int | None:
        """See Controller."""
        return self.inner.poll_deadline()

    def variables(self) -> dict[str, int]:
        """Those of the other."""
        return self.inner.variables()

    @abstractmethod
    def _follow(self) -> None:
        """Answer anew: the other may have changed its mind."""
