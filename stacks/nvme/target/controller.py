"""A controller: what one host's association with a subsystem knows and remembers.

Connect on an admin queue makes it, CC.EN makes it ready, CC.SHN or a lost admin queue ends it; see
`controller_state`.

Follows NVM Express Base 2.0 3.1.3, 3.5, 3.6 and 3.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.controller_state import CONTROLLER_TABLE, ControllerEvent, ControllerState
from stacks.nvme.target.errors import CommandError, ErrorLog
from stacks.nvme.target.events import Event, EventQueue
from stacks.nvme.target.features import default_features
from stacks.nvme.target.flushing import Flush
from stacks.nvme.target.reservations.access import NamespaceAccess
from stacks.nvme.target.reservations.notices import NoticeQueue
from stacks.runtime import Verdict
from wire.nvme.properties import VERSION_2_0, PropertyOffset, ShutdownStatus
from wire.nvme.registers_codec import ControllerCapabilities, ControllerConfiguration, ControllerStatus
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.port import Port
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


class Controller:
    """A controller, made by `fabrics` when a host connects an admin queue.

    subsystem, port: what it belongs to, and how its host came; cntlid: its number.
    host_nqn, host_id: the host; kato_ms: keep-alive timeout in milliseconds, 0 for none.
    """

    def __init__(
        self, subsystem: Subsystem, port: Port, cntlid: int, *, host_nqn: str, host_id: bytes, kato_ms: int
    ) -> None:
        self.subsystem = subsystem
        self.port = port
        self.cntlid = cntlid
        self.host_nqn = host_nqn
        self.host_id = host_id
        self.state = ControllerState.DISABLED
        self.configuration = 0
        self.admin_queue: Queue | None = None
        self.io_queues: dict[int, Queue] = {}
        self.events = EventQueue()
        self.errors = ErrorLog()
        self.features = default_features()
        self.changed_namespaces: set[int] = set()
        self.notices = NoticeQueue()
        self.access = NamespaceAccess()
        self.has_traffic = False
        self.kato_ns = 0
        self._shutdown: Flush | None = None
        self.set_keep_alive(kato_ms)
        self.find_access()

    @property
    def is_ready(self) -> bool:
        """Whether admin and I/O commands are taken."""
        return self.state is ControllerState.READY

    @property
    def silence_ns(self) -> int:
        """How long the host may be silent, 0 for as long as it likes: KATO, or the limit for discovery controllers
        without one.
        """
        return self.kato_ns or (DISCOVERY_SILENCE_NS if self.subsystem.is_discovery else 0)

    def set_keep_alive(self, kato_ms: int) -> None:
        """Start, change or (with 0) stop the keep-alive timer; rounded up to the granularity that KAS announces."""
        self.kato_ns = -(-kato_ms // KEEP_ALIVE_GRANULARITY_MS) * KEEP_ALIVE_GRANULARITY_MS * 1_000_000
        self.port.target.arm_keep_alive(self)

    def property(self, offset: int) -> tuple[int, int]:
        """(value, size in bytes) of a property; CommandError when it does not exist."""
        if offset == PropertyOffset.CAP:
            return CAPABILITIES, 8
        if offset == PropertyOffset.VS:
            return VERSION_2_0, 4
        if offset == PropertyOffset.CC:
            return self.configuration, 4
        if offset == PropertyOffset.CSTS:
            return self._status(), 4
        if offset == PropertyOffset.CRTO:
            return _READY_TIMEOUT_HALF_SECONDS, 4
        raise CommandError(StatusCode.INVALID_FIELD, f"no property at {offset:#x}", location=44)

    def configure(self, value: int) -> None:
        """Property Set of CC: enable, disable or shut down, as the bits that changed say (NVMe Base 2.0 3.1.3.5)."""
        old, new = (ControllerConfiguration.decode(each.to_bytes(4, "little")) for each in (self.configuration, value))
        self.configuration = value
        if new.en and not old.en:
            is_right = new.mps == 0 and new.ams == 0 and new.css in SUPPORTED_CSS and _entry_sizes_fit(new)
            self._apply(ControllerEvent.ENABLE if is_right else ControllerEvent.ENABLE_WRONG)
        if old.en and not new.en:
            self._apply(ControllerEvent.DISABLE)
        if new.shn and not old.shn:
            self._apply(ControllerEvent.SHUT_DOWN)

    def fail(self) -> None:
        """A fatal error, such as an expired keep-alive: stop, and have every queue closed (NVMe Base 2.0 3.9)."""
        self._apply(ControllerEvent.FAIL)
        self.subsystem.unsafe_shutdowns += 1
        for queue in [*self.io_queues.values(), self.admin_queue]:
            if queue is not None:
                queue.ask_to_close()

    def find_access(self) -> None:
        """Namespaces have come or gone, or reservations have changed: see what the host may do now."""
        self.access.update(self.subsystem.accessible, self.subsystem.restrictions(self.host_id))

    def raise_event(self, event: Event) -> None:
        """Tell the host, when it asked to be told."""
        self._deliver(self.events.raise_event(event))

    def log_was_read(self, log_page: int) -> None:
        """A log page was read with RAE 0."""
        self._deliver(self.events.log_was_read(log_page))

    def _deliver(self, command: Command | None) -> None:
        while command is not None:
            assert self.admin_queue is not None
            self.admin_queue.complete(command)
            command = self.events.deliver()

    def _apply(self, event: ControllerEvent) -> None:
        outcome = CONTROLLER_TABLE.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return
        self.state = outcome
        for queue in list(self.io_queues.values()):
            queue.stop()
        if outcome is ControllerState.DISABLED:
            self._reset()
        elif outcome is ControllerState.SHUTTING_DOWN:
            self._shut_down()

    def _shut_down(self) -> None:
        # Behind everything that the stores have been given; what had not got that far is aborted.
        def flushed(flush: Flush) -> None:
            if flush is self._shutdown:
                self.subsystem.unsafe_shutdowns += bool(flush.status)
                self._apply(ControllerEvent.FLUSHED)

        self._shutdown = Flush(self, flushed)
        self._shutdown.start()

    def _reset(self) -> None:
        # CC.EN 1 to 0 deletes the I/O queues and forgets what the host configured (NVMe Base 2.0 3.7.2).
        for queue in list(self.io_queues.values()):
            queue.ask_to_close()
        self.features = default_features()
        self.notices = NoticeQueue()
        self.events.configuration = 0
        waiting, self.events.requests = self.events.requests, []
        for command in waiting:
            assert self.admin_queue is not None
            self.admin_queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)

    def _status(self) -> int:
        shutdown = _SHUTDOWN_STATUS.get(self.state, ShutdownStatus.NORMAL_OPERATION)
        status = ControllerStatus(
            rdy=self.is_ready or self.state in _SHUTDOWN_STATUS,
            cfs=self.state is ControllerState.FAILED,
            shst=shutdown,
        )
        return int.from_bytes(status.encode(), "little")


def _entry_sizes_fit(configuration: ControllerConfiguration) -> bool:
    return configuration.iosqes == SQ_ENTRY_SHIFT and configuration.iocqes == CQ_ENTRY_SHIFT


QUEUE_ENTRIES_MAX = 256
"""Largest SQ; each entry of one costs the target a receive buffer."""

SQ_ENTRY_SHIFT, CQ_ENTRY_SHIFT = 6, 4
SUPPORTED_CSS = (0, 6)
"""CC.CSS: the NVM command set alone, or all that are supported."""

KEEP_ALIVE_GRANULARITY_MS = 1000
"""KAS times 100 ms."""

DISCOVERY_SILENCE_NS = 120 * 10**9
"""A discovery controller whose host set no KATO ends after this long without a command (NVMe over Fabrics 1.1 4.2)."""

_SHUTDOWN_STATUS = {
    ControllerState.SHUTTING_DOWN: ShutdownStatus.IN_PROGRESS,
    ControllerState.SHUT_DOWN: ShutdownStatus.COMPLETE,
}

_READY_TIMEOUT_HALF_SECONDS = 15
_CSS_NVM, _CSS_MULTIPLE = 0x01, 0x40
_CRMS_WITH_MEDIA = 0x1
"""Ready means that the namespaces are; required since NVMe Base 2.0, and with it the property CRTO."""

CAPABILITIES = int.from_bytes(
    ControllerCapabilities(
        mqes=QUEUE_ENTRIES_MAX - 1,
        cqr=1,
        timeout=_READY_TIMEOUT_HALF_SECONDS,
        css=_CSS_NVM | _CSS_MULTIPLE,
        crms=_CRMS_WITH_MEDIA,
    ).encode(),
    "little",
)
