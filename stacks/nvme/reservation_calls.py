"""The reservation commands of a connected namespace, in both faces: a base class for each `Namespace`.

    namespace.reservation_register(0xA1)
    namespace.reservation_acquire(0xA1, ReservationType.WRITE_EXCLUSIVE)

They raise CommandFailed with RESERVATION_CONFLICT where another host's reservation or key stands in the way.
"""

from __future__ import annotations

from stacks.nvme.host import Transfer
from stacks.nvme.sized import Sized
from wire.nvme.reservations import (
    AcquireAction,
    PersistenceChange,
    RegisterAction,
    ReleaseAction,
    ReservationReport,
    ReservationType,
)


class ReservationCalls(Sized):
    """For programs without an event loop."""

    def _finish(self, transfer: Transfer) -> None:
        raise NotImplementedError

    def reservation_register(
        self,
        new_key: int = 0,
        *,
        key: int = 0,
        action: RegisterAction = RegisterAction.REGISTER,
        ignores_key: bool = False,
        persistence: PersistenceChange = PersistenceChange.KEEP,
    ) -> None:
        """Register our key with the namespace, replace it, or unregister; as `HostNamespace.reservation_register`."""
        self._finish(
            self.core.reservation_register(
                new_key, key=key, action=action, ignores_key=ignores_key, persistence=persistence
            )
        )

    def reservation_acquire(
        self, key: int, kind: ReservationType, *, action: AcquireAction = AcquireAction.ACQUIRE, preempted_key: int = 0
    ) -> None:
        """Reserve the namespace, or preempt whoever registered `preempted_key`."""
        self._finish(self.core.reservation_acquire(key, kind, action=action, preempted_key=preempted_key))

    def reservation_release(self, key: int, kind: int = 0, *, action: ReleaseAction = ReleaseAction.RELEASE) -> None:
        """Release the reservation, which is of `kind`, or clear it and all registrations."""
        self._finish(self.core.reservation_release(key, kind, action=action))

    def reservation_report(self) -> ReservationReport:
        """Who is registered, and what is reserved."""
        transfer = self.core.reservation_report()
        self._finish(transfer)
        return transfer.report


class AsyncReservationCalls(Sized):
    """For programs with one."""

    async def _finish(self, transfer: Transfer) -> None:
        raise NotImplementedError

    async def reservation_register(
        self,
        new_key: int = 0,
        *,
        key: int = 0,
        action: RegisterAction = RegisterAction.REGISTER,
        ignores_key: bool = False,
        persistence: PersistenceChange = PersistenceChange.KEEP,
    ) -> None:
        """Register our key with the namespace, replace it, or unregister; as `HostNamespace.reservation_register`."""
        await self._finish(
            self.core.reservation_register(
                new_key, key=key, action=action, ignores_key=ignores_key, persistence=persistence
            )
        )

    async def reservation_acquire(
        self, key: int, kind: ReservationType, *, action: AcquireAction = AcquireAction.ACQUIRE, preempted_key: int = 0
    ) -> None:
        """Reserve the namespace, or preempt whoever registered `preempted_key`."""
        await self._finish(self.core.reservation_acquire(key, kind, action=action, preempted_key=preempted_key))

    async def reservation_release(
        self, key: int, kind: int = 0, *, action: ReleaseAction = ReleaseAction.RELEASE
    ) -> None:
        """Release the reservation, which is of `kind`, or clear it and all registrations."""
        await self._finish(self.core.reservation_release(key, kind, action=action))

    async def reservation_report(self) -> ReservationReport:
        """Who is registered, and what is reserved."""
        transfer = self.core.reservation_report()
        await self._finish(transfer)
        return transfer.report
