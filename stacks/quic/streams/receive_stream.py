"""The receiving part of one stream: credit, final size, what waits to be read (RFC 9000 3.2, 4.1, 4.5)."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.streams.receive_buffer import GapBudget, ReceiveBuffer, append
from stacks.quic.streams.states import RECEIVE_TABLE, ReceiveEvent, ReceiveState
from stacks.runtime import Verdict
from wire.quic.frame_types import FRAME_STREAM


class ReceiveStream:
    """Offsets in bytes of the stream.

    window: the limit that the peer was told. highest: how far it has sent, which is what counts as received.
    final_size: None until it is known; stop_offset: up to where it is delivered then, less where it was reset with a
    reliable part. reset_code: None while it was not reset. stop_code: of our STOP_SENDING; what comes is dropped then.
    next_offset: where the next bytes begin if they may go the short way: no gap, the end unknown, nobody stopped it;
    else NOWHERE. is_told: the application knows that there is something to read.
    """

    __slots__ = (
        "_budget", "buffer", "final_size", "highest", "is_told", "next_offset", "reset_code", "state", "stop_code",
        "stop_offset", "stream_id", "window",
    )  # fmt: skip

    def __init__(self, stream_id: int, window: int, budget: GapBudget) -> None:
        self.stream_id = stream_id
        self.window = window
        self.highest = self.stop_offset = 0
        self.final_size: int | None = None
        self.reset_code: int | None = None
        self.stop_code: int | None = None
        self.state = ReceiveState.RECV
        self.is_told = False
        self.next_offset = NOWHERE
        self.buffer: ReceiveBuffer | None = None
        self._budget = budget

    @property
    def read_offset(self) -> int:
        """How far the application has read."""
        return 0 if self.buffer is None else self.buffer.start

    @property
    def readable_bytes(self) -> int:
        """In order, and not read."""
        return 0 if self.buffer is None else self.buffer.end - self.buffer.start

    @property
    def gaps(self) -> int:
        """How many runs of bytes there are behind gaps."""
        return 0 if self.buffer is None else self.buffer.gaps

    @property
    def is_complete(self) -> bool:
        """Whether the end is reached: everything that will be delivered was read, or is not wanted."""
        if self.state is ReceiveState.DATA_RECVD:
            return not self.readable_bytes
        return self.state in (ReceiveState.DATA_READ, ReceiveState.RESET_READ)

    @property
    def is_done(self) -> bool:
        """Whether the machine is at its end."""
        return self.state in (ReceiveState.DATA_READ, ReceiveState.RESET_READ)

    def grow(self, end: int) -> int:
        """The peer has sent up to `end`: by how much that is more than before. QuicError where it may not be."""
        if end > self.window:
            raise QuicError(
                TransportErrorCode.FLOW_CONTROL_ERROR,
                f"stream {self.stream_id} goes to {end}, and its limit is {self.window}",
                frame_type=FRAME_STREAM,
            )
        if self.final_size is not None and end > self.final_size:
            raise self._final_size_error(end)
        if end <= self.highest:
            return 0
        grown = end - self.highest
        self.highest = end
        self.next_offset = NOWHERE
        return grown

    def add(self, offset: int, view: memoryview) -> None:
        """Bytes of it, within what `grow` allowed."""
        if self.state >= ReceiveState.DATA_RECVD:
            return
        buffer = self.buffer
        if buffer is None:
            buffer = self.buffer = ReceiveBuffer(self._budget)
        buffer.add(offset, view)
        if self.final_size is not None and buffer.end >= self.stop_offset:
            self.apply(ReceiveEvent.ALL_DATA)

    def look_ahead(self) -> None:
        """Whether the next bytes may go the short way."""
        buffer = self.buffer
        if buffer is not None and buffer.end == self.highest and self.final_size is None and self.stop_code is None:
            self.next_offset = buffer.end

    def take_next(self, view: memoryview, end: int) -> None:
        """Bytes at `next_offset`, up to `end`: the short way, after which it is open still."""
        assert self.buffer is not None
        append(self.buffer.chunks, view)
        self.buffer.end = self.highest = self.next_offset = end

    def take_run(self, views: Sequence[memoryview], end: int) -> None:
        """As `take_next`, of pieces that follow each other."""
        assert self.buffer is not None
        self.buffer.chunks.append(b"".join(views))
        self.buffer.end = self.highest = self.next_offset = end

    def end(self, final_size: int) -> int:
        """The stream ends there: by how much more than before was sent. QuicError where it cannot."""
        grown = self._fix(final_size)
        if self.state is ReceiveState.RECV:
            self.stop_offset = final_size
        self._look()
        return grown

    def reset(self, code: int, final_size: int, reliable_bytes: int) -> int:
        """The peer gave up, but for `reliable_bytes`: by how much more than before was sent.

        QuicError where the code or the size is another than before.
        """
        if self.reset_code is not None and code != self.reset_code:
            reason = f"stream {self.stream_id} is reset with another code than before"
            raise QuicError(TransportErrorCode.STREAM_STATE_ERROR, reason)
        grown = self._fix(final_size)
        if self.state >= ReceiveState.DATA_RECVD:
            return grown
        if self.reset_code is None or reliable_bytes < self.stop_offset:
            self.stop_offset = reliable_bytes
        self.reset_code = code
        if not self.stop_offset:
            self.apply(ReceiveEvent.RESET)
        else:
            self._look()
        return grown

    def apply(self, event: ReceiveEvent) -> None:
        """Move on."""
        outcome = RECEIVE_TABLE.apply(self.state, event)
        if not isinstance(outcome, Verdict):
            self.state = outcome

    def drop(self) -> None:
        """Nothing of it will be read any more."""
        self.next_offset = NOWHERE
        if self.buffer is not None:
            self.buffer.discard()

    def _fix(self, final_size: int) -> int:
        if final_size < self.highest or (self.final_size is not None and final_size != self.final_size):
            raise self._final_size_error(final_size)
        grown = self.grow(final_size)
        self.final_size = final_size
        self.next_offset = NOWHERE
        return grown

    def _look(self) -> None:
        """The end, or an earlier one, is known: perhaps everything is here."""
        self.apply(ReceiveEvent.END)
        received = 0 if self.buffer is None else self.buffer.end
        if received >= self.stop_offset:
            self.apply(ReceiveEvent.ALL_DATA)

    def _final_size_error(self, end: int) -> QuicError:
        known = f"ends at {self.final_size}" if self.final_size is not None else f"goes to {self.highest}"
        reason = f"stream {self.stream_id} {known}, and then ends at {end}"
        return QuicError(TransportErrorCode.FINAL_SIZE_ERROR, reason, frame_type=FRAME_STREAM)


NOWHERE = -1
