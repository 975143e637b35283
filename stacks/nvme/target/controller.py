r"""A controller: what one host's association with a subsystem knows and remembers.

    Connect on an admin queue makes it, CC.EN makes it ready, CC.SHN or a lost admin queue ends it.

      DISABLED --ENABLE--> READY --SHUT_DOWN--> SHUT_DOWN --DISABLE--> DISABLED
          |                  |  \---DISABLE--------------------------^
          \---ENABLE_WRONG---+-----FAIL---> FAILED --DISABLE--> DISABLED

Follows NVM Express Base 2.0 3.1.3, 3.5, 3.6 and 3.9.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError, ErrorLog
from stacks.nvme.target.events import Event, EventQueue
from stacks.nvme.target.features import default_features
from stacks.runtime import IGNORE, StateTable, Verdict
from wire.nvme.properties import VERSION_2_0, PropertyOffset, ShutdownStatus
from wire.nvme.registers_codec import ControllerCapabilities, ControllerConfiguration, ControllerStatus
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.port import Port
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


class ControllerState(enum.Enum):
    """Where a controller is between Connect and its end."""

    DISABLED = "disabled"
    """CC.EN is 0: only fabrics commands are taken."""
    READY = "ready"
    """CSTS.RDY is 1."""
    SHUT_DOWN = "shut down"
    """CSTS.SHST says complete; commands are refused until it is enabled again."""
    FAILED = "failed"
    """CSTS.CFS is 1."""


class ControllerEvent(enum.Enum):
    """What moves a controller."""

    ENABLE = "enable"
    ENABLE_WRONG = "enable with a configuration that is not supported"
    DISABLE = "disable"
    SHUT_DOWN = "shut down"
    FAIL = "fail"


_S, _E = ControllerState, ControllerEvent

CONTROLLER_TABLE = StateTable[ControllerState, ControllerEvent](
    "controller",
    ControllerState,
    events=ControllerEvent,
    entries={
        (_S.DISABLED, _E.ENABLE): _S.READY,
        (_S.DISABLED, _E.ENABLE_WRONG): _S.FAILED,
        (_S.DISABLED, _E.DISABLE): IGNORE,
        (_S.DISABLED, _E.SHUT_DOWN): _S.SHUT_DOWN,
        (_S.DISABLED, _E.FAIL): _S.FAILED,
        (_S.READY, _E.ENABLE): IGNORE,
        (_S.READY, _E.ENABLE_WRONG): IGNORE,
        (_S.READY, _E.DISABLE): _S.DISABLED,
        (_S.READY, _E.SHUT_DOWN): _S.SHUT_DOWN,
        (_S.READY, _E.FAIL): _S.FAILED,
        (_S.SHUT_DOWN, _E.ENABLE): _S.READY,
        (_S.SHUT_DOWN, _E.ENABLE_WRONG): IGNORE,
        (_S.SHUT_DOWN, _E.DISABLE): _S.DISABLED,
        (_S.SHUT_DOWN, _E.SHUT_DOWN): IGNORE,
        (_S.SHUT_DOWN, _E.FAIL): _S.FAILED,
        (_S.FAILED, _E.ENABLE): IGNORE,
        (_S.FAILED, _E.ENABLE_WRONG): IGNORE,
        (_S.FAILED, _E.DISABLE): _S.DISABLED,
        (_S.FAILED, _E.SHUT_DOWN): IGNORE,
        (_S.FAILED, _E.FAIL): IGNORE,
    },
)


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
        self.has_traffic = False
        self.kato_ns = 0
        self.set_keep_alive(kato_ms)

    @property
    def is_ready(self) -> bool:
        """Whether admin and I/O commands are taken."""
        return self.state is ControllerState.READY

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
        if outcome is ControllerState.DISABLED:
            self._reset()

    def _reset(self) -> None:
        # CC.EN 1 to 0 deletes the I/O queues and forgets what the host configured (NVMe Base 2.0 3.7.2).
        for queue in list(self.io_queues.values()):
            queue.ask_to_close()
        self.features = default_features()
        self.events.configuration = 0
        for command in self.events.requests:
            assert self.admin_queue is not None
            self.admin_queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
        self.events.requests.clear()

    def _status(self) -> int:
        is_shut_down = self.state is ControllerState.SHUT_DOWN
        status = ControllerStatus(
            rdy=self.is_ready or is_shut_down,
            cfs=self.state is ControllerState.FAILED,
            shst=ShutdownStatus.COMPLETE if is_shut_down else ShutdownStatus.NORMAL_OPERATION,
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

_READY_TIMEOUT_HALF_SECONDS = 15
_CSS_NVM, _CSS_MULTIPLE = 0x01, 0x40

CAPABILITIES = int.from_bytes(
    ControllerCapabilities(
        mqes=QUEUE_ENTRIES_MAX - 1, cqr=1, timeout=_READY_TIMEOUT_HALF_SECONDS, css=_CSS_NVM | _CSS_MULTIPLE
    ).encode(),
    "little",
)
