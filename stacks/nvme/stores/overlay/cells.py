"""The cells of a layer's file: which are free, and which may not be written again.

One byte a cell, so that bytes' own search finds room. A free cell becomes NEW when it is given out, USED when a map
that reaches it is on its way to the medium, FROZEN when a snapshot reaches it, and free again when no map on the medium
does.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable, Iterable

FREE, USED, FROZEN, NEW = range(4)

PageReader = Callable[[int, int], "array[int]"]
"""(cell, level) -> the entries of that page; OSError when it is none."""


class Cells:
    """The states of a file's cells.

    reserved: how many at the beginning are none, at least 2; count: how many the file has room for so far.
    """

    def __init__(self, reserved: int, count: int) -> None:
        self.reserved = reserved
        self.states = bytearray([FROZEN]) * reserved + bytearray(max(0, count - reserved))
        self._free = len(self.states) - reserved
        self._from = reserved
        # No run of so many is free: do not look again until some come back.
        self._too_many = UNKNOWN
        self._new: list[tuple[int, int]] = []

    @property
    def used(self) -> int:
        """How many cells are not free."""
        return len(self.states) - self.reserved - self._free

    def allocate(self, count: int) -> int:
        """The first of `count` cells in a row, which are NEW now; behind the others where no gap is wide enough."""
        first = self._find(count) if count <= self._free and count < self._too_many else NONE
        if first == NONE:
            first = len(self.states)
            self.states.extend(bytes(count))
        else:
            self._free -= count
            self._from = first + count
        self.states[first : first + count] = bytes([NEW]) * count
        self._new.append((first, count))
        if len(self._new) > NEW_RUNS_MAX:
            self._new = [(self.reserved, len(self.states) - self.reserved)]
        return first

    def are_new(self, first: int, count: int) -> bool:
        """Whether all of these were given out since `settle`, so that nothing on the medium leads to them."""
        return self.states[first : first + count] == bytes([NEW]) * count

    def take_back(self, first: int, count: int) -> None:
        """NEW cells are free again."""
        self.states[first : first + count] = bytes(count)
        self._free += count

    def settle(self) -> None:
        """Whatever is NEW is USED: a map that reaches it is on its way to the medium."""
        for first, count in self._new:
            self.states[first : first + count] = self.states[first : first + count].translate(_SETTLED)
        self._new.clear()

    def freeze(self) -> None:
        """Whatever is USED is FROZEN: a snapshot reaches it."""
        self.states = self.states.translate(_FROZEN)

    def release(self, cells: Iterable[int]) -> list[tuple[int, int]]:
        """Make those of the cells free that are USED; as runs of (first, count)."""
        states, runs = self.states, []
        first = count = 0
        for cell in sorted(cells):
            if states[cell] != USED:
                continue
            states[cell] = FREE
            if cell == first + count:
                count += 1
            else:
                runs.append((first, count))
                first, count = cell, 1
        runs.append((first, count))
        self._free += sum(length for _, length in runs)
        self._too_many = UNKNOWN
        return [run for run in runs if run[1]]

    def claim(self, root: int, level: int, read_page: PageReader, state: int) -> None:
        """Give everything that a map reaches a state, where it is free so far; OSError for a damaged map."""
        todo = [(root, level)]
        while todo:
            cell, level = todo.pop()
            if cell >= FIRST_CELL and self._claim(cell, state):
                # A page that is claimed already belongs to another map, and so does all below it.
                page = read_page(cell, level)
                if level:
                    todo += [(entry, level - 1) for entry in page if entry >= FIRST_CELL]
                else:
                    for entry in page:
                        if entry >= FIRST_CELL:
                            self._claim(entry, state)

    def _claim(self, cell: int, state: int) -> bool:
        if not self.reserved <= cell < len(self.states):
            raise OSError(errno.EIO, f"the layer is damaged: its map leads to cell {cell} of {len(self.states)}")
        if self.states[cell] != FREE:
            return False
        self.states[cell] = state
        self._free -= 1
        return True

    def _find(self, count: int) -> int:
        pattern = bytes(count)
        first = self.states.find(pattern, self._from)
        if first == NONE:
            first = self.states.find(pattern)
        if first == NONE:
            self._too_many = count
        return first


FIRST_CELL = 2
"""Lower numbers in a map are no cells."""

NEW_RUNS_MAX = 4096
"""More runs of NEW cells are not told apart any more: `settle` looks at all cells then."""

NONE = -1
UNKNOWN = 1 << 62

_SETTLED = bytes([FREE, USED, FROZEN, USED]) + bytes(range(4, 256))
_FROZEN = bytes([FREE, FROZEN, FROZEN, NEW]) + bytes(range(4, 256))
