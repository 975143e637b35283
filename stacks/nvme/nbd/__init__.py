"""An NBD server for a connected namespace, so that programs that know nothing of NVMe use it as a disk.

    qemu-img, fio, nbdcopy, ... -> NbdServer -> HostNamespace -> bindings -> the target

    server        NbdServer: any number of clients of one export, an endpoint for a stream pump
    connection    one of them: bytes, states, how it ends
    handshake     options and their answers
    transmission  requests: reads at once, changes by way of `changes` and `claims`
    answers       replies
    backend       what is needed of what is served: methods that a namespace has
    sync          it on sockets, without an event loop

Follows the NBD project's doc/proto.md: fixed newstyle, structured replies, flush, FUA, trim, write zeroes, fast zero,
several connections. Left out: TLS, metadata contexts, extended headers, resizing. The formats are in `wire.nbd`.

It lives in `stacks.nvme` because it is a face of a namespace: it speaks of blocks, NVMe's statuses and registered
memory, and is of no use without them. It touches no transport but through the stream shape.
"""

from stacks.nvme.nbd.backend import Backend, Ended
from stacks.nvme.nbd.configuration import NbdConfig, NbdCounters
from stacks.nvme.nbd.export import Export, export_of
from stacks.nvme.nbd.server import NbdServer
from stacks.nvme.nbd.uri import NbdUri, parse_uri

__all__ = [
    "Backend",
    "Ended",
    "Export",
    "NbdConfig",
    "NbdCounters",
    "NbdServer",
    "NbdUri",
    "export_of",
    "parse_uri",
]
