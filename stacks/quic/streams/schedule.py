"""Whose turn it is: streams that may have something to send, by urgency, and in turn where they are incremental."""

from __future__ import annotations

from stacks.quic.streams.sending import SendStream

DEFAULT_URGENCY = 3


class Schedule:
    """RFC 9218 4: the most urgent first; of equal ones, those that are not incremental one after the other in the order
    of their numbers, and incremental ones a frame each in turn. Without priorities streams are served as incremental.
    """

    __slots__ = ("_priorities", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, dict[int, SendStream]] = {}
        self._priorities: dict[int, tuple[int, bool]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._waiting

    def set_priority(self, stream_id: int, urgency: int, is_incremental: bool) -> None:
        """How one stream is served from now on."""
        stream = None
        for queue in self._waiting.values():
            stream = stream or queue.get(stream_id)
        if stream is not None:
            self.remove(stream)
        self._priorities[stream_id] = urgency, is_incremental
        if stream is not None:
            self.add(stream)

    def forget(self, stream_id: int) -> None:
        """The stream is over."""
        if self._priorities:
            self._priorities.pop(stream_id, None)

    def add(self, stream: SendStream) -> None:
        """It may have something to send."""
        urgency = self._urgency(stream)
        queue = self._waiting.get(urgency)
        if queue is None:
            queue = self._waiting[urgency] = {}
        queue[stream.stream_id] = stream

    def remove(self, stream: SendStream) -> None:
        """It has not."""
        urgency = self._urgency(stream)
        queue = self._waiting.get(urgency)
        if queue is not None:
            queue.pop(stream.stream_id, None)
            if not queue:
                del self._waiting[urgency]

    def first(self) -> SendStream | None:
        """Whose turn it is, or None."""
        waiting = self._waiting
        if not waiting:
            return None
        queue = next(iter(waiting.values())) if len(waiting) == 1 else waiting[min(waiting)]
        if self._priorities:
            whole = [stream_id for stream_id in queue if not self._is_incremental(stream_id)]
            if whole:
                return queue[min(whole)]
        return next(iter(queue.values()))

    def only(self) -> SendStream | None:
        """Whose turn it is when it stays so, packet after packet; None for nobody, or where several take turns."""
        waiting = self._waiting
        if len(waiting) != 1:
            return None
        (queue,) = waiting.values()
        return next(iter(queue.values())) if len(queue) == 1 else None

    def took_turn(self, stream: SendStream) -> None:
        """It sent a frame: others are next."""
        queue = self._waiting.get(self._urgency(stream))
        if queue is not None and len(queue) > 1:
            del queue[stream.stream_id]
            queue[stream.stream_id] = stream

    def _urgency(self, stream: SendStream) -> int:
        if not self._priorities:
            return DEFAULT_URGENCY
        return self._priorities.get(stream.stream_id, (DEFAULT_URGENCY, True))[0]

    def _is_incremental(self, stream_id: int) -> bool:
        return self._priorities.get(stream_id, (DEFAULT_URGENCY, True))[1]
