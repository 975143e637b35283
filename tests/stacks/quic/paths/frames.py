"""Frames of a source, as a packet would carry them."""

from __future__ import annotations

from stacks.quic.packet_writer import FrameSource, PacketWriter, SentFrame
from wire.quic import frames as f
from wire.quic.frame_types import decode_type

Frame = f.NewConnectionId | f.RetireConnectionId | f.PathChallenge | f.PathResponse
KINDS = {
    0x18: f.NewConnectionId,
    0x19: f.RetireConnectionId,
    0x1A: f.PathChallenge,
    0x1B: f.PathResponse,
}


def packet_of(source: FrameSource, *, room: int = 1400, now: int = 0) -> tuple[list[Frame], list[SentFrame]]:
    """What a packet with `room` for frames takes of a source, and the records of it."""
    writer = PacketWriter(bytearray(2000), 0, room)
    if source.has_frames:
        source.write_frames(writer, now)
    frames: list[Frame] = []
    view, offset = memoryview(writer.buffer)[: writer.offset], 0
    while offset < len(view):
        frame_type, offset = decode_type(view, offset)
        frame, offset = KINDS[frame_type].decode(view, offset)
        frames.append(frame)
    return frames, writer.records


def given(source: FrameSource) -> list[f.NewConnectionId]:
    """The NEW_CONNECTION_ID frames that a source has."""
    return [frame for frame in packet_of(source)[0] if isinstance(frame, f.NewConnectionId)]


def retired(source: FrameSource) -> list[int]:
    """The numbers of the RETIRE_CONNECTION_ID frames that a source has."""
    return [frame.sequence_number for frame in packet_of(source)[0] if isinstance(frame, f.RetireConnectionId)]
