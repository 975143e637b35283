"""Asynchronous events: what belongs to no work request (ibv_get_async_event)."""

from __future__ import annotations

from stacks.rdma import AsyncEvent as CoreEvent
from stacks.rdma.verbs.words import translate_event_type


class AsyncEvent:
    """An event. event_type: an IBV_EVENT_ number. core: with the core's queue pair, CQ or SRQ that it concerns."""

    def __init__(self, event: CoreEvent) -> None:
        self.core = event
        self.event_type = int(event.kind)

    @property
    def qp_num(self) -> int:
        """The number of the queue pair that it concerns; 0 for none."""
        return 0 if self.core.qp is None else self.core.qp.number

    def ack(self) -> None:
        """Say that it was dealt with; nothing waits for that here."""

    def __repr__(self) -> str:
        return f"AsyncEvent({translate_event_type(self.event_type)}, qp_num={self.qp_num})"
