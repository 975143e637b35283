"""The process of `baremetal nvme nbd`: a connected namespace as a disk for programs that speak NBD."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import trio
from rich.markup import escape

from apps.guest import TrioGuest
from apps.nvme.session import SessionOptions, lost, open_namespace
from apps.output import console
from apps.serving import ServedDevice, announce_json, serve_until_told
from apps.sizes import format_size
from stacks.nvme.bindings.rdma.sync import RdmaEnd
from stacks.nvme.nbd import Export, NbdServer, NbdUri, export_of
from stacks.nvme.nbd.backend import Register
from stacks.nvme.nbd.sync import NbdPort
from stacks.nvme.sync import Connection
from stacks.nvme.url import NvmeUrl
from transports.control import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class NbdOptions:
    """What to serve, and where.

    url: the namespace; session: how to connect. listen: where clients come; name: of the export. is_read_only: refuse
    changes, whatever the namespace takes.
    """

    url: NvmeUrl
    listen: Sequence[NbdUri]
    name: str = ""
    is_read_only: bool = False
    session: SessionOptions
    ends_with_stdin: bool = False
    as_json: bool = False


def run_nbd(options: NbdOptions) -> None:
    """Serve until told to end, then answer what is under way, end the association, and return.

    CommandError, LocalError or TransportError, with one line for a person, for what cannot be had or is lost.
    """
    with open_namespace(options.url, options.session) as namespace:
        connection = namespace.connection
        host = connection.host
        place = replace(connection.url, nqn=host.config.nqn, nsid=namespace.nsid)
        export = export_of(
            namespace.core, host.identity, name=options.name, description=str(place), is_read_only=options.is_read_only
        )
        server = NbdServer(namespace.core, export, register=register_of(connection))
        uris = [replace(uri, name=options.name) for uri in options.listen]
        with contextlib.closing(NbdPort(server, uris)) as port:
            serve(options, connection, port)
            if connection.multipath.is_over:
                raise lost(connection.multipath.failure)


def register_of(connection: Connection) -> Register | None:
    """What registers memory for all paths; None where that spares no copy, or there are several to register with."""
    ends = connection.end.all
    return ends[0].initiator if len(ends) == 1 and isinstance(ends[0], RdmaEnd) else None


def serve(options: NbdOptions, connection: Connection, port: NbdPort) -> None:
    """Serve beside the control socket; the loop that moves data is ours, and trio its guest."""
    server, multipath, pump = port.server, connection.multipath, connection.end.pump
    ends = [end for end in connection.end.all if isinstance(end, RdmaEnd)]
    devices = [ServedDevice(end.device, end.udp) for end in ends if end.device is not None]

    def facts() -> dict[str, Json]:
        return {
            "uris": list(map(str, port.uris)),
            "namespace": server.export.description,
            "is_connected": multipath.is_live,
            "clients": [{"remote": list(client.remote), "under_way": client.under_way} for client in server.clients],
            "nbd": {**server.counters.snapshot()},
        }

    async def control() -> None:
        await serve_until_told(
            "nvme-nbd",
            lambda: devices,
            trio.sleep_forever,
            announce=lambda: announce(options, port, server.export),
            ends_with_stdin=options.ends_with_stdin,
            facts=facts,
        )

    guest = TrioGuest(control)

    def is_told() -> bool:
        guest.turn()
        return guest.is_over or multipath.is_over

    def is_guest_over() -> bool:
        guest.turn()
        return guest.is_over

    port.serve(pump, until=is_told, wake_fd=guest.fileno())
    guest.cancel()
    port.drain(pump)
    port.serve(pump, until=is_guest_over, wake_fd=guest.fileno())
    guest.result()


def announce(options: NbdOptions, port: NbdPort, export: Export) -> None:
    """Say what is served, and where, and how it is used."""
    first = port.uris[0]
    if options.as_json:
        announce_json(
            {
                "uri": str(first),
                "uris": list(map(str, port.uris)),
                "name": export.name,
                "namespace": export.description,
                "size_bytes": export.size_bytes,
                "block_bytes": export.block_bytes,
                "is_read_only": export.is_read_only,
            }
        )
        return
    out = console()
    for uri in port.uris:
        out.print(f"serving [bold]{escape(str(uri))}[/]", soft_wrap=True, markup=True)
    kind = ", read only" if export.is_read_only else ""
    size = f"{format_size(export.size_bytes)} in blocks of {export.block_bytes} bytes{kind}"
    out.print(f"  {size}: {export.description}", soft_wrap=True)
    # In quotes, since a URI may hold what shells read.
    out.print(f"use it: nbdinfo '{first}'", soft_wrap=True, markup=False, highlight=False)
    out.print(f"        qemu-img info '{first}'", soft_wrap=True, markup=False, highlight=False)
    out.print("until Ctrl-C")
