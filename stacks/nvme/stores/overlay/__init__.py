"""Copy-on-write overlays: a base that is never written, a layer that takes the changes, and snapshots of both.

    base  <-- read, where nothing changed ---  OverlayStore  --- changes, maps, snapshots -->  layer (one file)
                                               SnapshotStore (read-only, one for each that is open)

`cells` says what of the file is free, `block_map` where each block is, `layer` what a header says, `writer` what is on
the medium when; `wire.overlay_layout` is the format of the file. Left out: bases that name themselves in the layer,
merging a layer into its base, layers larger than their base.

Memory: a byte for each cell of the file, and the pages of the map that are in use, at most 64 MiB of those that have
not changed. Opening a layer reads all of its maps, a five-hundredth of its data (with 512-byte blocks a sixtieth).
"""

from stacks.nvme.stores.overlay.layer import Snapshot
from stacks.nvme.stores.overlay.opening import open_overlay, open_snapshot
from stacks.nvme.stores.overlay.store import OverlayStore, SnapshotStore

__all__ = ["OverlayStore", "Snapshot", "SnapshotStore", "open_overlay", "open_snapshot"]
