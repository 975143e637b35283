"""Stores: where a namespace's blocks live.

    open_store("mem:1GiB")                    anonymous memory, nothing is used until it is written
    open_store("disk.img")                    a sparse file under an exclusive lock
    open_store("overlay:golden.img+my.layer") changes in a layer over a base that stays as it is, with snapshots
    open_store("ro:disk.img")                 anything, but read-only
    open_store("faulty:disk.img+cache")       anything, with faults on purpose, and power that can be cut
    open_directory("disks")                   a folder of namespaces, with a manifest
    your own                                  a subclass of `Store`, about thirty lines (see `contract`)

A core hands out batches of `StoreRequest`s; an executor runs them and brings them back. `reservations` keeps what is no
block: who has reserved a namespace. Left out: direct I/O past the cache of the operating system, stores over the
network.
"""

from stacks.nvme.stores.contract import Store, StoreRequest
from stacks.nvme.stores.directory import (
    DirectoryEvent,
    DirectoryNamespace,
    ManifestEntry,
    NamespaceDirectory,
    open_directory,
)
from stacks.nvme.stores.executor import InlineExecutor, StoreClient
from stacks.nvme.stores.faults import StoreFault, parse_fault
from stacks.nvme.stores.faulty import FaultyStore, StoreFaultReport
from stacks.nvme.stores.file import FileStore, create_image, open_image
from stacks.nvme.stores.file_layer import FileLayer
from stacks.nvme.stores.memory import MemoryStore
from stacks.nvme.stores.overlay import OverlayStore, Snapshot, SnapshotStore, open_overlay, open_snapshot
from stacks.nvme.stores.read_only import ReadOnlyStore
from stacks.nvme.stores.reservations import (
    FileReservations,
    MemoryReservations,
    ReservationStore,
    open_reservations,
    reservations_of,
)
from stacks.nvme.stores.specification import open_store, parse_size
from stacks.nvme.stores.volatile import VolatileStore
from stacks.nvme.stores.wrapper import StoreWrapper

__all__ = [
    "DirectoryEvent",
    "DirectoryNamespace",
    "FaultyStore",
    "FileLayer",
    "FileReservations",
    "FileStore",
    "InlineExecutor",
    "ManifestEntry",
    "MemoryReservations",
    "MemoryStore",
    "NamespaceDirectory",
    "OverlayStore",
    "ReadOnlyStore",
    "ReservationStore",
    "Snapshot",
    "SnapshotStore",
    "Store",
    "StoreClient",
    "StoreFault",
    "StoreFaultReport",
    "StoreRequest",
    "StoreWrapper",
    "VolatileStore",
    "create_image",
    "open_directory",
    "open_image",
    "open_overlay",
    "open_reservations",
    "open_snapshot",
    "open_store",
    "parse_fault",
    "parse_size",
    "reservations_of",
]
