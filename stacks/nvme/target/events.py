"""Asynchronous events: what happened waits here for an Async Event Request, and the other way round.

An event of one type is held back after delivery until its log page has been read with RAE 0, so a host is told once
(NVMe Base 2.0 5.2). An event that finds no request waits; the same event does not wait twice.
"""

from __future__ import annotations

from stacks.nvme.target.command import Command
from wire.nvme.opcodes import CommandSetEvent, EventConfiguration, EventType, LogPage, NoticeEvent


class Event:
    """One kind of event: its DW0, and which bit of feature 0Bh turns it on (0: always on)."""

    __slots__ = ("dw0", "enable", "log_page")

    def __init__(self, event_type: int, information: int, log_page: int, enable: int) -> None:
        self.dw0 = event_type | information << 8 | log_page << 16
        self.log_page = log_page
        self.enable = enable


NAMESPACE_CHANGED = Event(
    EventType.NOTICE,
    NoticeEvent.NAMESPACE_ATTRIBUTE,
    LogPage.CHANGED_NAMESPACES,
    EventConfiguration.NAMESPACE_ATTRIBUTE.value,
)
ANA_CHANGED = Event(EventType.NOTICE, NoticeEvent.ANA_CHANGE, LogPage.ANA, EventConfiguration.ANA_CHANGE.value)
DISCOVERY_CHANGED = Event(
    EventType.NOTICE, NoticeEvent.DISCOVERY_CHANGE, LogPage.DISCOVERY, EventConfiguration.DISCOVERY_CHANGE.value
)

RESERVATION_NOTIFIED = Event(
    # Always on: what is masked is not remembered either (feature 82h).
    EventType.COMMAND_SET,
    CommandSetEvent.RESERVATION_LOG,
    LogPage.RESERVATION_NOTIFICATION,
    0,
)


class EventQueue:
    """Events and requests of one controller; deliveries come back from each call, to be completed by the caller.

    configuration: feature 0Bh as it is now and after each reset.
    """

    def __init__(self, configuration: int = 0) -> None:
        self.default_configuration = configuration
        self.configuration = configuration
        self.requests: list[Command] = []
        self._pending: list[Event] = []
        self._masked: set[int] = set()

    def raise_event(self, event: Event) -> Command | None:
        """Something happened; the request that carries it, if one waits and the host wants it."""
        if event.enable and not self.configuration & event.enable:
            return None
        if event not in self._pending:
            self._pending.append(event)
        return self.deliver()

    def deliver(self) -> Command | None:
        """The next request whose event is ready, with DW0 set; None when nothing fits together."""
        if not self.requests:
            return None
        for event in self._pending:
            if event.log_page not in self._masked:
                self._pending.remove(event)
                self._masked.add(event.log_page)
                command = self.requests.pop(0)
                command.dw0 = event.dw0
                return command
        return None

    def log_was_read(self, log_page: int) -> Command | None:
        """A log was read with RAE 0: its events may be told again."""
        self._masked.discard(log_page)
        return self.deliver()

    def reset(self) -> list[Command]:
        """Forget every event, and what the host configured; the requests that waited, to be ended by the caller."""
        self.configuration = self.default_configuration
        self._pending.clear()
        self._masked.clear()
        waiting, self.requests = self.requests, []
        return waiting

    def take_request(self, command: Command) -> bool:
        """Take a waiting request back, for Abort; whether the command is one."""
        if command not in self.requests:
            return False
        self.requests.remove(command)
        return True
