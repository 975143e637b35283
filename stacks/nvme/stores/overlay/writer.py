"""Changes of an overlay, from the call to the medium.

Data goes into cells at once, into new ones unless nothing on the medium can lead there. The map is saved by a commit,
in three steps between which others may write: `prepare` takes what has changed so far, `commit` brings it to the
medium, `release` gives back what nothing leads to any more. A commit that found no room for a page is made up for by
the next; after one whose sync failed nobody knows what the medium holds, and everything is refused.
"""

from __future__ import annotations

import contextlib
import errno
import re
from array import array
from collections.abc import Sequence
from dataclasses import replace

from stacks.nvme.stores.file_layer import write_all
from stacks.nvme.stores.overlay.cells import FIRST_CELL, FROZEN, NEW, USED, Cells
from stacks.nvme.stores.overlay.layer import HEADER_BYTES, LayerFile, Snapshot


class LayerWriter:
    """The changes of a layer. map: where its blocks are now.

    All but `commit` are called under the overlay's lock. OSError for what the medium says, or when it is damaged.
    """

    def __init__(self, layer: LayerFile) -> None:
        self.layer = layer
        self.map = layer.map_of(layer.known_state.root, self._read_page)
        self._cells = found_cells(layer)
        self._block_bytes = layer.known_state.block_bytes
        self._superseded: list[int] = []
        self._releasing: list[int] = []
        self._unwritten: dict[int, tuple[int, array[int]]] = {}
        self._refusal: tuple[int, str] | None = None

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to commit."""
        return self.map.is_changed or bool(self._unwritten)

    @property
    def used_bytes(self) -> int:
        """How much of the file is in use."""
        return self._cells.used * self._block_bytes

    def check(self) -> None:
        """OSError when changes are not taken any more."""
        if self._refusal is not None:
            raise OSError(*self._refusal)

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Put blocks into cells."""
        self.check()
        count = sum(map(len, data)) // self._block_bytes
        entries = self.map.entries(block, count)
        first = entries[0]
        if first >= FIRST_CELL and self._cells.are_new(first, count) and _is_run(entries):
            write_all(self.layer.file, first * self._block_bytes, data)
            return
        first = self._cells.allocate(count)
        try:
            write_all(self.layer.file, first * self._block_bytes, data)
        except BaseException:
            self._cells.take_back(first, count)
            raise
        self.map.point(block, count, first)
        self._sort_superseded()

    def zero(self, block: int, blocks: int) -> None:
        """Have blocks read as zeroes."""
        self.check()
        self.map.zero(block, blocks)
        self._sort_superseded()

    def prepare(self) -> None:
        """Take everything that has changed so far for the next `commit`."""
        self._unwritten.update({cell: (level, page) for cell, level, page in self.map.save(self._cells)})
        self._cells.settle()
        self._releasing += self._superseded
        self._superseded = []

    def commit(self, snapshots: tuple[Snapshot, ...], root: int | None = None) -> None:
        """Have the map as it was prepared, or another root, and these snapshots on the medium."""
        for cell, (level, page) in self._unwritten.items():
            content = self.layer.page_bytes(level, page)
            write_all(self.layer.file, cell * self._block_bytes, [memoryview(content)])
        state = self.layer.known_state
        root = self.map.root if root is None else root
        try:
            self.layer.commit(replace(state, generation=state.generation + 1, root=root, snapshots=snapshots))
        except OSError as error:
            self._refusal = (error.errno or errno.EIO, "written data was lost earlier; the layer must be opened again")
            raise
        self._unwritten = {}

    def release(self) -> None:
        """Give back the cells that a commit left without use."""
        runs, self._releasing = self._cells.release(self._releasing), []
        self._punch(runs)

    def freeze(self) -> None:
        """A snapshot has everything that was in use at the last `prepare`, and is still marked so."""
        self._cells.freeze()

    def start_again(self) -> None:
        """Go on from what is on the medium; what nothing leads to is given back."""
        self._cells = found_cells(self.layer)
        self.map = self.layer.map_of(self.layer.known_state.root, self._read_page)
        self._superseded, self._releasing, self._unwritten = [], [], {}
        self._punch([(gap.start(), len(gap[0])) for gap in re.finditer(rb"\0+", self._cells.states)])

    def _read_page(self, cell: int, level: int) -> array[int]:
        # A page may be wanted before it is in the file.
        unwritten = self._unwritten.get(cell)
        return self.layer.read_page(cell, level) if unwritten is None else unwritten[1][:]

    def _sort_superseded(self) -> None:
        cells, states = self._cells, self._cells.states
        for cell in self.map.superseded:
            if states[cell] == NEW:
                cells.take_back(cell, 1)
            else:
                self._superseded.append(cell)
        self.map.superseded.clear()

    def _punch(self, runs: Sequence[tuple[int, int]]) -> None:
        size = self._block_bytes
        # A hint: where it fails, the space is used for other blocks later.
        with contextlib.suppress(OSError):
            for first, count in runs:
                if count * size >= HOLE_BYTES:
                    self.layer.file.punch(first * size, count * size)


def found_cells(layer: LayerFile) -> Cells:
    """The cells of a layer as its header has them; OSError when the layer is damaged."""
    state = layer.known_state
    reserved = 2 * HEADER_BYTES // state.block_bytes
    cells = Cells(reserved, layer.file.size() // state.block_bytes)
    top = layer.map_of(0).top
    for snapshot in state.snapshots:
        cells.claim(snapshot.root, top, layer.read_page, FROZEN)
    cells.claim(state.root, top, layer.read_page, USED)
    return cells


def _is_run(entries: array[int]) -> bool:
    return len(entries) == 1 or entries == array("Q", range(entries[0], entries[0] + len(entries)))


HOLE_BYTES = 64 << 10
"""Smaller gaps are left to be written again: a hole costs a call, and pieces of the file in the file system."""
