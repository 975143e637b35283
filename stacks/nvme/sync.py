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

from stacks.nvme.bindings.rdma.sync import DeviceConfig, RdmaEnd, Wrap
from stacks.nvme.bindings.sync import End
from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.bindings.tcp.sync import TcpEnd, WrapStreams
from stacks.nvme.host import (
    CommandFailed,
    ConnectionFailed,
    DiscoveredSubsystem,
    HostConfig,
    HostController,
    HostNamespace,
    Region,
    Transfer,
    read_discovery_log,
)
from stacks.nvme.reservation_calls import ReservationCalls
from stacks.nvme.url import NvmeUrl, parse_url
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError
from wire.nvme.opcodes import DISCOVERY_NQN


class Connection:
    """An association with a controller, and the device it uses; made by `attach`."""

    def __init__(self, end: End, url: NvmeUrl) -> None:
        self.end = end
        self.url = url
        self._host: HostController | None = None

    @property
    def host(self) -> HostController:
        """The association in the core, once `open` was called."""
        assert self._host is not None
        return self._host

    def open(self, config: HostConfig) -> None:
        """Connect; ConnectionFailed when that does not come about."""
        end = self.end
        host = self._host = end.initiator.connect(self.url.host, config, end.clock.now(), port=self.url.port)
        end.run_until(lambda: host.is_live or host.is_closed, timeout_ns=CONNECT_TIMEOUT_NS)
        if not host.is_live:
            raise ConnectionFailed(host.failure or f"{self.url} does not get on with connecting")

    def namespace(self, nsid: int = 0) -> Namespace:
        """A namespace by number, or the only one; LocalError when that does not fit."""
        return Namespace(self, self.host.namespace(nsid))

    def discover(self) -> list[DiscoveredSubsystem]:
        """Read the discovery log; on an association with a discovery controller."""
        found: list[DiscoveredSubsystem] = []
        outcome: list[StackError | None] = []
        self.host.run(read_discovery_log(self.host, found), outcome.append, self.end.clock.now())
        self.run_until(lambda: bool(outcome))
        if outcome and outcome[0] is not None:
            raise outcome[0]
        return found

    def poll(self) -> bool:
        """Turn the pump once; whether anything was done."""
        return self.end.pump.pump()

    def wait(self, timeout_ns: int | None = None) -> None:
        """Sleep until the pump has something to do."""
        self.end.pump.wait(timeout_ns)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Turn the pump until `condition` holds; ConnectionFailed when the association ends first."""
        host, end = self.host, self.end
        while not end.run_until(lambda: condition() or host.is_closed, timeout_ns=CONNECT_TIMEOUT_NS):
            pass
        if not condition():
            raise ConnectionFailed(host.failure or "the connection is closed")

    def close(self) -> None:
        """Shut the controller down and end the connections."""
        end, host = self.end, self._host
        if host is not None and not host.is_closed:
            host.stop(end.clock.now())
        end.run_until(lambda: (host is None or host.is_closed) and end.initiator.is_quiet, timeout_ns=CLOSE_TIMEOUT_NS)


class Namespace(ReservationCalls):
    """A connected namespace.

    nsid: its number; block_bytes, block_count, size_bytes: its size; core: the same in the core.
    """

    def __init__(self, connection: Connection, core: HostNamespace) -> None:
        self.connection = connection
        self.core = core
        self.nsid = core.nsid
        self.block_bytes = core.block_bytes
        self.block_count = core.block_count
        self.size_bytes = core.size_bytes

    def read(self, block: int, blocks: int = 1) -> bytes:
        """Blocks as bytes."""
        into = bytearray(blocks * self.block_bytes)
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
        return self.connection.end.initiator.register(buffer)

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
        check_transfer(self.connection.host, transfer)


@contextmanager
def attach(
    url: str | NvmeUrl,
    *,
    config: HostConfig | None = None,
    local: str = "",
    offload: bool = True,
    wrap: Wrap | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpInitiatorConfig | None = None,
    wrap_streams: WrapStreams | None = None,
) -> Iterator[Connection]:
    """An association with the URL's subsystem, or with the discovery controller when the URL or `config` names that.

    config: how to connect; its NQN counts only when the URL has none. Without any, discovery finds the only one.
    local: which of our addresses to use; offload, wrap, device: see `RdmaEnd`; tcp, wrap_streams: see `TcpEnd`.
    """
    parsed = parse_url(url) if isinstance(url, str) else url
    end: End
    if parsed.transport == "tcp":
        end = TcpEnd(local=local, config=tcp, wrap=wrap_streams)
    else:
        end = RdmaEnd(parsed.host, local=local, offload=offload, wrap=wrap, device=device)
    try:
        chosen = config or HostConfig()
        nqn = parsed.nqn or chosen.nqn or _only_subsystem(end, parsed, chosen)
        connection = Connection(end, parsed)
        try:
            connection.open(replace(chosen, nqn=nqn))
            yield connection
        finally:
            connection.close()
    finally:
        end.close()


@contextmanager
def connect(
    url: str | NvmeUrl,
    *,
    config: HostConfig | None = None,
    local: str = "",
    offload: bool = True,
    wrap: Wrap | None = None,
    device: DeviceConfig | None = None,
    tcp: TcpInitiatorConfig | None = None,
    wrap_streams: WrapStreams | None = None,
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
    ) as connection:
        yield connection.namespace(connection.url.nsid)


def discover(
    url: str | NvmeUrl, *, local: str = "", offload: bool = True, wrap: Wrap | None = None
) -> list[DiscoveredSubsystem]:
    """What the target at the URL has to offer."""
    parsed = parse_url(url) if isinstance(url, str) else url
    with attach(replace(parsed, nqn=DISCOVERY_NQN), local=local, offload=offload, wrap=wrap) as connection:
        return connection.discover()


def only_subsystem(url: NvmeUrl, found: Sequence[DiscoveredSubsystem]) -> str:
    """The NQN of the only NVM subsystem in a discovery log; LocalError when there is none or more than one."""
    names = sorted({entry.nqn for entry in found if entry.kind == "nvm"})
    if len(names) != 1:
        has = f"has {', '.join(names)}; add one to the URL" if names else "has no subsystem"
        raise LocalError(f"the target at {url} {has}")
    return names[0]


def check_transfer(host: HostController, transfer: Transfer) -> None:
    """Raise what a finished transfer's status says: CommandFailed, or ConnectionFailed when the connection is gone."""
    if transfer.status:
        if host.is_closed:
            raise ConnectionFailed(host.failure or "the connection is closed")
        raise CommandFailed(transfer.what, transfer.status, is_io=True)


def _only_subsystem(end: End, url: NvmeUrl, config: HostConfig) -> str:
    connection = Connection(end, url)
    try:
        connection.open(replace(config, nqn=DISCOVERY_NQN, keep_alive_ms=0))
        return only_subsystem(url, connection.discover())
    finally:
        connection.close()


def _bytes_view(buffer: bytes | bytearray | memoryview) -> memoryview:
    return memoryview(buffer).cast("B")


CONNECT_TIMEOUT_NS = 20 * 10**9
"""More than the connection manager and the controller's own time limits, so theirs are what a person reads about."""
CLOSE_TIMEOUT_NS = 2 * 10**9
