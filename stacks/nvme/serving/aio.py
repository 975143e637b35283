"""A target under trio: one block serves at any number of URLs, over RDMA and TCP.

Programs find what is here in `stacks.nvme.aio`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from stacks.nvme.bindings.aio import ServerPort, beside
from stacks.nvme.bindings.rdma.aio import RdmaServer
from stacks.nvme.bindings.rdma.sync import DeviceConfig, Wrap
from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.bindings.tcp.aio import TcpServer
from stacks.nvme.stores import Store, StoreClient, StoreRequest, open_store
from stacks.nvme.stores.contract import run
from stacks.nvme.stores.executor import is_slow, run_together
from stacks.nvme.stores.held import HeldCompletions
from stacks.nvme.stores.reservations import reservations_of
from stacks.nvme.target import Subsystem, Target
from stacks.nvme.url import NvmeUrl, parse_url

DEFAULT_NQN = "nqn.2026-11.io.baremetal:disk"
"""The NQN of a subsystem that nobody named."""

DRAIN_TIMEOUT_S = 3
"""More than what a queue's own time for commands in a store allows, so that the hosts still hear of its end."""


class ThreadExecutor:
    """Runs store requests: quick verbs inline, slow ones in a worker thread for each store.

    client: whose requests; wake: has the driver make a pass, or each driver when the executor is a service of several
    (`is_shared`). `run` must be running while requests come.
    """

    def __init__(self, client: StoreClient, wake: Callable[[], None]) -> None:
        self.is_shared = False
        self._client = client
        self._wake = wake
        self._slow: dict[int, deque[StoreRequest]] = {}
        self._finished: list[StoreRequest] = []
        self._held = HeldCompletions()
        self._nursery: trio.Nursery | None = None

    def pump(self, now: int) -> bool:
        """Run what is there, and bring back what the threads have run."""
        did_anything = False
        while True:
            done, self._finished = self._finished, []
            for request in self._client.poll_store_requests():
                did_anything = True
                store = request.store
                assert store is not None
                if store.has_delays:
                    self._held.expect(request, now)
                if is_slow(request):
                    self._hand_over(request)
                else:
                    run(request)
                    done.append(request)
            if self._held.expected:
                done = self._held.sift(done, now)
            if not done:
                return did_anything
            self._client.handle_store_completions(done, now)
            did_anything = True
            if self.is_shared:
                # The answers may belong to the core of another driver.
                self._wake()

    def poll_deadline(self) -> int | None:
        """When a completion that a store wants late is due."""
        return self._held.poll_deadline()

    async def run(self) -> None:
        """Keep the threads; when cancelled, waits for the verb that each is in."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def _hand_over(self, request: StoreRequest) -> None:
        # A nursery that is closing takes no new tasks: what comes after the end of serving is not run.
        waiting = self._slow.get(id(request.store))
        if waiting is not None:
            waiting.append(request)
        elif self._nursery is not None:
            self._slow[id(request.store)] = deque([request])
            self._nursery.start_soon(self._work, id(request.store))

    async def _work(self, store: int) -> None:
        waiting = self._slow[store]
        try:
            while waiting:
                batch = list(waiting)
                waiting.clear()
                # Not abandoned when cancelled: the thread writes into buffers that are given back afterwards.
                await trio.to_thread.run_sync(run_together, batch)
                self._finished += batch
                self._wake()
        finally:
            del self._slow[store]


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
