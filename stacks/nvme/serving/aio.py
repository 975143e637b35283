"""A target under trio; `stacks.nvme.aio` has an example."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from stacks.nvme.bindings.aio import ServerPort, beside
from stacks.nvme.bindings.rdma.aio import RdmaServer
from stacks.nvme.bindings.rdma.sync import DeviceConfig, Wrap
from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.bindings.tcp.aio import TcpServer
from stacks.nvme.stores import Store, open_store
from stacks.nvme.stores.aio import ThreadExecutor
from stacks.nvme.stores.reservations import reservations_of
from stacks.nvme.target import Subsystem, Target
from stacks.nvme.url import NvmeUrl, parse_url


class Server:
    """A running target. target: the core; ports: where it listens."""

    def __init__(self, target: Target, ports: Sequence[ServerPort]) -> None:
        self.target = target
        self.ports = ports

    async def drain(self) -> None:
        """End every connection once what is under way is answered; takes three seconds at most."""
        with trio.move_on_after(DRAIN_TIMEOUT_S):
            for port in self.ports:
                await port.drain()


@asynccontextmanager
async def serve(
    url: str | NvmeUrl | Sequence[str | NvmeUrl],
    *stores: Store | str,
    nqn: str = "",
    subsystems: Sequence[Subsystem] = (),
    offload: bool = True,
    wrap: Wrap | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpTargetConfig | None = None,
) -> AsyncIterator[Server]:
    """A target at one URL or several; it serves inside the block, and drains at its end.

    stores: the namespaces of one subsystem, 1 and up, each a store or what `open_store` takes, which is closed at the
    end. nqn: its name; by default the URL's, else `DEFAULT_NQN`. subsystems: others, or all of them.
    device: how the RDMA devices are made, tcp: the sizes of TCP ports; None for the defaults.
    Raises LocalError when an image cannot be opened, TransportError when an address cannot be had.
    """
    urls = [url] if isinstance(url, (str, NvmeUrl)) else list(url)
    places = [parse_url(each) if isinstance(each, str) else each for each in urls]
    opened: list[Store] = []
    ports: list[ServerPort] = []
    try:
        served = list(subsystems)
        if stores:
            own = Subsystem(nqn or next((place.nqn for place in places if place.nqn), DEFAULT_NQN))
            served.append(own)
            for each in stores:
                store, kept = (open_store(each), reservations_of(each)) if isinstance(each, str) else (each, None)
                if store is not each:
                    opened.append(store)
                own.add_namespace(store, reservations=kept)
        target = Target(served)

        def wake_all() -> None:
            for port in ports:
                port.driver.wake()

        executor = ThreadExecutor(target, wake_all)
        for place in places:
            if place.transport == "tcp":
                ports.append(TcpServer(target, place.host, place.port, executor=executor, config=tcp))
            else:
                ports.append(
                    RdmaServer(
                        target, place.host, place.port, executor=executor, offload=offload, wrap=wrap, device=device
                    )
                )
        executor.is_shared = len(ports) > 1
        async with beside(executor.run, *(port.driver.run for port in ports)):
            server = Server(target, ports)
            try:
                yield server
            finally:
                with trio.CancelScope(shield=True):
                    await server.drain()
    finally:
        for port in ports:
            port.close()
        for store in opened:
            store.close()


DEFAULT_NQN = "nqn.2026-11.io.baremetal:disk"
"""The NQN of a subsystem that nobody named."""

DRAIN_TIMEOUT_S = 3
"""More than what a queue's own time for commands in a store allows, so that the hosts still hear of its end."""
