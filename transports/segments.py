"""Cutting a transmit's views into the datagrams that they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transports.datagram import Buffer, Transmit

MAX_UDP_PAYLOAD_BYTES = 65_507
"""The largest UDP payload in an IPv4 packet; it limits a segmented send as a whole."""
MAX_SEGMENTS = 64
"""Segments of one send that every kernel with UDP_SEGMENT takes (newer ones take 128)."""


def cut(views: Sequence[Buffer], piece_bytes: int, *, start: int = 0) -> Iterator[list[Buffer]]:
    """Yield the views of each consecutive piece of `piece_bytes` (the last may be shorter), without copying.

    views: flat byte buffers, borrowed; `piece_bytes`: more than 0; `start`: bytes to leave out first. Nothing left
    yields nothing.
    """
    piece: list[Buffer] = []
    missing = piece_bytes
    for buffer in views:
        view = memoryview(buffer)
        if start:
            view, start = view[start:], max(0, start - len(view))
        while len(view) >= missing:
            piece.append(view[:missing])
            yield piece
            view = view[missing:]
            piece, missing = [], piece_bytes
        if len(view):
            piece.append(view)
            missing -= len(view)
    if piece:
        yield piece


def payloads(transmit: Transmit) -> list[bytes]:
    """Copies of the datagram payloads of `transmit`, in order; one empty payload when it carries nothing."""
    whole = b"".join(transmit.views)
    step = transmit.segment_bytes
    if not step or len(whole) <= step:
        return [whole]
    return [whole[start : start + step] for start in range(0, len(whole), step)]


def total_bytes(views: Sequence[Buffer]) -> int:
    """The sum of the views' lengths in bytes."""
    return sum(map(len, views))
