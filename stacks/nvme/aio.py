"""The asynchronous API, under trio.

    from stacks.nvme.aio import connect, serve

    async with serve("nvme+rdma://127.0.0.2", "disk.img"):
        async with connect("nvme+rdma://127.0.0.2") as namespace:
            await namespace.write(0, bytes(4096))
            block = await namespace.read(0)

Raises LocalError for misuse, ConnectionFailed when there is no connection (any more), CommandFailed for a status.

An operation whose task is cancelled goes on by itself; `write` and `compare` have then perhaps not read all of their
data, so it must stay as it is until the connection is closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from stacks.nvme.admin_calls import AsyncAdminCalls
from stacks.nvme.bindings.aio import AsyncEnd, AsyncEnds, running_ends
from stacks.nvme.bindings.rdma.aio import RdmaAsyncEnd
from stacks.nvme.bindings.rdma.sync import DeviceConfig, Wrap
from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.bindings.tcp.aio import TcpAsyncEnd
from stacks.nvme.bindings.tcp.sync import WrapStreams
from stacks.nvme.block_calls import AsyncBlockCalls
from stacks.nvme.connecting import (
    DEFAULT_RECONNECT,
    add_path,
    association,
    check_transfer,
    nqn_of,
    nsid_of,
    only_subsystem,
    parse_urls,
    paths_policy,
    settled,
)
from stacks.nvme.host import (
    NO_RECONNECT,
    ConnectionFailed,
    DiscoveredSubsystem,
    HostConfig,
    HostController,
    HostNamespace,
    Multipath,
    PathPolicy,
    ReconnectPolicy,
    Transfer,
    read_discovery_log,
)
from stacks.nvme.host.script import Steps
from stacks.nvme.reservation_calls import AsyncReservationCalls
from stacks.nvme.serving.aio import DEFAULT_NQN, Server, serve
from stacks.nvme.stores.aio import ThreadExecutor
from stacks.nvme.sync import CLOSE_TIMEOUT_NS
from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime.errors import StackError
from wire.nvme.opcodes import DISCOVERY_NQN

__all__ = [
    "DEFAULT_NQN",
    "AsyncEnds",
    "Connection",
    "Namespace",
    "Server",
    "ThreadExecutor",
    "attach",
    "connect",
    "discover",
    "serve",
]


class Connection(AsyncAdminCalls):
    """A subsystem that is connected, over one path or several; made by `attach`.

    end: the ends it uses; urls: its paths; multipath: the same in the core, if that is there already.
    """

    def __init__(
        self,
        end: AsyncEnds,
        urls: Sequence[NvmeUrl],
        *,
        policy: PathPolicy = PathPolicy.ROUND_ROBIN,
        multipath: Multipath | None = None,
    ) -> None:
        self.end = end
        self.urls = urls
        self.url = urls[0]
        self.multipath = multipath or Multipath(policy=policy, wake=end.wake)

    @property
    def host(self) -> HostController:
        """An association of now: a live one where there is one. After a loss it is another."""
        return association(self.multipath)

    async def open(self, config: HostConfig, reconnect: ReconnectPolicy) -> None:
        """Connect; ConnectionFailed when no path comes about."""
        end = self.end
        patience = paths_policy(reconnect, self.urls)
        for url in self.urls:
            initiator = end.initiator_for(url.transport, url.host)
            add_path(self.multipath, initiator, url, config, patience, end.clock.now())
        await end.wait_until(settled(self.multipath, reconnect))
        if not self.multipath.is_live:
            raise ConnectionFailed(self.multipath.failure)

    def namespace(self, nsid: int = 0) -> Namespace:
        """A namespace by number, or the only one; LocalError when that does not fit."""
        return Namespace(self, self.multipath.namespace(nsid))

    async def discover(self) -> list[DiscoveredSubsystem]:
        """Read the discovery log; on an association with a discovery controller."""
        found: list[DiscoveredSubsystem] = []
        await self.run_steps(read_discovery_log(self.host, found))
        return found

    async def run_steps(self, steps: Steps) -> None:
        """Run a sequence of admin commands (`stacks.nvme.host.script`), and raise what ended it."""
        outcome: list[StackError | None] = []
        self.host.run(steps, outcome.append, self.end.clock.now())
        await self.end.wait_until(lambda: bool(outcome))
        if outcome[0] is not None:
            raise outcome[0]

    async def close(self) -> None:
        """Shut the controllers down and end the connections; takes two seconds at most, even when cancelled."""
        end, multipath = self.end, self.multipath
        with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_TIMEOUT_NS / 1e9):
            multipath.stop(end.clock.now())
            await end.wait_until(lambda: multipath.is_over and end.is_quiet)


class Namespace(AsyncReservationCalls, AsyncBlockCalls):
    """A connected namespace.

    nsid: its number.
    """

    def __init__(self, connection: Connection, core: HostNamespace) -> None:
        self.connection = connection
        self._core = core
        self.nsid = core.nsid

    @property
    def core(self) -> HostNamespace:
        """The same in the core."""
        return self._core

    async def read(self, block: int, blocks: int = 1) -> bytes:
        """Blocks as bytes."""
        into = bytearray(max(0, blocks) * self.block_bytes)
        await self.read_into(block, into)
        return bytes(into)

    async def read_into(self, block: int, into: bytearray | memoryview) -> None:
        """Fill a buffer, a whole number of blocks, from `block` on."""
        await self._finish(self.core.read(block, memoryview(into).cast("B")))

    async def write(self, block: int, data: bytes | bytearray | memoryview, *, is_fua: bool = False) -> None:
        """Write whole blocks. is_fua: return when they are on the medium."""
        await self._finish(self.core.write(block, memoryview(data).cast("B"), is_fua=is_fua))

    async def compare(self, block: int, data: bytes | bytearray | memoryview) -> None:
        """Return when the blocks hold `data`; CommandFailed with COMPARE_FAILURE when they do not."""
        await self._finish(self.core.compare(block, memoryview(data).cast("B")))

    async def flush(self) -> None:
        """Bring everything written onto the medium."""
        await self._finish(self.core.flush())

    async def write_zeroes(self, block: int, blocks: int) -> None:
        """Make blocks read as zeroes."""
        await self._finish(self.core.write_zeroes(block, blocks))

    async def deallocate(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Give back the space of (block, blocks) ranges."""
        await self._finish(self.core.deallocate(ranges))

    async def _finish(self, transfer: Transfer) -> None:
        if not transfer.is_done:
            await self.connection.end.wait_for(transfer)
        check_transfer(transfer)


