"""The plain synchronous API: a namespace without an event loop, for scripts and for measuring.

    from stacks.nvme.sync import connect

    with connect("nvme+rdma://127.0.0.2") as namespace:
        block = namespace.read(0, 1)

Each call turns the pump until it is done. Many operations at a time: `submit_read` and `submit_write` return a
`Transfer` at once, `poll` turns the pump, `wait` sleeps until there is something to do.

Raises LocalError for misuse, ConnectionFailed when there is no connection (any more), CommandFailed for a status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from stacks.nvme.admin_calls import AdminCalls
from stacks.nvme.bindings.rdma.sync import DeviceConfig, RdmaEnd, Wrap
from stacks.nvme.bindings.sync import End, Ends
from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.bindings.tcp.sync import TcpEnd, WrapStreams
from stacks.nvme.block_calls import BlockCalls
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
    Region,
    Transfer,
    read_discovery_log,
)
from stacks.nvme.host.script import Steps
from stacks.nvme.reservation_calls import ReservationCalls
from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime.errors import StackError
from wire.nvme.opcodes import DISCOVERY_NQN


class Connection(AdminCalls):
    """A subsystem that is connected, over one path or several; made by `attach`.

    end: the ends it uses; urls: its paths; multipath: the same in the core, if that is there already.
    """

    def __init__(
        self,
        end: Ends,
        urls: Sequence[NvmeUrl],
        *,
        policy: PathPolicy = PathPolicy.ROUND_ROBIN,
        multipath: Multipath | None = None,
    ) -> None:
        self.end = end
        self.urls = urls
        self.url = urls[0]
        self.multipath = multipath or Multipath(policy=policy)
        self._turned_ns = end.clock.now()

    def come_back(self) -> bool:
        """Before something is sent: connect anew where the program was away for longer than its keep-alive time, since
        the target has given it up by then. I/O that is sent next waits for that; whether there was such a path.
        """
        now = self.end.clock.now()
        away_ns = now - self._turned_ns
        lost = [path for path in self.multipath.paths if 0 < path.config.keep_alive_ms * 1_000_000 <= away_ns]
        for path in lost:
            path.reset(now, f"the program made no call for {away_ns / 1e9:.0f} seconds")
        self._turned_ns = now
        return bool(lost)

    @property
    def host(self) -> HostController:
        """An association of now: a live one where there is one. After a loss it is another."""
        return association(self.multipath)

    def open(self, config: HostConfig, reconnect: ReconnectPolicy) -> None:
        """Connect; ConnectionFailed when no path comes about."""
        end = self.end
        patience = paths_policy(reconnect, self.urls)
        for url in self.urls:
            initiator = end.initiator_for(url.transport, url.host)
            add_path(self.multipath, initiator, url, config, patience, end.clock.now())
        is_settled = settled(self.multipath, reconnect)
        while not end.run_until(is_settled, timeout_ns=WAIT_NS):
            pass
        self._turned_ns = end.clock.now()
        if not self.multipath.is_live:
            raise ConnectionFailed(self.multipath.failure)

    def namespace(self, nsid: int = 0) -> Namespace:
        """A namespace by number, or the only one; LocalError when that does not fit."""
        return Namespace(self, self.multipath.namespace(nsid))

    def discover(self) -> list[DiscoveredSubsystem]:
        """Read the discovery log; on an association with a discovery controller."""
        found: list[DiscoveredSubsystem] = []
        self.run_steps(read_discovery_log(self.host, found))
        return found

    def run_steps(self, steps: Steps) -> None:
        """Run a sequence of admin commands (`stacks.nvme.host.script`), and raise what ended it."""
        if self.come_back():
            self.run_until(lambda: self.multipath.is_live)
        outcome: list[StackError | None] = []
        self.host.run(steps, outcome.append, self.end.clock.now())
        self.run_until(lambda: bool(outcome))
        if outcome and outcome[0] is not None:
            raise outcome[0]

    def poll(self) -> bool:
        """Turn the pump once; whether anything was done."""
        did = self.end.pump.pump()
        self._turned_ns = self.end.clock.now()
        return did

    def wait(self, timeout_ns: int | None = None) -> None:
        """Sleep until the pump has something to do."""
        self.end.pump.wait(timeout_ns)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Turn the pump until `condition` holds; ConnectionFailed when every path is given up first."""
        multipath, end = self.multipath, self.end
        while not end.run_until(lambda: condition() or multipath.is_over, timeout_ns=WAIT_NS):
            pass
        self._turned_ns = end.clock.now()
        if not condition():
            raise ConnectionFailed(multipath.failure or "the connection is closed")

    def close(self) -> None:
        """Shut the controllers down and end the connections."""
        end, multipath = self.end, self.multipath
        multipath.stop(end.clock.now())
        end.run_until(lambda: multipath.is_over and end.is_quiet, timeout_ns=CLOSE_TIMEOUT_NS)


