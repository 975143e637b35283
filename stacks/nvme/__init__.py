r"""NVMe over Fabrics: targets, initiators and the stores behind them.

    program -> aio, sync -> host (Multipath, Path, HostController, HostNamespace) -> bindings -> stacks.rdma -> driver
                                                                                              \-------------> driver
                                                                                                  ... network ...
    stores <- executor <- target (Target, Subsystem, Controller, Queue) <- bindings <- stacks.rdma <- driver
                                                                                  \<---------------- driver

`target` and `host` are transport-neutral cores; a binding joins one to what carries it. `aio` is the API under trio,
`sync` the one without an event loop, `url` reads what people type, `nbd` serves a namespace to programs that know
nothing of NVMe.

Follows NVM Express Base 2.0, NVM Command Set 1.0, NVMe over Fabrics 1.1, and the NVMe/RDMA and NVMe/TCP transports 1.0.
Left out so far: namespace management, authentication, TLS, protection information, zoned namespaces.
"""

from stacks.nvme.host import CommandFailed, ConnectionFailed, HostConfig
from stacks.nvme.stores import MemoryStore, Store, open_store
from stacks.nvme.target import Subsystem, Target
from stacks.nvme.url import NvmeUrl, parse_url

__all__ = [
    "CommandFailed",
    "ConnectionFailed",
    "HostConfig",
    "MemoryStore",
    "NvmeUrl",
    "Store",
    "Subsystem",
    "Target",
    "open_store",
    "parse_url",
]
