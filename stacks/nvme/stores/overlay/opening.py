"""Overlays and snapshots by the path of their layer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.file import create_image
from stacks.nvme.stores.file_layer import OsFile, open_file, sync_folder
from stacks.nvme.stores.overlay.store import OverlayStore, SnapshotStore
from stacks.runtime import LocalError


def open_overlay(base: Store, path: str, *, is_read_only: bool = False) -> OverlayStore:
    """The overlay whose layer is the file at `path`, under an exclusive lock; a new layer where there is no file.

    base: the overlay's from now on, unless this fails. is_read_only: under a shared lock, and there has to be a layer.
    path: `mem:` for a layer in memory, which goes with the overlay.
    Raises LocalError with one line for a person.
    """
    layer = _memory() if path == MEMORY else _file(path, is_read_only=is_read_only)
    try:
        return OverlayStore(base, layer, name=path, is_read_only=is_read_only)
    except LocalError:
        layer.close()
        raise


def open_snapshot(base: Store, path: str, name: str) -> SnapshotStore:
    """A snapshot in the layer at `path`, which others may open for reading as well; as `open_overlay`."""
    overlay = open_overlay(base, path, is_read_only=True)
    try:
        return overlay.open_snapshot(name, owns_overlay=True)
    except LocalError:
        overlay.close_layer()
        raise


def _file(path: str, *, is_read_only: bool) -> OsFile:
    if not is_read_only:
        try:
            create_image(path, 0)
            sync_folder(str(Path(path).parent))
        except LocalError as error:
            if error.errno != errno.EEXIST:
                raise
    return open_file(path, is_read_only=is_read_only)


def _memory() -> OsFile:
    return OsFile(os.memfd_create("layer"))


MEMORY = "mem:"
