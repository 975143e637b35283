"""The laboratory header: data packets and acknowledgements of a model sender over UDP.

Ranges follow the head of an acknowledgement, so that its codec is written by hand here; what the parts look like is in
`lab_layout`, the whole in `lab_definition`, which this is tested against. Nothing is judged but lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as struct_error

from wire.errors import WireError
from wire.lab_codec import LabAckHead, LabData, LabRange

Buffer = bytes | bytearray | memoryview


class LabAck:
    """An acknowledgement. head: see there; ranges: pairs of first and last packet number, newest first."""

    __slots__ = ("head", "ranges")

    def __init__(self, head: LabAckHead, ranges: Sequence[tuple[int, int]]) -> None:
        self.head = head
        self.ranges = ranges

    @staticmethod
    def decode(buffer: Buffer, offset: int = 0) -> LabAck:
        """Read one at `offset`; WireError when the buffer is too short."""
        head = LabAckHead.decode(buffer, offset)
        try:
            words = _numbers(head.range_count).unpack_from(buffer, offset + LabAckHead.SIZE)
        except struct_error:
            raise WireError(
                f"{head.range_count} ranges do not fit", format="LabAck", field="range_count", offset=offset
            ) from None
        return LabAck(head, list(zip(words[::2], words[1::2], strict=True)))

    def encode(self) -> bytes:
        """The bytes; `head.range_count` becomes what it has to be. WireError when a number is out of range."""
        ranges = self.ranges
        if len(ranges) > MAX_RANGES:
            raise WireError(f"{len(ranges)} ranges, {MAX_RANGES} at most", format="LabAck", field="range_count")
        self.head.range_count = len(ranges)
        try:
            return self.head.encode() + _numbers(len(ranges)).pack(*(number for pair in ranges for number in pair))
        except struct_error as error:
            raise WireError(str(error), format="LabRange") from None


def lab_kind(buffer: Buffer) -> int:
    """DATA or ACK; 0 for what is no packet of this format and version, or too short to tell."""
    return buffer[3] if len(buffer) >= LabAckHead.SIZE and buffer[:3] == _START else 0


def _numbers(ranges: int) -> Struct:
    structs = _STRUCTS
    if ranges not in structs:
        structs[ranges] = Struct(f">{2 * ranges}Q")
    return structs[ranges]


DATA, ACK = 1, 2
MAX_RANGES = 255
_STRUCTS: dict[int, Struct] = {}
_START = LabData().encode()[:3]

__all__ = ["ACK", "DATA", "MAX_RANGES", "LabAck", "LabAckHead", "LabData", "LabRange", "lab_kind"]
