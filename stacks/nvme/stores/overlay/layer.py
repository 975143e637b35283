"""The file of a layer: what its headers say, and its pages; see `wire.overlay_layout` for the format."""

from __future__ import annotations

import errno
import sys
from array import array
from dataclasses import dataclass

from stacks.nvme.stores.capacity import BLOCK_SIZES
from stacks.nvme.stores.file_layer import FileLayer, write_all
from stacks.nvme.stores.overlay.block_map import BlockMap
from stacks.nvme.stores.overlay.cells import PageReader
from stacks.runtime import LocalError
from wire.checksum import crc32
from wire.overlay_codec import OverlayHeader, OverlayPageEnd, OverlaySnapshot


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state that was kept. generation: of the layer when it was taken; it rises. root: of its map."""

    name: str
    generation: int
    root: int


@dataclass(frozen=True, slots=True)
class LayerState:
    """What a header says."""

    block_bytes: int
    block_count: int
    generation: int = 0
    root: int = 0
    snapshots: tuple[Snapshot, ...] = ()

    def encode(self) -> bytes:
        """The header."""
        buffer = bytearray(HEADER_BYTES)
        for index, each in enumerate(self.snapshots):
            name = each.name.encode("ascii").ljust(NAME_BYTES, b"\0")
            entry = OverlaySnapshot(name=name, root=each.root, generation=each.generation)
            entry.encode_into(buffer, OverlayHeader.SIZE + index * OverlaySnapshot.SIZE)
        header = OverlayHeader(
            magic=MAGIC, version=VERSION, block_bytes=self.block_bytes, block_count=self.block_count,
            generation=self.generation, root=self.root, snapshot_count=len(self.snapshots),
        )  # fmt: skip
        header.encode_into(buffer)
        header.crc = crc32(buffer)
        header.encode_into(buffer)
        return bytes(buffer)


def state_of(buffer: bytes) -> LayerState | None:
    """What a header says; None when it is none, or not whole."""
    if len(buffer) < HEADER_BYTES:
        return None
    header = OverlayHeader.decode(buffer)
    crc, header.crc = header.crc, 0
    if header.magic != MAGIC or crc != crc32(header.encode() + buffer[OverlayHeader.SIZE :]):
        return None
    if header.version != VERSION or header.snapshot_count > SNAPSHOTS_MAX or header.block_bytes not in BLOCK_SIZES:
        return None
    snapshots = []
    for index in range(header.snapshot_count):
        entry = OverlaySnapshot.decode(buffer, OverlayHeader.SIZE + index * OverlaySnapshot.SIZE)
        snapshots.append(Snapshot(entry.name.rstrip(b"\0").decode("ascii", "replace"), entry.generation, entry.root))
    return LayerState(header.block_bytes, header.block_count, header.generation, header.root, tuple(snapshots))


class LayerFile:
    """A layer's file, open.

    file: owned, and closed with this; name: how messages call it; state: of the newest header.
    LocalError when the file is no layer. A file that is empty, or was never a whole one, is one to `format`.
    """

    def __init__(self, file: FileLayer, name: str) -> None:
        self.file = file
        self.name = name
        headers = [self._bytes(offset, HEADER_BYTES) for offset in (0, HEADER_BYTES)]
        states = [state for state in map(state_of, headers) if state is not None]
        self.state = max(states, key=lambda state: state.generation, default=None)
        if self.state is None and not _is_unfinished(headers, file.size()):
            raise LocalError(f"{name} is no layer of an overlay, or damaged")

    @property
    def known_state(self) -> LayerState:
        """The state of a file that is a layer."""
        assert self.state is not None
        return self.state

    def map_of(self, root: int, read_page: PageReader | None = None) -> BlockMap:
        """A map of this layer's blocks; read_page: where its pages come from when not from the file."""
        state = self.known_state
        return BlockMap(state.block_count, state.block_bytes // ENTRY_BYTES - 1, read_page or self.read_page, root)

    def format(self, block_bytes: int, block_count: int) -> None:
        """Make it an empty layer, on the medium when this returns; OSError when that cannot be."""
        self.commit(LayerState(block_bytes, block_count))

    def confirm(self) -> None:
        """Have on the medium what was found in the file: whoever wrote it may not have lived to see it there."""
        self.commit(self.known_state)

    def commit(self, state: LayerState) -> None:
        """Make `state` the newest, once everything written before is on the medium."""
        self.file.sync()
        write_all(self.file, state.generation % 2 * HEADER_BYTES, [memoryview(state.encode())])
        self.file.sync()
        self.state = state

    def read_page(self, cell: int, level: int) -> array[int]:
        """The entries of a page; OSError when it is damaged."""
        size = self.known_state.block_bytes
        content = self._bytes(cell * size, size)
        end = size - OverlayPageEnd.SIZE
        found = OverlayPageEnd.decode(content, end) if len(content) == size else OverlayPageEnd()
        if found != _page_end(level, content[:end]):
            raise OSError(errno.EIO, f"the layer is damaged: page {cell} of its map does not hold what was written")
        page = array("Q", content[:end])
        if sys.byteorder == "big":
            page.byteswap()
        return page

    def page_bytes(self, level: int, page: array[int]) -> bytes:
        """A page as `read_page` wants it."""
        if sys.byteorder == "big":
            page = page[:]
            page.byteswap()
        content = page.tobytes()
        return content + _page_end(level, content).encode()

    def _bytes(self, offset: int, length: int) -> bytes:
        into = bytearray(length)
        return bytes(into[: self.file.read_into(offset, memoryview(into))])


def _page_end(level: int, content: bytes) -> OverlayPageEnd:
    end = OverlayPageEnd(level=level)
    end.crc = crc32(end.encode()[:4], crc32(content))
    return end


def _is_unfinished(headers: list[bytes], size_bytes: int) -> bool:
    # Nothing but a first header, or pieces of one, that never got whole: the power was cut while it was formatted.
    first, rest = headers[0], headers[1]
    return size_bytes <= 2 * HEADER_BYTES and not any(rest) and (not any(first) or first.startswith(MAGIC))


MAGIC = b"BMLAYER\n"
VERSION = 1
HEADER_BYTES = 4096
ENTRY_BYTES = 8
"""Of a page; its end is as long."""
NAME_BYTES = 48
SNAPSHOTS_MAX = (HEADER_BYTES - OverlayHeader.SIZE) // OverlaySnapshot.SIZE
