"""The overlay: reads go to where a block is, changes into cells of the layer that nothing on the medium leads to.

A flush writes the pages of the map that have changed, waits for them and for the data, writes the header, and waits
for that. So at a power cut the layer is as it was at the last flush, whole, whatever was on its way; a block that was
not flushed is never seen in part.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from stacks.nvme.stores.contract import FLUSH, Store
from stacks.nvme.stores.file_layer import FileLayer, cannot
from stacks.nvme.stores.overlay.block_map import BlockMap
from stacks.nvme.stores.overlay.layer import NAME_BYTES, SNAPSHOTS_MAX, LayerFile, Snapshot
from stacks.nvme.stores.overlay.mapped import MappedStore
from stacks.nvme.stores.overlay.writer import LayerWriter
from stacks.nvme.stores.read_only import refuse
from stacks.runtime import LocalError


class OverlayStore(MappedStore):
    """`base`, which is never written, under a layer that takes the changes.

    base: must not change while a layer of it is of use; layer: its file, a new one when it is empty. Both are owned by
    the overlay from now on, and closed with it. name: how messages call the layer; is_read_only: refuse every change.
    Raises LocalError when the file is no layer, or that of a base of another size, or damaged.
    """

    def __init__(self, base: Store, layer: FileLayer, *, name: str = "layer", is_read_only: bool = False) -> None:
        try:
            file = _opened(base, layer, name, is_read_only=is_read_only)
            self._writer = LayerWriter(file)
            super().__init__(base, file, self._writer.map, threading.Lock())
        except OSError as error:
            raise cannot(name, error) from error
        self.is_read_only = is_read_only
        if not is_read_only:
            self.slow_verbs |= {FLUSH}
        # Taken before `_lock`, for the whole of a commit; during a flush reads and writes go on.
        self._commit_lock = threading.Lock()
        self._in_use: Counter[str] = Counter()

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The states that were kept, the oldest first."""
        return self._layer.known_state.snapshots

    @property
    def used_bytes(self) -> int:
        """How much of the layer's file is in use: data, and maps."""
        with self._lock:
            return self._writer.used_bytes

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write into new cells; over what was written since the last flush began, in place."""
        self._check_writable()
        with self._lock:
            self._writer.write(block, data)

    def flush(self) -> None:
        """Wait until every change is on the medium; once that fails, it fails until the layer is opened again, unless
        the medium was only full.
        """
        if self.is_read_only:
            return
        with self._commit_lock:
            with self._lock:
                self._writer.check()
                if not self._writer.is_changed:
                    return
                self._writer.prepare()
            self._writer.commit(self.snapshots)
            with self._lock:
                self._writer.release()

    def deallocate(self, block: int, blocks: int) -> None:
        """The blocks read as zeroes, and their cells are free once that is on the medium."""
        self.write_zeroes(block, blocks)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Have the map say that the blocks are zeroes."""
        self._check_writable()
        with self._lock:
            self._writer.zero(block, blocks)

    def snapshot(self, name: str) -> Snapshot:
        """Keep the present state under a name; it is on the medium when this returns.

        LocalError for a name that is taken or has other characters than letters, digits, '.', '_' and '-', when there
        are as many as a layer can have, or when the medium does not take it.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name, re.ASCII) or len(name) >= NAME_BYTES:
            raise LocalError(f"{name!r} is no name for a snapshot: {NAME_BYTES - 1} letters, digits, '.', '_', '-'")
        with self._changing():
            if any(each.name == name for each in self.snapshots):
                raise LocalError(f"{self._layer.name} has a snapshot {name} already", errno=errno.EEXIST)
            if len(self.snapshots) >= SNAPSHOTS_MAX:
                raise LocalError(f"{self._layer.name} has {SNAPSHOTS_MAX} snapshots, which is as many as it can have")
            with self._lock:
                self._writer.prepare()
                made = Snapshot(name, self._layer.known_state.generation + 1, self._map.root)
            # Reads and writes go on meanwhile; what is written now is none of the snapshot's.
            self._writer.commit((*self.snapshots, made), made.root)
            with self._lock:
                self._writer.release()
                self._writer.freeze()
            return made

    def delete_snapshot(self, name: str) -> None:
        """Forget a snapshot, and give back what only it has; LocalError when there is none, or when it is open."""
        with self._changing(), self._lock:
            gone = self._unused(name)
            self._writer.prepare()
            self._writer.commit(tuple(each for each in self.snapshots if each != gone))
            self._start_again()

    def roll_back(self, name: str) -> None:
        """Have all blocks as they were when a snapshot was taken, which stays; LocalError when there is none.

        What was written since is gone, flushed or not, except for other snapshots.
        """
        with self._changing(), self._lock:
            self._writer.commit(self.snapshots, self._named(name).root)
            self._start_again()

    def open_snapshot(self, name: str, *, owns_overlay: bool = False) -> SnapshotStore:
        """A snapshot as a read-only store, to be closed before the overlay; LocalError when there is none.

        owns_overlay: the overlay is closed with it.
        """
        block_map = self._layer.map_of(self._named(name).root)
        self._in_use[name] += 1

        def closed() -> None:
            self._in_use[name] -= 1
            if owns_overlay:
                self.close()

        return SnapshotStore(self._base, self._layer, block_map, self._lock, on_close=closed)

    def close(self) -> None:
        """Flush, and close the layer and the base."""
        try:
            self.flush()
        finally:
            self.close_layer()
            self._base.close()

    def close_layer(self) -> None:
        """Close the layer as it is, and give the base back."""
        self._layer.file.close()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        if self.is_read_only:
            raise LocalError(f"{self._layer.name} is read-only", errno=errno.EROFS)
        with self._commit_lock:
            try:
                self._writer.check()
                yield
            except OSError as error:
                raise cannot(self._layer.name, error) from error

    def _start_again(self) -> None:
        self._writer.start_again()
        self._map = self._writer.map

    def _named(self, name: str) -> Snapshot:
        for each in self.snapshots:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in self.snapshots) or "none"
        raise LocalError(f"{self._layer.name} has no snapshot {name}; there are: {names}", errno=errno.ENOENT)

    def _unused(self, name: str) -> Snapshot:
        if self._in_use[name]:
            raise LocalError(f"snapshot {name} of {self._layer.name} is in use", errno=errno.EBUSY)
        return self._named(name)

    def _check_writable(self) -> None:
        if self.is_read_only:
            refuse()


class SnapshotStore(MappedStore):
    """A snapshot of an overlay, as a store; made by `OverlayStore.open_snapshot`. on_close: called once by `close`."""

    is_read_only = True

    def __init__(
        self, base: Store, layer: LayerFile, block_map: BlockMap, lock: threading.Lock, *, on_close: Callable[[], None]
    ) -> None:
        super().__init__(base, layer, block_map, lock)
        self._on_close: Callable[[], None] | None = on_close

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Refuse."""
        refuse(block, data)

    def deallocate(self, block: int, blocks: int) -> None:
        """Refuse."""
        refuse(block, blocks)

    def close(self) -> None:
        """The snapshot may be deleted again."""
        if self._on_close is not None:
            self._on_close()
            self._on_close = None


def _opened(base: Store, layer: FileLayer, name: str, *, is_read_only: bool) -> LayerFile:
    file = LayerFile(layer, name)
    if file.state is None:
        if is_read_only:
            raise LocalError(f"{name} is no layer yet, and cannot become one for reading only")
        file.format(base.block_bytes, base.block_count)
    elif not is_read_only:
        file.confirm()
    found = file.known_state
    if found.block_bytes != base.block_bytes:
        raise LocalError(f"{name} is a layer of {found.block_bytes}-byte blocks, and its base has {base.block_bytes}")
    if found.block_count != base.block_count:
        raise LocalError(f"{name} is a layer of {found.block_count} blocks, and its base has {base.block_count}")
    return file
