"""The target process."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trio
from rich.markup import escape

from apps.faults import reported
from apps.nvme.sources import check_each_once, failure_reporter, open_source
from apps.output import complain, console
from apps.serving import ServedDevice, announce_faults, announce_json, serve_until_told
from apps.sizes import format_size
from stacks.nvme.aio import serve
from stacks.nvme.stores import Store, reservations_of
from stacks.nvme.target import Subsystem
from stacks.nvme.url import NvmeUrl
from stacks.rdma import DeviceConfig
from transports.capture import CapturingTransport
from transports.clock import RealClock
from transports.control import Json
from transports.datagram import DatagramTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What to serve, and where.

    namespaces: `mem:SIZE` or paths of images, numbered from 1. listen: an NVMe URL. block_bytes: 512 or 4096.
    capture, capture_limit_bytes: where to record packets, and how many bytes of them; 0 for no limit.
    device: how its device is made, None as usual.
    """

    namespaces: Sequence[str]
    listen: NvmeUrl
    nqn: str
    block_bytes: int = 4096
    offload: bool = True
    capture: Path | None = None
    capture_limit_bytes: int = 0
    device: DeviceConfig | None = None
    ends_with_stdin: bool = False
    as_json: bool = False


def run_target(options: TargetOptions) -> None:
    """Serve until told to end, then answer what is under way, close the stores, and return.

    CommandError, LocalError or TransportError, with one line for a person, for what cannot be opened or had.
    """
    check_each_once(options.namespaces)
    subsystem = Subsystem(options.nqn)
    with contextlib.ExitStack() as stack:
        for text in options.namespaces:
            store = open_source(text, block_bytes=options.block_bytes)
            stack.callback(store.close)
            subsystem.add_namespace(store, reservations=reservations_of(text))
        trio.run(serve_subsystem, options, subsystem)


async def serve_subsystem(options: TargetOptions, subsystem: Subsystem) -> None:
    """Serve, beside the control socket."""
    url = options.listen
    stores = [namespace.store for namespace in subsystem.namespaces.values()]

    def wrap(transport: DatagramTransport) -> DatagramTransport:
        if options.capture is None:
            return transport
        limit = options.capture_limit_bytes
        return CapturingTransport(transport, options.capture, RealClock(), limit_bytes=limit, on_stop=complain)

    async with serve(
        url, subsystems=[subsystem], offload=options.offload, wrap=wrap, device=options.device
    ) as server:
        (port,) = server.ports
        server.target.on_store_failure = failure_reporter(options.namespaces)

        def facts() -> dict[str, Json]:
            return {"nqn": options.nqn, "queues": port.core.queue_count}

        with reported(port.device, is_quiet=options.as_json):
            await serve_until_told(
                "nvme-target",
                [ServedDevice(port.device, port.udp, port.core.counters.snapshot)],
                trio.sleep_forever,
                announce=lambda: announce(
                    options, replace(url, nqn=options.nqn, nsid=0), stores, advice=port.udp.buffer_advice
                ),
                ends_with_stdin=options.ends_with_stdin,
                facts=facts,
            )
        if options.as_json:
            announce_faults(port.device)


def announce(options: TargetOptions, url: NvmeUrl, stores: Sequence[Store], *, advice: str) -> None:
    """Say what is served, and where, and once what would make it faster."""
    if options.as_json:
        namespaces = [
            {"nsid": nsid, "source": source, "block_bytes": store.block_bytes, "blocks": store.block_count}
            for nsid, (source, store) in enumerate(zip(options.namespaces, stores, strict=True), 1)
        ]
        place = {"url": str(url), "nqn": url.nqn, "host": url.host, "port": url.port}
        announce_json({**place, "namespaces": namespaces, "advice": advice})
        return
    out = console()
    out.print(f"serving [bold]{escape(str(url))}[/]", soft_wrap=True)
    for nsid, (source, store) in enumerate(zip(options.namespaces, stores, strict=True), 1):
        out.print(f"  namespace {nsid}: {escape(source)}, {describe(store)}", soft_wrap=True)
    if advice:
        out.print(f"small socket buffers cost throughput: {advice}", soft_wrap=True, highlight=False)
    out.print("until Ctrl-C")


def describe(store: Store) -> str:
    """The size of a store in words."""
    kind = ", read only" if store.is_read_only else ""
    return f"{format_size(store.block_bytes * store.block_count)} in blocks of {store.block_bytes} bytes{kind}"
