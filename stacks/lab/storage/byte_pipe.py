"""Bytes in order, one way, in the packets of a model flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from stacks.lab.flow import ModelFlow
from stacks.model import AckPacket, DataPacket, Receiver, Sender
from transports.datagram import Buffer
from transports.link import Sink
from transports.timeline import Timeline


class BytePipe(ModelFlow):
    """One direction of a connection.

    on_delivered: called when more bytes are there; on_room: when more can be written. capacity_bytes: written and not
    there yet, at most. delays: of packets, if somebody wants them.
    """

    def __init__(
        self,
        timeline: Timeline,
        sender: Sender,
        receiver: Receiver,
        *,
        forward: Sequence[Sink],
        backward: Sequence[Sink],
        number: int,
        capacity_bytes: int,
    ) -> None:
        super().__init__(timeline, sender, receiver, forward=forward, backward=backward, number=number)
        self.on_delivered: Callable[[], object] | None = None
        self.on_room: Callable[[], object] | None = None
        self.is_open = False
        self._capacity_bytes = capacity_bytes
        self._written_bytes = self._read_bytes = self._delivered_bytes = 0
        self._chunks: deque[bytes] = deque()
        self._sizes: dict[int, int] = {}
        self._segments = 0

    @property
    def room_bytes(self) -> int:
        """How much can be written now."""
        return self._capacity_bytes - (self._written_bytes - self._delivered_bytes)

    @property
    def readable_bytes(self) -> int:
        """How much can be read now."""
        return self._delivered_bytes - self._read_bytes

    @property
    def is_drained(self) -> bool:
        """Whether everything that was written was read."""
        return self._read_bytes == self._written_bytes

    def open(self) -> None:
        """The connection is there: what was written leaves."""
        self.is_open = True
        if self._written_bytes:
            self.write(self._written_bytes)

    def put(self, views: Sequence[Buffer]) -> int:
        """Take as much of `views` as there is room for; how much that is."""
        room, taken = self.room_bytes, 0
        for view in views:
            piece = bytes(view[: room - taken])
            if not piece:
                break
            self._chunks.append(piece)
            taken += len(piece)
        self._written_bytes += taken
        if taken and self.is_open:
            self.write(taken)
        return taken

    def take(self, views: Sequence[memoryview]) -> int:
        """Fill `views` with what is there; how much that is."""
        taken = 0
        for view in views:
            at = 0
            while at < len(view) and self.readable_bytes:
                chunk = self._chunks[0]
                piece = chunk[: min(len(view) - at, self.readable_bytes)]
                view[at : at + len(piece)] = piece
                at += len(piece)
                self._read_bytes += len(piece)
                if len(piece) == len(chunk):
                    self._chunks.popleft()
                else:
                    self._chunks[0] = chunk[len(piece) :]
            taken += at
        return taken

    def _deliver(self, packet: DataPacket) -> None:
        if not packet.is_corrupt and packet.segment >= self._segments:
            self._sizes[packet.segment] = packet.size_bytes - self.sender.overhead_bytes
        super()._deliver(packet)
        before = self._segments
        while self._segments < self.receiver.delivered_segments:
            self._delivered_bytes += self._sizes.pop(self._segments)
            self._segments += 1
        if self._segments > before and self.on_delivered is not None:
            self.on_delivered()

    def _acknowledge(self, ack: AckPacket) -> None:
        super()._acknowledge(ack)
        if self.on_room is not None and self.room_bytes > 0:
            self.on_room()
