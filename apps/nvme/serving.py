"""The target process."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio
from rich.console import Console
from rich.markup import escape

from apps.nvme.url import parse_url
from apps.serving import announce_json, device_state, serve_until_told
from apps.sizes import format_size
from stacks.nvme.bindings.rdma import RdmaTarget
from stacks.nvme.stores import InlineExecutor, Store, open_store
from stacks.nvme.target import Subsystem, Target
from stacks.rdma import Device
from transports.capture import CapturingTransport
from transports.clock import RealClock
from transports.control import Json
from transports.datagram import DatagramTransport
from transports.driver import Driver
from transports.udp import UdpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What to serve, and where.

    namespaces: `mem:SIZE` or paths of images, numbered from 1. listen: an NVMe URL. block_bytes: 512 or 4096.
    capture, capture_limit_bytes: where to record packets, and how many bytes of them; 0 for no limit.
    """

    namespaces: Sequence[str]
    listen: str
    nqn: str
    block_bytes: int = 4096
    offload: bool = True
    capture: Path | None = None
    capture_limit_bytes: int = 0
    ends_with_stdin: bool = False
    as_json: bool = False


def serve(options: TargetOptions) -> None:
    """Serve until told to end, then answer what is under way, close the stores, and return.

    LocalError or TransportError, with one line for a person, for what cannot be opened or had.
    """
    url = parse_url(options.listen)
    subsystem = Subsystem(options.nqn)
    with contextlib.ExitStack() as stack:
        for text in options.namespaces:
            store = open_store(text, block_bytes=options.block_bytes)
            stack.callback(store.close)
            subsystem.add_namespace(store)
        clock = RealClock()
        device = Device(url.host)
        socket = stack.enter_context(
            contextlib.closing(UdpTransport(url.host, device.address[1], offload=options.offload))
        )
        transport: DatagramTransport = socket
        if options.capture is not None:
            capture = CapturingTransport(
                socket,
                options.capture,
                clock,
                limit_bytes=options.capture_limit_bytes,
                on_stop=Console(stderr=True).print,
            )
            transport = stack.enter_context(contextlib.closing(capture))
        target = Target([subsystem])
        port = RdmaTarget(device, target, port=url.port)
        driver = Driver(port, transport, clock, [InlineExecutor(target)])

        def snapshot() -> dict[str, Json]:
            return {"nqn": options.nqn, "queues": port.queue_count, "devices": device_state(device, socket)}

        async def run() -> None:
            try:
                await driver.run()
            finally:
                drain(port, driver)

        trio.run(
            lambda: serve_until_told(
                "nvme-target",
                snapshot,
                run,
                announce=lambda: announce(options, url.host, url.port, subsystem),
                ends_with_stdin=options.ends_with_stdin,
            )
        )


def drain(port: RdmaTarget, driver: Driver) -> None:
    """Answer what is under way and end the connections, for a few seconds at most."""
    clock = RealClock()
    end = clock.now() + DRAIN_NS
    port.drain()
    while not port.is_drained and clock.now() < end:
        if not driver.pump():
            driver.wait(DRAIN_STEP_NS)


def announce(options: TargetOptions, host: str, port: int, subsystem: Subsystem) -> None:
    """Say what is served, and where."""
    url = f"nvme+rdma://{f'[{host}]' if ':' in host else host}:{port}/{subsystem.nqn}"
    stores = [(nsid, namespace.store) for nsid, namespace in sorted(subsystem.namespaces.items())]
    if options.as_json:
        namespaces = [
            {"nsid": nsid, "source": source, "block_bytes": store.block_bytes, "blocks": store.block_count}
            for (nsid, store), source in zip(stores, options.namespaces, strict=True)
        ]
        announce_json({"url": url, "nqn": subsystem.nqn, "host": host, "port": port, "namespaces": namespaces})
        return
    console = Console()
    console.print(f"serving [bold]{escape(url)}[/]", soft_wrap=True)
    for (nsid, store), source in zip(stores, options.namespaces, strict=True):
        console.print(f"  namespace {nsid}: {escape(source)}, {describe(store)}", soft_wrap=True)
    console.print("until Ctrl-C")


def describe(store: Store) -> str:
    """The size of a store in words."""
    kind = ", read only" if store.is_read_only else ""
    return f"{format_size(store.block_bytes * store.block_count)} in blocks of {store.block_bytes} bytes{kind}"


DRAIN_NS = 3_000_000_000
DRAIN_STEP_NS = 100_000_000
