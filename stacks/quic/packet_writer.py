"""What the concerns of a connection write their frames into, and what becomes of a frame once it was sent."""

from __future__ import annotations

from typing import Protocol


class SentFrame(Protocol):
    """What a concern remembers of a frame that it sent; told exactly one of both, unless its keys were discarded.

    `acked` may follow `lost` where the loss was spurious.
    """

    def acked(self, now: int) -> None:
        """The packet was acknowledged."""

    def lost(self, now: int) -> None:
        """The packet is lost: what the frame said is to be said again, if it still holds."""


class PacketWriter:
    """The payload of one packet that is being built: frames go from `offset` on, up to `limit`.

    buffer: of the whole datagram; view: of it, the cheaper one to write much into. records: of the frames that someone
    wants to hear of, in order.
    is_ack_eliciting, is_in_flight: of what is in the packet so far (RFC 9002 2). has_frames: anything at all.
    """

    __slots__ = ("buffer", "has_frames", "is_ack_eliciting", "is_in_flight", "limit", "offset", "records", "view")

    def __init__(self, buffer: bytearray, offset: int, limit: int) -> None:
        self.buffer = buffer
        self.view = memoryview(buffer)
        self.offset = offset
        self.limit = limit
        self.records: list[SentFrame] = []
        self.is_ack_eliciting = False
        self.is_in_flight = False
        self.has_frames = False

    @property
    def room_bytes(self) -> int:
        """What still fits."""
        return self.limit - self.offset

    def put(self, frame: bytes | bytearray, record: SentFrame | None = None, *, is_ack_eliciting: bool = True) -> bool:
        """Append a frame that is encoded already; False, and nothing was done, where it does not fit."""
        end = self.offset + len(frame)
        if end > self.limit:
            return False
        self.buffer[self.offset : end] = frame
        self.wrote(end, record, is_ack_eliciting=is_ack_eliciting)
        return True

    def wrote(self, end: int, record: SentFrame | None = None, *, is_ack_eliciting: bool = True) -> None:
        """A frame was written in place from `offset` up to `end`, which is the new offset."""
        self.offset = end
        self.has_frames = True
        if is_ack_eliciting:
            self.is_ack_eliciting = self.is_in_flight = True
        if record is not None:
            self.records.append(record)


class FrameSource(Protocol):
    """A concern that has frames to send now and then."""

    has_frames: bool
    """Whether `write_frames` has anything to write: a plain attribute, asked for each packet."""

    def write_frames(self, packet: PacketWriter, now: int) -> None:
        """Write as many frames as fit, the most urgent first; clear `has_frames` when nothing is left."""
