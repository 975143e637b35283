"""Views of the same part of each packet of a burst.

Making a view costs as much as copying a kilobyte. A transport that receives into one buffer again and again says so
(`Burst.staging`); then the views are made once for each size of packet, and used for every burst.
"""

from __future__ import annotations


class Slices:
    """The views of one device's staging buffer, for the sizes that came last."""

    def __init__(self) -> None:
        self._staging: memoryview | None = None
        self._kept: dict[tuple[int, int, int], list[memoryview]] = {}

    def use(self, staging: memoryview | None) -> None:
        """Bursts come in `staging` now, or each in a buffer of its own."""
        if staging is not self._staging:
            self._staging = staging
            self._kept.clear()

    def part(self, view: memoryview, size: int, start: int, length: int) -> list[memoryview]:
        """`length` bytes from `start` of each packet of `size` bytes in `view`, which is the front of the buffer.

        There may be more of them than packets.
        """
        if self._staging is None:
            return [view[at : at + length] for at in range(start, len(view), size)]
        kept = self._kept.get((size, start, length))
        if kept is None or len(kept) * size < len(view):
            if len(self._kept) >= KEPT_SIZES:
                self._kept.clear()
            staging = self._staging[: max(len(view), PACKETS * size)]
            kept = [staging[at : at + length] for at in range(start, len(staging) - length + 1, size)]
            self._kept[size, start, length] = kept
        return kept


KEPT_SIZES = 32
PACKETS = 16
"""Packets that are cut for at least, so that a short burst of a size is not followed by cutting again soon."""
