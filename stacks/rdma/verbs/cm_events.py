"""Events of identifiers, and the channels that they come in (rdma_cm_event, rdma_event_channel)."""

from __future__ import annotations

from stacks.rdma.cm import EventChannel, RdmaEvent
from stacks.rdma.verbs.host import Host, default_host
from stacks.rdma.verbs.objects import VerbsObject


class CMEventChannel(VerbsObject):
    """Where identifiers report. host: of their devices."""

    def __init__(self, host: Host | None = None) -> None:
        host = host or default_host()
        super().__init__(host)
        self.host: Host = host
        self.core = EventChannel()

    def next_event(self, *, timeout_ns: int | None = None) -> RdmaEvent:
        """Sleep until an event comes; TimeoutError after `timeout_ns`."""
        self.host.wait_until(lambda: len(self.core) > 0, timeout_ns=timeout_ns)
        with self.host.lock:
            event = self.core.poll_event()
        if event is None:
            raise TimeoutError("no event came")
        return event


class CMEvent:
    """The next event of a channel, which the constructor sleeps for; `ack_cm_event` when it was dealt with."""

    def __init__(self, channel: CMEventChannel) -> None:
        self.channel = channel
        self.core = channel.next_event()
        self._is_acknowledged = False

    @property
    def event_type(self) -> int:
        """An RDMA_CM_EVENT_ number."""
        return self.core.kind

    @property
    def status(self) -> int:
        """0, a reject reason, a SIDR status, or a negative errno."""
        return self.core.status

    @property
    def private_data(self) -> bytes:
        """What the peer's message carried, zero-padded."""
        return self.core.private_data

    def event_str(self) -> str:
        """The RDMA_CM_EVENT_ name."""
        return f"RDMA_CM_EVENT_{self.core.kind.name}"

    def ack_cm_event(self) -> None:
        """Say that it was dealt with; its identifier can be closed then. Idempotent."""
        if not self._is_acknowledged:
            self._is_acknowledged = True
            self.channel.core.ack(self.core)

    def close(self) -> None:
        """As `ack_cm_event`."""
        self.ack_cm_event()