class Namespace(ReservationCalls, BlockCalls):
    """A connected namespace.

    nsid: its number.
    """

    def __init__(self, connection: Connection, core: HostNamespace) -> None:
        self.connection = connection
        self._core = core
        self.nsid = core.nsid

    @property
    def core(self) -> HostNamespace:
        """The same in the core, on a connection that is not forgotten (`Connection.come_back`)."""
        self.connection.come_back()
        return self._core

    def read(self, block: int, blocks: int = 1) -> bytes:
        """Blocks as bytes."""
        into = bytearray(max(0, blocks) * self.block_bytes)
        self.read_into(block, into)
        return bytes(into)

    def read_into(self, block: int, into: bytearray | memoryview) -> None:
        """Fill a buffer, a whole number of blocks, from `block` on."""
        self._finish(self.core.read(block, _bytes_view(into)))

    def write(self, block: int, data: bytes | bytearray | memoryview, *, is_fua: bool = False) -> None:
        """Write whole blocks. is_fua: return when they are on the medium."""
        self._finish(self.core.write(block, _bytes_view(data), is_fua=is_fua))

    def compare(self, block: int, data: bytes | bytearray | memoryview) -> None:
        """Return when the blocks hold `data`; CommandFailed with COMPARE_FAILURE when they do not."""
        self._finish(self.core.compare(block, _bytes_view(data)))

    def flush(self) -> None:
        """Bring everything written onto the medium."""
        self._finish(self.core.flush())

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Make blocks read as zeroes."""
        self._finish(self.core.write_zeroes(block, blocks))

    def deallocate(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Give back the space of (block, blocks) ranges."""
        self._finish(self.core.deallocate(ranges))

    def register(self, buffer: object) -> Region:
        """Register a writable buffer for I/O without a copy."""
        return self.connection.end.register(buffer)

    def submit_read(
        self,
        block: int,
        region: Region,
        *,
        offset: int = 0,
        length: int,
        done: Callable[[Transfer], None] | None = None,
    ) -> Transfer:
        """Start to read `length` bytes into a registered region; goes out with the next `poll`."""
        view = region.view[offset : offset + length]
        return self.core.read(block, view, region=region, offset=offset, done=done)

    def submit_write(
        self,
        block: int,
        region: Region,
        *,
        offset: int = 0,
        length: int,
        done: Callable[[Transfer], None] | None = None,
    ) -> Transfer:
        """Start to write `length` bytes out of a registered region; goes out with the next `poll`."""
        view = region.view[offset : offset + length]
        return self.core.write(block, view, region=region, offset=offset, done=done)

    def poll(self) -> bool:
        """Turn the pump once; whether anything was done."""
        return self.connection.poll()

    def wait(self, timeout_ns: int | None = None) -> None:
        """Sleep until the pump has something to do."""
        self.connection.wait(timeout_ns)

    def _finish(self, transfer: Transfer) -> None:
        self.connection.run_until(lambda: transfer.is_done)
        check_transfer(transfer)


