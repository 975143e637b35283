"""A controller: what one host's association with a subsystem knows and remembers.

Connect on an admin queue makes it, CC.EN makes it ready, CC.SHN or a lost admin queue ends it; see
`controller_state`.

Follows NVM Express Base 2.0 3.1.3, 3.5, 3.6 and 3.9.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from stacks.nvme.target.attachments import Attachments
from stacks.nvme.target.command import Command
from stacks.nvme.target.controller_kind import DISCOVERY, READY_TIMEOUT_HALF_SECONDS
from stacks.nvme.target.controller_state import CONTROLLER_TABLE, ControllerEvent, ControllerState
from stacks.nvme.target.errors import CommandError, ErrorLog
from stacks.nvme.target.events import Event, EventQueue
from stacks.nvme.target.feature_values import FeatureValues
from stacks.nvme.target.flushing import Flush
from stacks.nvme.target.health import TEMPERATURE_WARNING, critical_warning
from stacks.nvme.target.keep_alive import effective_kato, silence_ns
from stacks.nvme.target.reservations.access import NamespaceAccess
from stacks.nvme.target.reservations.notices import NoticeQueue
from stacks.runtime import Verdict
from wire.nvme.opcodes import EventConfiguration, LogPage
from wire.nvme.properties import VERSION_2_0, PropertyOffset, ShutdownStatus
from wire.nvme.registers_codec import ControllerConfiguration, ControllerStatus
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.port import Port
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


class Controller:
    """A controller, made by `connect` when a host connects an admin queue.

    subsystem, port: what it belongs to, and how its host came; cntlid: its number; kind: its type.
    host_nqn, host_id: the host; kato_ms: keep-alive timeout in milliseconds, 0 for none; CommandError when it is too
    long. attachments: the namespaces that it has, and what their ANA groups let through.
    has_traffic: whether a command has come in this keep-alive interval.
    """

    def __init__(
        self, subsystem: Subsystem, port: Port, cntlid: int, *, host_nqn: str, host_id: bytes, kato_ms: int
    ) -> None:
        self.kato_ms = effective_kato(kato_ms)
        self.subsystem = subsystem
        self.kind = subsystem.kind
        self.port = port
        self.cntlid = cntlid
        self.host_nqn = host_nqn
        self.host_id = host_id
        self.state = ControllerState.DISABLED
        self.configuration = 0
        self.admin_queue: Queue | None = None
        self.io_queues: dict[int, Queue] = {}
        self.attachments = Attachments(subsystem, host_nqn=host_nqn, portid=port.portid)
        # A host that sets KATO wants a persistent connection, and to be told (NVMe Base 2.0 3.1.2.3).
        is_persistent = self.kind is DISCOVERY and self.kato_ms
        self.events = EventQueue(EventConfiguration.DISCOVERY_CHANGE.value if is_persistent else 0)
        self.errors = ErrorLog()
        self.features = FeatureValues()
        self.features.reset(port.target.now)
        self.notices = NoticeQueue()
        self.access = NamespaceAccess()
        self.has_traffic = False
        self._shutdown: Flush | None = None
        self.find_access()
        self.restart_keep_alive()

    @property
    def is_ready(self) -> bool:
        """Whether admin and I/O commands are taken."""
        return self.state is ControllerState.READY

    def set_keep_alive(self, kato_ms: int) -> None:
        """Change or (with 0) stop the keep-alive timeout; CommandError when it is too long."""
        self.kato_ms = effective_kato(kato_ms)
        self.restart_keep_alive()

    def restart_keep_alive(self) -> None:
        """Begin a keep-alive interval, as long as the host may be silent now."""
        self.has_traffic = False
        target, silence = self.port.target, silence_ns(self.kind, self.state, self.kato_ms)
        if silence:
            target.arm(self, silence)
        else:
            target.cancel(self)

    def handle_deadline(self) -> None:
        """A keep-alive interval is over (NVMe Base 2.0 3.9)."""
        if self.is_ready and self.has_traffic:
            self.restart_keep_alive()
            return
        if self.is_ready:
            self.port.target.keep_alive_expirations += 1
        else:
            self.port.target.associations_expired += 1
        self.fail()

    def refresh(self, changed: Collection[int] = ()) -> None:
        """Look at the subsystem again, and tell the host what is different for it; see `Attachments.refresh`."""
        events = self.attachments.refresh(self.subsystem, changed)
        self.find_access()
        for event in events:
            self.raise_event(event)

    def property(self, offset: int) -> tuple[int, int]:
        """(value, size in bytes) of a property; CommandError when it does not exist."""
        if offset == PropertyOffset.CAP:
            return self.kind.capabilities, 8
        if offset == PropertyOffset.VS:
            return VERSION_2_0, 4
        if offset == PropertyOffset.CC:
            return self.configuration, 4
        if offset == PropertyOffset.CSTS:
            return self._status(), 4
        if offset == PropertyOffset.CRTO and self.kind.has_ready_timeouts:
            return READY_TIMEOUT_HALF_SECONDS, 4
        raise CommandError(StatusCode.INVALID_FIELD, f"no property at {offset:#x}", location=44)

    def configure(self, value: int) -> None:
        """Property Set of CC: enable, disable or shut down, as the bits that changed say (NVMe Base 2.0 3.1.3.5)."""
        old, new = (ControllerConfiguration.decode(each.to_bytes(4, "little")) for each in (self.configuration, value))
        self.configuration = value
        if new.en and not old.en:
            self._apply(ControllerEvent.ENABLE if self.kind.can_enable(new) else ControllerEvent.ENABLE_WRONG)
        if old.en and not new.en:
            self._apply(ControllerEvent.DISABLE)
        if new.shn and not old.shn:
            self._apply(ControllerEvent.SHUT_DOWN)

    def fail(self) -> None:
        """A fatal error, such as an expired keep-alive: stop, and have every queue closed (NVMe Base 2.0 3.9)."""
        self.subsystem.unsafe_shutdowns += self.is_ready
        self._apply(ControllerEvent.FAIL)
        self.port.target.cancel(self)
        for queue in [*self.io_queues.values(), self.admin_queue]:
            if queue is not None:
                queue.ask_to_close()

    def find_access(self) -> None:
        """Namespaces have come or gone, or reservations have changed: see what the host may do now."""
        self.access.update(self.attachments.accessible, self.subsystem.sharing.restrictions(self.host_id))
        self.port.target.access_changed()

    def raise_event(self, event: Event) -> None:
        """Tell the host, when it asked to be told."""
        self._deliver(self.events.raise_event(event))

    def log_was_read(self, log_page: int) -> None:
        """A log page was read with RAE 0."""
        self._deliver(self.events.log_was_read(log_page))
        if log_page == LogPage.SMART:
            # A warning that persists is told again, until the host turns its events off (NVMe Base 2.0 5.2.2).
            self.check_health()

    def check_health(self) -> None:
        """Something that warnings depend on has changed."""
        if critical_warning(self):
            self.raise_event(TEMPERATURE_WARNING)

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
        self.restart_keep_alive()
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
        self.features.reset(self.port.target.now)
        self.notices = NoticeQueue()
        self.attachments.reset()
        for command in self.events.reset():
            assert self.admin_queue is not None
            self.admin_queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
        self.errors.clear()

    def _status(self) -> int:
        shutdown = _SHUTDOWN_STATUS.get(self.state, ShutdownStatus.NORMAL_OPERATION)
        status = ControllerStatus(
            rdy=self.is_ready or self.state in _SHUTDOWN_STATUS,
            cfs=self.state is ControllerState.FAILED,
            shst=shutdown,
        )
        return int.from_bytes(status.encode(), "little")


_SHUTDOWN_STATUS = {
    ControllerState.SHUTTING_DOWN: ShutdownStatus.IN_PROGRESS,
    ControllerState.SHUT_DOWN: ShutdownStatus.COMPLETE,
}