@asynccontextmanager
async def attach(
    url: str | NvmeUrl | Sequence[str | NvmeUrl],
    *,
    config: HostConfig | None = None,
    local: str = "",
    offload: bool = True,
    wrap: Wrap | None = None,
    wrap_streams: WrapStreams | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpInitiatorConfig | None = None,
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    policy: PathPolicy = PathPolicy.ROUND_ROBIN,
) -> AsyncIterator[Connection]:
    """The URL's subsystem, connected, or the discovery controller when the URL or `config` names that.

    url: where it is; several for several paths, of any transports. At least one has to come about, the others are tried
    on. config: how to connect; its NQN counts only when no URL has one. Without any, discovery finds the only one.
    local: which of our addresses to use; offload: False sends one datagram a call; wrap, wrap_streams: go around
    what RDMA and TCP send and receive with. device: how the RDMA device is made, tcp: how data moves over TCP; None for
    the defaults.
    reconnect: what is done about a connection that is lost, None for nothing; policy: which of several paths is used.
    """
    urls = parse_urls(url)

    def open_end(transport: str, host: str) -> AsyncEnd:
        if transport == "tcp":
            return TcpAsyncEnd(local=local, config=tcp, wrap=wrap_streams)
        if transport == "quic":
            # Loaded when it is used: it brings a TLS stack along, which costs as much as all else.
            from stacks.nvme.bindings.quic.aio import QuicAsyncEnd

            return QuicAsyncEnd(host, local=local, offload=offload, wrap=wrap, config=tcp)
        return RdmaAsyncEnd(host, local=local, offload=offload, wrap=wrap, device=device)

    async with running_ends(open_end, local=local) as end:
        chosen = config or HostConfig()
        nqn = nqn_of(urls) or chosen.nqn or await _only_subsystem(end, urls, chosen)
        connection = Connection(end, urls, policy=policy)
        try:
            await connection.open(replace(chosen, nqn=nqn), reconnect or NO_RECONNECT)
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def connect(
    url: str | NvmeUrl | Sequence[str | NvmeUrl],
    *,
    config: HostConfig | None = None,
    local: str = "",
    offload: bool = True,
    wrap: Wrap | None = None,
    wrap_streams: WrapStreams | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpInitiatorConfig | None = None,
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    policy: PathPolicy = PathPolicy.ROUND_ROBIN,
) -> AsyncIterator[Namespace]:
    """A connected namespace; the arguments are those of `attach`."""
    async with attach(
        url,
        config=config,
        local=local,
        offload=offload,
        wrap=wrap,
        wrap_streams=wrap_streams,
        device=device,
        tcp=tcp,
        reconnect=reconnect,
        policy=policy,
    ) as connection:
        yield connection.namespace(nsid_of(connection.urls))


async def discover(
    url: str | NvmeUrl, *, local: str = "", offload: bool = True, wrap: Wrap | None = None
) -> list[DiscoveredSubsystem]:
    """What the target at the URL has to offer."""
    parsed = parse_url(url) if isinstance(url, str) else url
    place = replace(parsed, nqn=DISCOVERY_NQN)
    async with attach(place, local=local, offload=offload, wrap=wrap, reconnect=None) as connection:
        return await connection.discover()


async def _only_subsystem(end: AsyncEnds, urls: Sequence[NvmeUrl], config: HostConfig) -> str:
    """The NQN of the only subsystem, as the first of the places says where somebody answers."""
    for url in urls:
        connection = Connection(end, [url])
        try:
            await connection.open(replace(config, nqn=DISCOVERY_NQN, keep_alive_ms=0), NO_RECONNECT)
            return only_subsystem(url, await connection.discover())
        except ConnectionFailed:
            if url is urls[-1]:
                raise
        finally:
            await connection.close()
    raise AssertionError("there is always a URL")
