"""Where each block of an overlay is: a tree of pages, read when they are wanted, written when they have changed.

An entry is ABSENT (as in the base), ZERO, or a cell: of the block, or of the page below. A page that has changed goes
into a new cell when it is saved, and the pages above with it, so what is on the medium stays whole until the header
leads to the new root. `wire.overlay_layout` has the format.
"""

from __future__ import annotations

from array import array

from stacks.nvme.stores.overlay.cells import FIRST_CELL, Cells, PageReader

ABSENT, ZERO = 0, 1


class BlockMap:
    """A map of `block_count` blocks.

    fanout: entries of a page; read_page: how to have one; root: where it starts.
    superseded: cells that the map on the medium reaches and this one does not any more; whoever saves it takes them.
    """

    def __init__(self, block_count: int, fanout: int, read_page: PageReader, root: int) -> None:
        self.fanout = fanout
        self.root = root
        self.superseded: list[int] = []
        self._block_count = block_count
        self._read_page = read_page
        # How many blocks an entry is about, by level.
        self._spans = [1]
        while self._spans[-1] * fanout < block_count:
            self._spans.append(self._spans[-1] * fanout)
        self.top = len(self._spans) - 1
        self._pages: list[dict[int, array[int]]] = [{} for _ in self._spans]
        self._changed: list[set[int]] = [set() for _ in self._spans]

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save."""
        return bool(self._changed[self.top])

    def entries(self, block: int, count: int) -> array[int]:
        """The entries of `count` blocks."""
        index, at = divmod(block, self.fanout)
        found = self._slice(index, at, count)
        while len(found) < count:
            index += 1
            found += self._slice(index, 0, count - len(found))
        return found

    def point(self, block: int, count: int, first: int) -> None:
        """Have `count` blocks in the cells from `first` on."""
        while count:
            index, at = divmod(block, self.fanout)
            step = min(count, self.fanout - at)
            page = self._own(0, index)
            self._supersede(page[at : at + step])
            page[at : at + step] = array("Q", range(first, first + step))
            block, count, first = block + step, count - step, first + step

    def zero(self, block: int, count: int) -> None:
        """Have `count` blocks read as zeroes."""
        self._zero(self.top, 0, block, block + count)

    def save(self, cells: Cells) -> list[tuple[int, int, array[int]]]:
        """Give every changed page a new cell; (cell, level, entries) of each, in order of the cells.

        A page that is all zeroes, or all of the base, becomes an entry of the page above.
        """
        left = sum(map(len, self._changed))
        cell = cells.allocate(left) if left else 0
        saved = []
        for level, indices in enumerate(self._changed):
            for index in sorted(indices):
                page = self._pages[level][index]
                entry = page[0]
                if entry < FIRST_CELL and page.count(entry) == self.fanout:
                    del self._pages[level][index]
                else:
                    entry = cell
                    saved.append((cell, level, page[:]))
                    cell, left = cell + 1, left - 1
                self._set_entry(level, index, entry)
            indices.clear()
        if left:
            cells.take_back(cell, left)
        return saved

    def _slice(self, index: int, at: int, count: int) -> array[int]:
        page = self._pages[0].get(index) or self._find(0, index)
        if isinstance(page, int):
            return array("Q", (page,)) * min(count, self.fanout - at)
        return page[at : at + count]

    def _find(self, level: int, index: int) -> array[int] | int:
        """A page, or what all of it is."""
        page = self._pages[level].get(index)
        if page is not None:
            return page
        entry = self._entry(level, index)
        if entry < FIRST_CELL:
            return entry
        page = self._read_page(entry, level)
        if not level and len(self._pages[0]) >= PAGES_MAX:
            self._pages[0] = {each: self._pages[0][each] for each in self._changed[0]}
        self._pages[level][index] = page
        return page

    def _entry(self, level: int, index: int) -> int:
        """What leads to a page; not valid while that is changed."""
        if level == self.top:
            return self.root
        above = self._find(level + 1, index // self.fanout)
        return above if isinstance(above, int) else above[index % self.fanout]

    def _set_entry(self, level: int, index: int, entry: int) -> None:
        if level == self.top:
            self.root = entry
        else:
            self._pages[level + 1][index // self.fanout][index % self.fanout] = entry

    def _own(self, level: int, index: int) -> array[int]:
        """A page that may be changed: there, and marked with all above it; its cell is of no use any more."""
        if index in self._changed[level]:
            return self._pages[level][index]
        page = self._find(level, index)
        entry = self._entry(level, index)
        if level < self.top:
            self._own(level + 1, index // self.fanout)
        if isinstance(page, int):
            page = array("Q", (page,)) * self.fanout
        elif entry >= FIRST_CELL:
            self.superseded.append(entry)
        self._pages[level][index] = page
        self._changed[level].add(index)
        return page

    def _zero(self, level: int, index: int, first: int, last: int) -> None:
        if self._find(level, index) == ZERO:
            return
        page, span = self._own(level, index), self._spans[level]
        origin = index * self.fanout * span
        begin = max(first - origin, 0) // span
        end = min(-((origin - last) // span), self.fanout)
        if not level:
            self._supersede(page[begin:end])
            page[begin:end] = array("Q", (ZERO,)) * (end - begin)
            return
        for at in range(begin, end):
            start, below = origin + at * span, index * self.fanout + at
            if first <= start and (start + span <= last or last == self._block_count):
                self._drop(level - 1, below, page[at])
                page[at] = ZERO
            else:
                self._zero(level - 1, below, first, last)

    def _drop(self, level: int, index: int, entry: int) -> None:
        """Forget a page and all below; the cells of all that are superseded, in which nothing changed before."""
        page = self._pages[level].pop(index, None)
        if index in self._changed[level]:
            self._changed[level].remove(index)
        elif entry >= FIRST_CELL:
            self.superseded.append(entry)
            page = page or self._read_page(entry, level)
        if page is None:
            return
        if not level:
            self._supersede(page)
            return
        for at, below in enumerate(page):
            self._drop(level - 1, index * self.fanout + at, below)

    def _supersede(self, entries: array[int]) -> None:
        self.superseded += [entry for entry in entries if entry >= FIRST_CELL]


PAGES_MAX = 16384
"""Pages of level 0 in memory, of those that have not changed; then they are read again."""
