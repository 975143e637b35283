"""Discovery under trio.

    async with connect_all("nvme+tcp://127.0.0.2") as everything:
        for namespace in everything.namespaces():
            print(namespace.connection.url, (await namespace.read(0))[:8])

    async with watch_discovery("nvme+tcp://127.0.0.2") as changes:
        async for added, removed in changes:
            print(added, removed)
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from stacks.nvme.aio import Connection, Namespace
from stacks.nvme.bindings.aio import AsyncEnd, AsyncEnds, beside, running_ends
from stacks.nvme.bindings.rdma.aio import RdmaAsyncEnd
from stacks.nvme.bindings.tcp.aio import TcpAsyncEnd
from stacks.nvme.connecting import DEFAULT_RECONNECT, service_config, urls_of
from stacks.nvme.host import (
    NO_RECONNECT,
    ConnectAll,
    ConnectionFailed,
    DiscoveredSubsystem,
    DiscoveryWatch,
    HostConfig,
    Path,
    PathPolicy,
    ReconnectPolicy,
)
from stacks.nvme.sync import CLOSE_TIMEOUT_NS
from stacks.nvme.url import NvmeUrl, parse_url
from wire.nvme.opcodes import DISCOVERY_NQN

Change = tuple[list[DiscoveredSubsystem], list[DiscoveredSubsystem]]
"""Entries that came, and entries that went."""


class Everything:
    """What `connect_all` found. core: the same in the core, with what was skipped and what failed."""

    def __init__(self, end: AsyncEnds, core: ConnectAll) -> None:
        self.end = end
        self.core = core

    def connections(self) -> list[Connection]:
        """The subsystems that are connected now."""
        return [
            Connection(self.end, urls_of(nqn, multipath), multipath=multipath)
            for nqn, multipath in sorted(self.core.subsystems.items())
            if multipath.is_live
        ]

    def namespaces(self) -> list[Namespace]:
        """All their namespaces."""
        return [Namespace(each, core) for each in self.connections() for core in each.multipath.namespaces.values()]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is looked at whenever something happened."""
        await self.end.wait_until(condition)


@asynccontextmanager
async def connect_all(
    url: str | NvmeUrl,
    *,
    config: HostConfig | None = None,
    local: str = "",
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    policy: PathPolicy = PathPolicy.ROUND_ROBIN,
    is_persistent: bool = False,
) -> AsyncIterator[Everything]:
    """Everything that the discovery service at the URL lists, connected; arguments and errors as of
    `discovering.sync.connect_all`.
    """
    place = parse_url(url) if isinstance(url, str) else url
    async with running_ends(_opener(local), local=local) as end:
        core = ConnectAll(
            end.initiator_for,
            config or HostConfig(),
            reconnect=reconnect or NO_RECONNECT,
            policy=policy,
            is_persistent=is_persistent,
            wake=end.wake,
        )
        try:
            service = core.add_service(
                place.transport, place.host, place.port, end.clock.now(), nqn=place.nqn or DISCOVERY_NQN
            )
            await end.wait_until(lambda: core.is_settled)
            if not service.is_read:
                raise ConnectionFailed(service.problem or service.path.failure)
            yield Everything(end, core)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_TIMEOUT_NS / 1e9):
                core.stop(end.clock.now())
                await end.wait_until(lambda: core.is_over and end.is_quiet)


@asynccontextmanager
async def watch_discovery(
    url: str | NvmeUrl,
    *,
    config: HostConfig | None = None,
    local: str = "",
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
) -> AsyncIterator[trio.MemoryReceiveChannel[Change]]:
    """A discovery service, kept connected; gives a channel of what came and what went, with all that is there first.

    The channel ends when the service is given up. Raises ConnectionFailed when there is none.
    """
    place = parse_url(url) if isinstance(url, str) else url
    send, receive = trio.open_memory_channel[Change](math.inf)

    def changed(added: list[DiscoveredSubsystem], removed: list[DiscoveredSubsystem]) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # nobody listens any more
            send.send_nowait((added, removed))

    async with running_ends(_opener(local), local=local) as end:
        path = Path(
            end.initiator_for(place.transport, place.host),
            place.host,
            service_config(config or HostConfig(), place.nqn),
            port=place.port,
            policy=reconnect or NO_RECONNECT,
        )
        core = DiscoveryWatch(path, changed, end.clock.now())

        async def close_in_the_end() -> None:
            await end.wait_until(lambda: path.is_removed)
            send.close()

        try:
            await end.wait_until(lambda: core.is_settled)
            if not core.is_read:
                raise ConnectionFailed(core.problem or path.failure)
            async with beside(close_in_the_end):
                yield receive
        finally:
            receive.close()
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_TIMEOUT_NS / 1e9):
                core.stop(end.clock.now())
                await end.wait_until(lambda: path.is_removed and end.is_quiet)


def _opener(local: str) -> Callable[[str, str], AsyncEnd]:
    def open_end(transport: str, host: str) -> AsyncEnd:
        if transport == "quic":
            # Loaded when it is used: it brings a TLS stack along, which costs as much as all else.
            from stacks.nvme.bindings.quic.aio import QuicAsyncEnd

            return QuicAsyncEnd(host, local=local)
        return TcpAsyncEnd(local=local) if transport == "tcp" else RdmaAsyncEnd(host, local=local)

    return open_end
