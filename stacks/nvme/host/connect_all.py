"""Connecting to everything that a discovery service lists, and what the services list that it refers to.

    service -> log -> NVM subsystem   a path of that subsystem's Multipath
                   -> referral        another service, unless it is known already

With `is_persistent` the services stay connected, and what they list later is connected then. What they list no longer
stays connected, as with nvme-cli: a service says how to reach a subsystem, not whether to use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from stacks.nvme.host.configuration import HostConfig
from stacks.nvme.host.discovery import DiscoveredSubsystem
from stacks.nvme.host.discovery_watch import DiscoveryWatch
from stacks.nvme.host.head import PathPolicy
from stacks.nvme.host.multipath import Multipath
from stacks.nvme.host.path import Connector, Path
from stacks.nvme.host.reconnect import ReconnectPolicy
from stacks.runtime.errors import StackError
from transports.errors import TransportError
from wire.nvme.opcodes import DISCOVERY_NQN

Place = tuple[str, str, int]
"""Transport, address and port."""


class ConnectAll:
    """All subsystems that can be found, each under its NQN in `subsystems`.

    connector_for: what connects to an address over a transport; it may raise. config: how to connect, except whereto.
    reconnect, policy: of every subsystem. wake: see `Multipath`. on_change: called when there is news of any kind.
    services: by place; skipped: entries that are not connected to, with the reason.
    """

    def __init__(
        self,
        connector_for: Callable[[str, str], Connector],
        config: HostConfig,
        *,
        reconnect: ReconnectPolicy,
        policy: PathPolicy = PathPolicy.ROUND_ROBIN,
        is_persistent: bool = False,
        wake: Callable[[], None] | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.subsystems: dict[str, Multipath] = {}
        self.services: dict[Place, DiscoveryWatch] = {}
        self.skipped: dict[DiscoveredSubsystem, str] = {}
        self.on_change = on_change
        self._connector_for = connector_for
        self._config = config
        self._reconnect = reconnect
        self._policy = policy
        self._is_persistent = is_persistent
        self._wake = wake
        self._paths: dict[tuple[str, Place], Path] = {}
        self._is_stopping = False

    @property
    def is_settled(self) -> bool:
        """Whether it is known of everything that was found whether it came about."""
        paths = self._paths.values()
        return all(watch.is_settled for watch in self.services.values()) and all(
            path.is_live or path.is_removed or path.failure for path in paths
        )

    @property
    def is_over(self) -> bool:
        """Whether everything is stopped, or was given up."""
        return all(watch.path.is_removed for watch in self.services.values()) and all(
            subsystem.is_over for subsystem in self.subsystems.values()
        )

    @property
    def failures(self) -> dict[str, str]:
        """Why paths are not there, or a discovery service was not read, by `transport://address:port/NQN`."""
        paths = {(nqn, place): path.failure for (nqn, place), path in self._paths.items()}
        services = {
            (watch.path.config.nqn, place): watch.problem or watch.path.failure
            for place, watch in self.services.items()
        }
        return {f"{place[0]}://{place[1]}:{place[2]}/{nqn}": failure
                for (nqn, place), failure in (services | paths).items() if failure}  # fmt: skip

    def add_service(
        self, transport: str, host: str, port: int, now: int, *, nqn: str = DISCOVERY_NQN
    ) -> DiscoveryWatch:
        """Ask a discovery service, under the well-known NQN or one of its own. Raises what connecting raises."""
        kato = SERVICE_KEEP_ALIVE_MS if self._is_persistent else 0
        config = replace(self._config, nqn=nqn, io_queues=1, keep_alive_ms=kato)
        path = Path(self._connector_for(transport, host), host, config, port=port, policy=self._reconnect)
        place = transport, host, port
        watch = self.services[place] = DiscoveryWatch(path, partial(self._changed, place), now)
        return watch

    def stop(self, now: int) -> None:
        """Stop everything, in order."""
        self._is_stopping = True
        for watch in self.services.values():
            watch.stop(now)
        for subsystem in self.subsystems.values():
            subsystem.stop(now)

    def _changed(self, place: Place, added: list[DiscoveredSubsystem], _: list[DiscoveredSubsystem]) -> None:
        watch = self.services[place]
        assert watch.path.host is not None
        now = watch.path.host.now
        for entry in added:
            if not self._is_stopping:
                self._take(entry, now)
        if not self._is_persistent:
            watch.stop(now)
        if self._wake is not None:
            # What was begun may be another connector's.
            self._wake()
        self._told()

    def _take(self, entry: DiscoveredSubsystem, now: int) -> None:
        if entry.kind == "current discovery":
            return
        if entry.transport not in ("tcp", "rdma", "quic") or not entry.port.isdecimal():
            self.skipped[entry] = f"{entry.transport} is not supported"
            return
        place = entry.transport, entry.host, int(entry.port)
        try:
            if entry.kind == "referral":
                self._follow(entry, place, now)
            elif entry.kind == "nvm":
                self._connect(entry.nqn, place, now)
            else:
                self.skipped[entry] = f"it is {entry.kind}"
        except (StackError, TransportError) as error:
            self.skipped[entry] = str(error)

    def _follow(self, entry: DiscoveredSubsystem, place: Place, now: int) -> None:
        if place in self.services:
            return
        if len(self.services) >= SERVICES_MAX:
            self.skipped[entry] = f"more than {SERVICES_MAX} discovery services"
            return
        self.add_service(*place, now, nqn=entry.nqn or DISCOVERY_NQN)

    def _connect(self, nqn: str, place: Place, now: int) -> None:
        known = self._paths.get((nqn, place))
        if known is not None and not known.is_removed:
            return
        transport, host, port = place
        path = Path(
            self._connector_for(transport, host),
            host,
            replace(self._config, nqn=nqn),
            port=port,
            policy=self._reconnect,
        )
        subsystem = self.subsystems.get(nqn)
        if subsystem is None:
            subsystem = self.subsystems[nqn] = Multipath(policy=self._policy, wake=self._wake, on_change=self._told)
        if known is not None and known in subsystem.paths:
            subsystem.paths.remove(known)
        self._paths[nqn, place] = path
        subsystem.add(path, now)

    def _told(self) -> None:
        if self.on_change is not None:
            self.on_change()


SERVICES_MAX = 64
"""Discovery services that are asked, so that referrals lead nowhere without end."""
SERVICE_KEEP_ALIVE_MS = 30_000
"""KATO of a persistent connection, as nvme-cli has it."""
