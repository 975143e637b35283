"""Reservation commands as an initiator sends them, and the report read to its end.

`key` is always the key that the host has registered (CRKEY). Follows NVM Express Base 2.0 7.2 to 7.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.transfer import Done, Transfer
from stacks.runtime import LocalError
from wire.nvme.opcodes import IoOpcode
from wire.nvme.reservations import ReservationReport, decode_report, report_bytes
from wire.nvme.reservations_codec import ReservationAcquireData, ReservationRegisterData, ReservationReleaseData

if TYPE_CHECKING:
    from stacks.nvme.host.route import Route


def register(
    nsid: int, *, key: int, new_key: int, action: int, ignores_key: bool, persistence: int
) -> HostCommand:
    """Reservation Register. action: a `RegisterAction`; persistence: a `PersistenceChange`."""
    _check_keys(key, new_key)
    data = ReservationRegisterData(crkey=key, nrkey=new_key).encode()
    word = action | ignores_key << 3 | persistence << 30
    return HostCommand(IoOpcode.RESERVATION_REGISTER.value, nsid, cdw10=word, data=memoryview(data))


def acquire(nsid: int, *, key: int, preempted_key: int, kind: int, action: int) -> HostCommand:
    """Reservation Acquire. kind: a `ReservationType`; action: an `AcquireAction`."""
    _check_keys(key, preempted_key)
    data = ReservationAcquireData(crkey=key, prkey=preempted_key).encode()
    return HostCommand(IoOpcode.RESERVATION_ACQUIRE.value, nsid, cdw10=action | kind << 8, data=memoryview(data))


def release(nsid: int, *, key: int, kind: int, action: int) -> HostCommand:
    """Reservation Release. kind: the type of the reservation; action: a `ReleaseAction`."""
    _check_keys(key)
    data = ReservationReleaseData(crkey=key).encode()
    return HostCommand(IoOpcode.RESERVATION_RELEASE.value, nsid, cdw10=action | kind << 8, data=memoryview(data))


def _check_keys(*keys: int) -> None:
    for key in keys:
        if not 0 <= key < 1 << 64:
            raise LocalError(f"reservation key {key:#x} does not fit into 64 bits")


class ReportTransfer(Transfer):
    """A report being read: again with more room as long as there are more registrants than came.

    report: what it says, once it is done and its status is 0.
    """

    __slots__ = ("_host", "_nsid", "report")

    def __init__(self, host: Route, nsid: int, done: Done) -> None:
        super().__init__("reservation report", done)
        self.report = ReservationReport(0, 0, is_persistent=False, registrant_count=0, registrants=())
        self.left = 1
        self._host = host
        self._nsid = nsid
        self._ask(USUAL_REGISTRANTS)

    def piece_done(self, command: HostCommand) -> None:
        """An answer came: it is the report, or says how long that is."""
        if not command.status:
            assert command.data is not None
            self.report = report = decode_report(command.data)
            if report.registrant_count > len(report.registrants) and len(command.data) < self._longest_bytes():
                self._ask(report.registrant_count)
                return
        super().piece_done(command)

    def _ask(self, registrants: int) -> None:
        length = min(report_bytes(registrants), self._longest_bytes())
        into = memoryview(bytearray(length))
        command = HostCommand(IoOpcode.RESERVATION_REPORT.value, self._nsid, data=into, is_read=True)
        command.cdw10, command.cdw11 = length // 4 - 1, EXTENDED
        command.done = self.piece_done
        self._host.submit_io(command)

    def _longest_bytes(self) -> int:
        return self._host.max_transfer_bytes // 64 * 64


USUAL_REGISTRANTS = 15
"""Room for these is asked for first, 1024 bytes."""
EXTENDED = 1
"""EDS: over fabrics, host identifiers have 128 bits."""
