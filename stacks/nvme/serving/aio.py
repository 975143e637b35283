"""A target under trio; `stacks.nvme.aio` has an example.

    serve(url, "disk.img")          one subsystem
    serve(url, subsystems=[...])    the core's, whose stores are the caller's
    serve(configured)               all that a configuration describes, at its ports

A program that changes a target while it serves (`Target`, `Subsystem`, `ConfiguredTarget`) does so inside
`Server.changing`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import trio

from stacks.nvme.bindings.aio import ServerPort, beside
from stacks.nvme.bindings.rdma.aio import RdmaServer
from stacks.nvme.bindings.rdma.sync import DeviceConfig, Wrap
from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.bindings.tcp.aio import TcpServer
from stacks.nvme.bindings.tcp.sync import WrapStreams
from stacks.nvme.bindings.tcp.workers.aio import TcpWorkers
from stacks.nvme.configuration import ConfiguredTarget, Origin, PortConfiguration
from stacks.nvme.serving.store_reports import StoreReports, log_report
from stacks.nvme.stores import Store, open_store
from stacks.nvme.stores.aio import ThreadExecutor
from stacks.nvme.stores.reservations import reservations_of
from stacks.nvme.target import Subsystem, Target
from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime import LocalError
from transports.clock import RealClock

Place = str | NvmeUrl | PortConfiguration
"""Where to listen."""


class Server:
    """A target at its ports; `serve` makes and runs one.

    target: the core; ports: where it listens. Failures of stores are logged (`store_reports`), unless the target has
    an `on_store_failure`.
    offload: False sends one datagram a call; wrap: goes around the transport of RDMA ports, wrap_streams: around the
    network of TCP ports. device: how RDMA devices
    are made, tcp: the sizes of TCP ports that say nothing else; None for the defaults.
    workers: how many processes move the bytes of TCP ports' I/O connections, 0 for this one alone.
    """

    def __init__(
        self,
        target: Target,
        *,
        offload: bool = True,
        wrap: Wrap | None = None,
        wrap_streams: WrapStreams | None = None,
        device: DeviceConfig | None = None,
        tcp: TcpTargetConfig | None = None,
        workers: int = 0,
    ) -> None:
        self.target = target
        if target.on_store_failure is None:
            target.on_store_failure = StoreReports(target, log_report)
        self.ports: list[ServerPort] = []
        self._offload = offload
        self._wrap = wrap
        self._wrap_streams = wrap_streams
        self._device = device
        self._tcp = tcp
        self.workers = TcpWorkers(workers) if workers else None
        self._clock = RealClock()
        self._executor = ThreadExecutor(target, self.wake)
        self._nursery: trio.Nursery | None = None
        self._leaving: list[ServerPort] = []
        # Removed, and not yet drained.

    def add_port(self, place: Place) -> ServerPort:
        """Listen at one more place; hosts that keep a discovery controller are told.

        LocalError when its number is taken; LocalError or TransportError when its address cannot be had.
        """
        port = self._open(_configuration(place))
        self.ports.append(port)
        self._executor.is_shared = len(self.ports) + len(self._leaving) > 1
        if self._nursery is not None:
            self._nursery.start_soon(self._run_port, port)
        return port

    def remove_port(self, portid: int) -> None:
        """Listen there no more: disconnect the hosts, and close the address when they have gone, in three seconds at
        most. LocalError when there is no such port, or nobody runs the server.
        """
        if self._nursery is None:
            raise LocalError("the target does not serve")
        port = self.port(portid)
        self.ports.remove(port)
        self._leaving.append(port)
        port.core.drain()
        self.target.remove_port(port.core.port)
        self.wake()

    def port(self, portid: int) -> ServerPort:
        """The port of that number; LocalError when there is none."""
        for port in self.ports:
            if port.core.port.portid == portid:
                return port
        there = ", ".join(str(port.core.port.portid) for port in self.ports) or "none"
        raise LocalError(f"there is no port {portid}; there are: {there}")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Inside, the target knows the time, and may be changed; afterwards, whom that concerns is told at once."""
        self.target.tick(self._clock.now())
        try:
            yield
        finally:
            self.wake()

    def wake(self) -> None:
        """Have every port make a pass."""
        for port in (*self.ports, *self._leaving):
            port.driver.wake()

    async def drain(self) -> None:
        """End every connection once what is under way is answered; takes three seconds at most."""
        with trio.move_on_after(DRAIN_TIMEOUT_S):
            for port in self.ports:
                await port.drain()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run inside the block, and drain at its end."""
        tasks = [self._executor.run] if self.workers is None else [self._executor.run, self.workers.run]
        async with beside(*tasks) as nursery:
            self._nursery = nursery
            if self.workers is not None:
                await self.workers.ready()
            for port in self.ports:
                nursery.start_soon(self._run_port, port)
            try:
                yield
            finally:
                with trio.CancelScope(shield=True):
                    await self.drain()
                self._nursery = None

    def close(self) -> None:
        """Give up every address; nothing runs any more."""
        for port in (*self.ports, *self._leaving):
            port.close()
        self.ports, self._leaving = [], []

    async def _run_port(self, port: ServerPort) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.driver.run)
            await port.until(lambda: port in self._leaving)
            with trio.move_on_after(DRAIN_TIMEOUT_S):
                await port.drain()
            nursery.cancel_scope.cancel()
        self._leaving.remove(port)
        port.close()

    def _open(self, port: PortConfiguration) -> ServerPort:
        target, url, executor = self.target, port.url, self._executor
        if url.transport == "tcp":
            return TcpServer(
                target,
                url.host,
                url.port,
                executor=executor,
                portid=port.portid,
                serves=port.serves,
                config=port.tcp_config(self._tcp),
                workers=self.workers,
                wrap=self._wrap_streams,
            )
        if url.transport == "quic":
            # Loaded when it is used: it brings a TLS stack along, which costs as much as all else.
            from stacks.nvme.bindings.quic.aio import QuicServer

            return QuicServer(
                target,
                url.host,
                url.port,
                executor=executor,
                portid=port.portid,
                serves=port.serves,
                offload=self._offload,
                wrap=self._wrap,
                config=port.tcp_config(self._tcp),
            )
        return RdmaServer(
            target,
            url.host,
            url.port,
            executor=executor,
            portid=port.portid,
            serves=port.serves,
            offload=self._offload,
            wrap=self._wrap,
            config=port.rdma_config(),
            device=self._device,
        )


@asynccontextmanager
async def serve(
    url: Place | Sequence[Place] | ConfiguredTarget,
    *stores: Store | str,
    nqn: str = "",
    subsystems: Sequence[Subsystem] = (),
    offload: bool = True,
    wrap: Wrap | None = None,
    wrap_streams: WrapStreams | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpTargetConfig | None = None,
    workers: int = 0,
) -> AsyncIterator[Server]:
    """A target at one URL or several; it serves inside the block, and drains at its end.

    url: or what a configuration describes, which then says everything else, and stays the caller's to close.
    stores: the namespaces of one subsystem, 1 and up, each a store or what `open_store` takes, which is closed at the
    end. nqn: its name; by default the URL's, else `DEFAULT_NQN`. subsystems: others, or all of them.
    wrap, wrap_streams: go around what RDMA and TCP ports send and receive with.
    device: how the RDMA devices are made, tcp: the sizes of TCP ports; None for the defaults.
    workers: how many processes move the bytes of TCP ports' I/O connections, 0 for this one alone.
    Raises LocalError when an image cannot be opened; TransportError, or LocalError with the line of a document, when an
    address cannot be had.
    """
    opened: list[Store] = []
    server: Server | None = None
    try:
        if isinstance(url, ConfiguredTarget):
            if stores or nqn or subsystems:
                raise LocalError("a configuration says which stores and subsystems there are")
            target, places = url.target, url.ports
        else:
            places = [_configuration(each) for each in _listed(url)]
            own = [_subsystem(stores, nqn or _nqn_of(_listed(url)), opened)] if stores else []
            target = Target([*subsystems, *own])
        server = Server(
            target,
            offload=offload,
            wrap=wrap,
            wrap_streams=wrap_streams,
            device=device,
            tcp=tcp,
            workers=workers,
        )
        origin = url.origin if isinstance(url, ConfiguredTarget) else Origin()
        for place in places:
            with origin.at((*place.place, "listen")):
                server.add_port(place)
        async with server.running():
            yield server
    finally:
        if server is not None:
            server.close()
        for store in opened:
            store.close()


def _listed(url: Place | Sequence[Place]) -> Sequence[Place]:
    return [url] if isinstance(url, (str, NvmeUrl, PortConfiguration)) else url


def _configuration(place: Place) -> PortConfiguration:
    if isinstance(place, str):
        place = parse_url(place)
    return PortConfiguration(url=place) if isinstance(place, NvmeUrl) else place


def _nqn_of(places: Sequence[Place]) -> str:
    return next((url.nqn for place in places if (url := _configuration(place).url).nqn), DEFAULT_NQN)


def _subsystem(stores: Sequence[Store | str], nqn: str, opened: list[Store]) -> Subsystem:
    subsystem = Subsystem(nqn)
    for each in stores:
        store, kept = (open_store(each), reservations_of(each)) if isinstance(each, str) else (each, None)
        if store is not each:
            opened.append(store)
        subsystem.add_namespace(store, reservations=kept)
    return subsystem


DEFAULT_NQN = "nqn.2026-11.io.baremetal:disk"
"""The NQN of a subsystem that nobody named."""

DRAIN_TIMEOUT_S = 3
"""More than what a queue's own time for commands in a store allows, so that the hosts still hear of its end."""
