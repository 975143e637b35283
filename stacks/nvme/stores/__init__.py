"""Stores: where a namespace's blocks live.

    open_store("mem:1GiB")   anonymous memory, nothing is used until it is written
    open_store("disk.img")   a sparse file under an exclusive lock
    your own                 a subclass of `Store`, about thirty lines (see `contract`)

A core hands out batches of `StoreRequest`s; an executor runs them and brings them back. `VolatileStore` is a cache
whose power can be cut, for tests. `reservations` keeps what is no block: who has reserved a namespace. Left out so
far: directories, overlays, injected faults.
"""

from stacks.nvme.stores.contract import Store, StoreRequest
from stacks.nvme.stores.executor import InlineExecutor, StoreClient
from stacks.nvme.stores.file import FileLayer, FileStore, create_image, open_image
from stacks.nvme.stores.memory import MemoryStore
from stacks.nvme.stores.reservations import (
    FileReservations,
    MemoryReservations,
    ReservationStore,
    open_reservations,
    reservations_of,
)
from stacks.nvme.stores.specification import open_store, parse_size
from stacks.nvme.stores.volatile import VolatileStore

__all__ = [
    "FileLayer",
    "FileReservations",
    "FileStore",
    "InlineExecutor",
    "MemoryReservations",
    "MemoryStore",
    "ReservationStore",
    "Store",
    "StoreClient",
    "StoreRequest",
    "VolatileStore",
    "create_image",
    "open_image",
    "open_reservations",
    "open_store",
    "parse_size",
    "reservations_of",
]
