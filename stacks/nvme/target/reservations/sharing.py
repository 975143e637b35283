"""What the reservations of a subsystem's namespaces are to its hosts: what they keep them from, and what is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from stacks.nvme.target.events import RESERVATION_NOTIFIED
from stacks.nvme.target.reservations.table import Access
from wire.nvme.reservations import ReservationNotice

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


class Sharing:
    """A subsystem's hosts, by the identifiers that reservations know them by."""

    def __init__(self, subsystem: Subsystem) -> None:
        self._subsystem = subsystem
        self._departed: list[Queue] = []

    def restrictions(self, host_id: bytes) -> dict[int, Access]:
        """What reservations keep a host from: an entry for each namespace where it may not do everything."""
        namespaces = self._subsystem.namespaces.items()
        found = {nsid: each.reservations.state.access_of(host_id) for nsid, each in namespaces}
        return {nsid: access for nsid, access in found.items() if access is not Access.READ_WRITE}

    def changed(self, namespace: Namespace, notices: Iterable[tuple[bytes, ReservationNotice]] = ()) -> None:
        """A namespace's reservations are different ones: from now on they count on every queue.

        notices: (host identifier, what to tell its controllers), as far as that is not masked.
        """
        for controller in self._subsystem.controllers.values():
            controller.find_access()
        for host_id, notice in notices:
            if not namespace.reservations.mask >> notice & 1:
                self._notify(host_id, notice, namespace.nsid)

    def queues_of(self, host_ids: Collection[bytes]) -> Iterator[Queue]:
        """The I/O queues of these hosts, over all their controllers, and those that have gone but whose commands a
        store still has.
        """
        yield from (queue for queue in self.io_queues() if queue.host_id in host_ids)

    def io_queues(self) -> Iterator[Queue]:
        """Every I/O queue, those that have gone but whose commands a store still has among them."""
        for controller in self._subsystem.controllers.values():
            yield from controller.io_queues.values()
        yield from self._departed

    def queue_departed(self, queue: Queue) -> None:
        """An I/O queue is no controller's any more; a store may have commands of it."""
        self._departed = [each for each in dict.fromkeys((*self._departed, queue)) if each.under_way]

    def _notify(self, host_id: bytes, notice: ReservationNotice, nsid: int) -> None:
        for controller in self._subsystem.controllers.values():
            if controller.host_id == host_id and nsid in controller.attachments.attached:
                controller.notices.add(notice, nsid)
                controller.raise_event(RESERVATION_NOTIFIED)
