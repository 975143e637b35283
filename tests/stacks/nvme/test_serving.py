"""Targets that listen, and are changed meanwhile; over real sockets on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from stacks.nvme.aio import Connection, Server, attach, connect, discover, serve
from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.configuration import (
    ConfiguredTarget,
    DirectoryConfiguration,
    NamespaceConfiguration,
    PortConfiguration,
    SubsystemConfiguration,
    TargetConfiguration,
)
from stacks.nvme.host import ConnectionFailed, HostConfig
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from stacks.nvme.url import NvmeUrl
from stacks.runtime import LocalError
from transports.errors import TransportError
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import DISCOVERY_NQN

NQN = "nqn.2026-11.io.baremetal:disk"
MANAGEMENT = f"{NQN}-management"


@pytest.fixture
def tcp(loopback_addresses: Iterator[str]) -> NvmeUrl:
    return NvmeUrl("tcp", next(loopback_addresses))


@pytest.fixture
def rdma(loopback_addresses: Iterator[str]) -> NvmeUrl:
    return NvmeUrl("rdma", next(loopback_addresses))


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 (what becomes true is in a core, which knows of no events)
            await trio.sleep(0.001)


def configuration(*urls: NvmeUrl, folder: Path | None = None) -> TargetConfiguration:
    ports = [PortConfiguration(url=url, portid=index) for index, url in enumerate(urls, 1)]
    return TargetConfiguration(
        ports=(*ports[:1], *(PortConfiguration(url=port.url, portid=port.portid, serves=(NQN,)) for port in ports[1:])),
        subsystems=(
            SubsystemConfiguration(
                nqn=NQN,
                namespaces=(NamespaceConfiguration(store="mem:1MiB"),),
                directories=(DirectoryConfiguration(path="."),) if folder else (),
            ),
            SubsystemConfiguration(nqn=MANAGEMENT, kind=ADMINISTRATIVE),
        ),
        folder=str(folder or ""),
    )


def test_what_a_configuration_describes_is_served_at_each_of_its_ports(
    tcp: NvmeUrl, rdma: NvmeUrl, loopback_addresses: Iterator[str]
) -> None:
    locals_ = iter([next(loopback_addresses), next(loopback_addresses)])

    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp, rdma))) as configured:
            async with serve(configured) as server:
                assert [port.core.port.portid for port in server.ports] == [1, 2]
                found = {(each.transport, each.nqn) for each in await discover(tcp)}
                assert found >= {("tcp", NQN), ("tcp", MANAGEMENT), ("rdma", NQN)}
                assert ("rdma", MANAGEMENT) not in found
                for url in (tcp, rdma):
                    place = NvmeUrl(url.transport, url.host, nqn=NQN)
                    async with connect(place, local=next(locals_) if url is rdma else "") as namespace:
                        assert namespace.size_bytes == 1 << 20

    trio.run(main)


def test_a_configuration_stands_for_itself(tcp: NvmeUrl) -> None:
    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp))) as configured:
            async with serve(configured, "mem:1MiB"):
                pass

    with pytest.raises(LocalError, match="a configuration says which stores"):
        trio.run(main)


def test_a_host_is_told_of_changes_at_once(tcp: NvmeUrl, tmp_path: Path) -> None:
    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp, folder=tmp_path))) as configured:
            subsystem, directory = configured.directory()
            async with serve(configured) as server, attach(NvmeUrl("tcp", tcp.host, nqn=NQN)) as connection:
                with server.changing():
                    created = subsystem.create_namespace(directory, 1 << 20)
                await until(lambda: created in connection.host.namespaces)
                with server.changing():
                    subsystem.resize_namespace(created, 2 << 20)
                await until(lambda: connection.host.namespaces[created].size_bytes == 2 << 20)
                with server.changing():
                    subsystem.delete_namespace(created)
                await until(lambda: created not in connection.host.namespaces)

    trio.run(main)


def test_a_change_of_an_ana_state_takes_as_long_as_it_is_to(tcp: NvmeUrl) -> None:
    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp))) as configured:
            core = configured.subsystem(NQN).subsystem
            async with serve(configured) as server:
                with server.changing():
                    core.change_ana_state(1, AnaState.INACCESSIBLE, duration_ns=20_000_000)
                start = trio.current_time()
                await until(lambda: core.ana.state(1) is AnaState.INACCESSIBLE)
                assert trio.current_time() - start >= 0.015

    trio.run(main)


def test_ports_come_and_go_while_hosts_are_connected(tcp: NvmeUrl, loopback_addresses: Iterator[str]) -> None:
    second = NvmeUrl("tcp", next(loopback_addresses), nqn=NQN)

    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp))) as configured:
            async with serve(configured) as server, attach(NvmeUrl("tcp", tcp.host, nqn=DISCOVERY_NQN)) as watching:
                with pytest.raises(ConnectionFailed):
                    await reachable(second)
                with server.changing():
                    server.add_port(PortConfiguration(url=second, portid=9))
                assert {each.host for each in await watching.discover()} == {tcp.host, second.host}
                async with attach(second, reconnect=None) as connection:
                    with server.changing():
                        server.remove_port(9)
                    await until(lambda: connection.host.is_closed)
                assert {each.host for each in await watching.discover()} == {tcp.host}
                await until(lambda: can_listen(server, second))
                await reachable(second)

    trio.run(main)


def can_listen(server: Server, url: NvmeUrl) -> bool:
    """Listen at an address that was given up: it is free once the hosts have gone."""
    try:
        server.add_port(PortConfiguration(url=url))
    except TransportError:
        return False
    return True


async def reachable(url: NvmeUrl) -> Connection:
    async with attach(url, reconnect=None) as connection:
        return connection


def test_the_last_port_can_go_and_one_come_back(tcp: NvmeUrl) -> None:
    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp))) as configured:
            async with serve(configured) as server:
                server.remove_port(1)
                assert not server.target.ports
                await until(lambda: can_listen(server, tcp))
                await reachable(NvmeUrl("tcp", tcp.host, nqn=NQN))
            with pytest.raises(LocalError, match="does not serve"):
                server.remove_port(1)

    trio.run(main)


def test_a_port_that_cannot_be_leaves_its_address_free(tcp: NvmeUrl, rdma: NvmeUrl) -> None:
    async def main() -> None:
        with contextlib.closing(ConfiguredTarget(configuration(tcp))) as configured:
            async with serve(configured) as server:
                for url in (NvmeUrl("tcp", tcp.host, 4421), rdma):
                    with pytest.raises(LocalError, match="there is a port 1 already"):
                        server.add_port(PortConfiguration(url=url, portid=1))
                    server.add_port(url)
                with pytest.raises(LocalError, match="there is no port 7; there are: 1, 2, 3"):
                    server.remove_port(7)

    trio.run(main)


def test_sizes_of_a_port_are_those_of_its_configuration(tcp: NvmeUrl) -> None:
    async def main() -> None:
        port = PortConfiguration(url=tcp, in_capsule_bytes=4096)
        async with (
            serve(port, "mem:1MiB", tcp=TcpTargetConfig(in_capsule_bytes=16384)),
            attach(NvmeUrl("tcp", tcp.host, nqn=NQN), config=HostConfig()) as connection,
        ):
            assert connection.host.in_capsule_bytes == 4096

    trio.run(main)
