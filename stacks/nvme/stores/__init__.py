"""Stores: where a namespace's blocks live.

    open_store("mem:1GiB")   anonymous memory, nothing is used until it is written
    open_store("disk.img")   a sparse file under an exclusive lock
    your own                 a subclass of `Store`, about thirty lines (see `contract`)

A core hands out batches of `StoreRequest`s; an executor runs them and brings them back. `VolatileStore` is a cache
whose power can be cut, and `FaultyStore` fails by rules as well. Left out so far: directories, overlays.
"""

from stacks.nvme.stores.contract import Store, StoreRequest
from stacks.nvme.stores.executor import InlineExecutor, StoreClient
from stacks.nvme.stores.faults import StoreFault, parse_fault
from stacks.nvme.stores.faulty import FaultyStore, StoreFaultReport
from stacks.nvme.stores.file import FileStore, create_image, open_image
from stacks.nvme.stores.file_layer import FileLayer
from stacks.nvme.stores.memory import MemoryStore
from stacks.nvme.stores.read_only import ReadOnlyStore
from stacks.nvme.stores.specification import open_store, parse_size
from stacks.nvme.stores.volatile import VolatileStore
from stacks.nvme.stores.wrapper import StoreWrapper

__all__ = [
    "FaultyStore",
    "FileLayer",
    "FileStore",
    "InlineExecutor",
    "MemoryStore",
    "ReadOnlyStore",
    "Store",
    "StoreClient",
    "StoreFault",
    "StoreFaultReport",
    "StoreRequest",
    "StoreWrapper",
    "VolatileStore",
    "create_image",
    "open_image",
    "open_store",
    "parse_fault",
    "parse_size",
]
