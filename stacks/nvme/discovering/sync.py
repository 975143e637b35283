"""Discovery for programs without an event loop.

    with connect_all("nvme+tcp://127.0.0.2") as everything:
        for namespace in everything.namespaces():
            print(namespace.connection.url, namespace.read(0)[:8])

    with watch_discovery("nvme+tcp://127.0.0.2", on_change=tell) as watched:
        watched.run_until(lambda: False)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stacks.nvme.bindings.rdma.sync import RdmaEnd
from stacks.nvme.bindings.sync import End, Ends
from stacks.nvme.bindings.tcp.sync import TcpEnd
from stacks.nvme.connecting import DEFAULT_RECONNECT, service_config, urls_of
from stacks.nvme.host import (
    NO_RECONNECT,
    ConnectAll,
    ConnectionFailed,
    DiscoveryWatch,
    HostConfig,
    Path,
    PathPolicy,
    ReconnectPolicy,
)
from stacks.nvme.host.discovery_watch import Changes
from stacks.nvme.sync import CLOSE_TIMEOUT_NS, WAIT_NS, Connection, Namespace
from stacks.nvme.url import NvmeUrl, parse_url
from wire.nvme.opcodes import DISCOVERY_NQN


class Everything:
    """What `connect_all` found. core: the same in the core, with what was skipped and what failed."""

    def __init__(self, end: Ends, core: ConnectAll) -> None:
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

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Turn the pump until `condition` holds."""
        run_until(self.end, condition)


class WatchedDiscovery:
    """A discovery service that is watched. core: the same in the core, with its entries."""

    def __init__(self, end: Ends, core: DiscoveryWatch) -> None:
        self.end = end
        self.core = core

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Turn the pump until `condition` holds; ConnectionFailed when the service is given up."""
        run_until(self.end, lambda: condition() or self.core.path.is_removed)
        if not condition():
            raise ConnectionFailed(self.core.path.failure or "the connection is closed")


@contextmanager
def connect_all(
    url: str | NvmeUrl,
    *,
    config: HostConfig | None = None,
    local: str = "",
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
    policy: PathPolicy = PathPolicy.ROUND_ROBIN,
    is_persistent: bool = False,
) -> Iterator[Everything]:
    """Everything that the discovery service at the URL lists, connected, and what the services list that it refers to.

    is_persistent: stay connected to the services, and connect to what they list later. The others: as of `attach`.
    Raises ConnectionFailed when there is no discovery service.
    """
    place = parse_url(url) if isinstance(url, str) else url
    with _ends(local) as end:
        core = ConnectAll(
            end.initiator_for,
            config or HostConfig(),
            reconnect=reconnect or NO_RECONNECT,
            policy=policy,
            is_persistent=is_persistent,
        )
        try:
            service = core.add_service(
                place.transport, place.host, place.port, end.clock.now(), nqn=place.nqn or DISCOVERY_NQN
            )
            run_until(end, lambda: core.is_settled)
            if not service.is_read:
                raise ConnectionFailed(service.problem or service.path.failure)
            yield Everything(end, core)
        finally:
            core.stop(end.clock.now())
            end.run_until(lambda: core.is_over and end.is_quiet, timeout_ns=CLOSE_TIMEOUT_NS)


@contextmanager
def watch_discovery(
    url: str | NvmeUrl,
    *,
    on_change: Changes,
    config: HostConfig | None = None,
    local: str = "",
    reconnect: ReconnectPolicy | None = DEFAULT_RECONNECT,
) -> Iterator[WatchedDiscovery]:
    """A discovery service, kept connected; on_change: called with the entries that came, and those that went.

    Raises ConnectionFailed when there is none.
    """
    place = parse_url(url) if isinstance(url, str) else url
    with _ends(local) as end:
        path = Path(
            end.initiator_for(place.transport, place.host),
            place.host,
            service_config(config or HostConfig(), place.nqn),
            port=place.port,
            policy=reconnect or NO_RECONNECT,
        )
        core = DiscoveryWatch(path, on_change, end.clock.now())
        try:
            run_until(end, lambda: core.is_settled)
            if not core.is_read:
                raise ConnectionFailed(core.problem or path.failure)
            yield WatchedDiscovery(end, core)
        finally:
            core.stop(end.clock.now())
            end.run_until(lambda: path.is_removed and end.is_quiet, timeout_ns=CLOSE_TIMEOUT_NS)


def run_until(end: Ends, condition: Callable[[], bool]) -> None:
    """Turn the pumps until `condition` holds, however long that takes."""
    while not end.run_until(condition, timeout_ns=WAIT_NS):
        pass


@contextmanager
def _ends(local: str) -> Iterator[Ends]:
    def open_end(transport: str, host: str) -> End:
        if transport == "quic":
            # Loaded when it is used: it brings a TLS stack along, which costs as much as all else.
            from stacks.nvme.bindings.quic.sync import QuicEnd

            return QuicEnd(host, local=local)
        return TcpEnd(local=local) if transport == "tcp" else RdmaEnd(host, local=local)

    end = Ends(open_end, local=local)
    try:
        yield end
    finally:
        end.close()


__all__ = ["Everything", "WatchedDiscovery", "connect_all", "watch_discovery"]