@contextmanager
def attach(
    url: str | NvmeUrl | Sequence[str | NvmeUrl],
    *,
    config: HostConfig | None = None,
    local: str = "",
    offload: bool = True,
    wrap: Wrap | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpInitiatorConfig | None = None,
    wrap_streams: WrapStreams | None = None,
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    policy: PathPolicy = PathPolicy.ROUND_ROBIN,
) -> Iterator[Connection]:
    """The URL's subsystem, connected, or the discovery controller when the URL or `config` names that.

    url: where it is; several for several paths, of any transports. At least one has to come about, the others are tried
    on. config: how to connect; its NQN counts only when no URL has one. Without any, discovery finds the only one.
    local: which of our addresses to use; offload, wrap, device: see `RdmaEnd`; tcp, wrap_streams: see `TcpEnd`.
    reconnect: what is done about a connection that is lost, None for nothing; policy: which of several paths is used.
    """
    urls = parse_urls(url)

    def open_end(transport: str, host: str) -> End:
        if transport == "tcp":
            return TcpEnd(local=local, config=tcp, wrap=wrap_streams)
        if transport == "quic":
            # Loaded when it is used: it brings a TLS stack along, which costs as much as all else.
            from stacks.nvme.bindings.quic.sync import QuicEnd

            return QuicEnd(host, local=local, offload=offload, wrap=wrap, config=tcp)
        return RdmaEnd(host, local=local, offload=offload, wrap=wrap, device=device)

    end = Ends(open_end, local=local)
    try:
        chosen = config or HostConfig()
        nqn = nqn_of(urls) or chosen.nqn or _only_subsystem(end, urls, chosen)
        connection = Connection(end, urls, policy=policy)
        try:
            connection.open(replace(chosen, nqn=nqn), reconnect or NO_RECONNECT)
            yield connection
        finally:
            connection.close()
    finally:
        end.close()


@contextmanager
def connect(
    url: str | NvmeUrl | Sequence[str | NvmeUrl],
    *,
    config: HostConfig | None = None,
    local: str = "",
    offload: bool = True,
    wrap: Wrap | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpInitiatorConfig | None = None,
    wrap_streams: WrapStreams | None = None,
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    policy: PathPolicy = PathPolicy.ROUND_ROBIN,
) -> Iterator[Namespace]:
    """A connected namespace; the arguments are those of `attach`."""
    with attach(
        url,
        config=config,
        local=local,
        offload=offload,
        wrap=wrap,
        device=device,
        tcp=tcp,
        wrap_streams=wrap_streams,
        reconnect=reconnect,
        policy=policy,
    ) as connection:
        yield connection.namespace(nsid_of(connection.urls))


def discover(
    url: str | NvmeUrl, *, local: str = "", offload: bool = True, wrap: Wrap | None = None
) -> list[DiscoveredSubsystem]:
    """What the target at the URL has to offer."""
    parsed = parse_url(url) if isinstance(url, str) else url
    place = replace(parsed, nqn=DISCOVERY_NQN)
    with attach(place, local=local, offload=offload, wrap=wrap, reconnect=None) as connection:
        return connection.discover()


def _only_subsystem(end: Ends, urls: Sequence[NvmeUrl], config: HostConfig) -> str:
    """The NQN of the only subsystem, as the first of the places says where somebody answers."""
    for url in urls:
        connection = Connection(end, [url])
        try:
            connection.open(replace(config, nqn=DISCOVERY_NQN, keep_alive_ms=0), NO_RECONNECT)
            return only_subsystem(url, connection.discover())
        except ConnectionFailed:
            if url is urls[-1]:
                raise
        finally:
            connection.close()
    raise AssertionError("there is always a URL")


def _bytes_view(buffer: bytes | bytearray | memoryview) -> memoryview:
    return memoryview(buffer).cast("B")


WAIT_NS = 60 * 10**9
CLOSE_TIMEOUT_NS = 2 * 10**9
