"""Reservation notifications of one controller: a queue that log page 80h shows from its oldest end.

    the rules name a host  ->  each of its controllers' queues  ->  event of type 6  ->  Get Log Page takes one out

Follows NVM Express Base 2.0 5.16.1.24 and 8.19.1.
"""

from __future__ import annotations

from collections import deque

from wire.nvme.reservations import ReservationNotice
from wire.nvme.reservations_codec import ReservationNotification


class NoticeQueue:
    """The notifications that a controller's host has not read."""

    def __init__(self) -> None:
        self._notices: deque[ReservationNotification] = deque()
        self._count = 0

    def __len__(self) -> int:
        return len(self._notices)

    def add(self, notice: ReservationNotice, nsid: int) -> None:
        """Remember one. When there is no room it is lost, and the number of the last one tells that."""
        # Numbers wrap over zero, which is an empty page's.
        self._count = self._count % COUNT_MAX + 1
        if len(self._notices) < NOTICES_MAX:
            self._notices.append(ReservationNotification(count=self._count, kind=notice, nsid=nsid))
        else:
            self._notices[-1].count = self._count

    def page(self) -> bytes:
        """The log page: the oldest notification, or zeros."""
        if not self._notices:
            return bytes(ReservationNotification.SIZE)
        oldest = self._notices[0]
        oldest.available = min(len(self._notices) - 1, AVAILABLE_MAX)
        return oldest.encode()

    def take(self) -> None:
        """The oldest was read to its end: it is gone."""
        if self._notices:
            self._notices.popleft()


NOTICES_MAX = 256
"""SPDK keeps 255, Linux nvmet 64."""
AVAILABLE_MAX = 255
COUNT_MAX = (1 << 64) - 1
