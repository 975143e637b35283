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
from stacks.nvme.aio import Server, serve
from stacks.nvme.bindings.aio import ServerPort
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

    namespaces: `mem:SIZE` or paths of images, numbered from 1. listen: NVMe URLs. block_bytes: 512 or 4096.
    capture, capture_limit_bytes: where to record packets, and how many bytes of them; 0 for no limit.
    device: how RDMA devices are made, None as usual.
    """

    namespaces: Sequence[str]
    listen: Sequence[NvmeUrl]
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
    stores = [namespace.store for namespace in subsystem.namespaces.values()]

    def wrap(transport: DatagramTransport) -> DatagramTransport:
        if options.capture is None:
            return transport
        limit = options.capture_limit_bytes
        return CapturingTransport(transport, options.capture, RealClock(), limit_bytes=limit, on_stop=complain)

    async with serve(
        options.listen, subsystems=[subsystem], offload=options.offload, wrap=wrap, device=options.device
    ) as server:
        server.target.on_store_failure = failure_reporter(options.namespaces)
        devices = [port.device for port in server.ports if port.device is not None]

        def facts() -> dict[str, Json]:
            counters: dict[str, Json] = {
                str(url): {**port.core.counters.snapshot()} for url, port in places(options, server)
            }
            queues = sum(port.core.queue_count for port in server.ports)
            return {"nqn": options.nqn, "queues": queues, "listening": counters}

        with contextlib.ExitStack() as stack:
            for device in devices:
                stack.enter_context(reported(device, is_quiet=options.as_json))
            await serve_until_told(
                "nvme-target",
                [
                    ServedDevice(port.device, port.udp, port.core.counters.snapshot)
                    for port in server.ports
                    if port.device is not None and port.udp is not None
                ],
                trio.sleep_forever,
                announce=lambda: announce(options, server, stores),
                ends_with_stdin=options.ends_with_stdin,
                facts=facts,
            )
        if options.as_json:
            for device in devices:
                announce_faults(device)


def places(options: TargetOptions, server: Server) -> list[tuple[NvmeUrl, ServerPort]]:
    """Where hosts connect, and what serves them there."""
    urls = [replace(url, nqn=options.nqn, nsid=0) for url in options.listen]
    return list(zip(urls, server.ports, strict=True))


def announce(options: TargetOptions, server: Server, stores: Sequence[Store]) -> None:
    """Say what is served, and where, and once what would make it faster."""
    urls = [url for url, _ in places(options, server)]
    advice = next((port.udp.buffer_advice for port in server.ports if port.udp is not None), "")
    if options.as_json:
        namespaces = [
            {"nsid": nsid, "source": source, "block_bytes": store.block_bytes, "blocks": store.block_count}
            for nsid, (source, store) in enumerate(zip(options.namespaces, stores, strict=True), 1)
        ]
        first = urls[0]
        place = {"url": str(first), "nqn": first.nqn, "host": first.host, "port": first.port}
        announce_json({**place, "urls": list(map(str, urls)), "namespaces": namespaces, "advice": advice})
        return
    out = console()
    for url in urls:
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
