"""Both faces over several paths, through losses, and with discovery, over real sockets on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
import trio.testing

from stacks.nvme import sync
from stacks.nvme.aio import Namespace, connect, serve
from stacks.nvme.bindings.rdma import RdmaInitiator
from stacks.nvme.bindings.sync import register_with
from stacks.nvme.bindings.tcp import TcpInitiator
from stacks.nvme.discovering.aio import connect_all, watch_discovery
from stacks.nvme.host import ConnectionFailed, HostConfig, PathPolicy, ReconnectPolicy
from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem
from stacks.rdma import Device
from stacks.runtime import LocalError

pytestmark = pytest.mark.slow

QUICK = ReconnectPolicy(reconnect_delay=0.05, ctrl_loss_tmo=30)
NQN = "nqn.2026-11.io.baremetal:disk"


@pytest.fixture
def urls(loopback_addresses: Iterator[str]) -> list[str]:
    return [f"nvme+{transport}://{next(loopback_addresses)}" for transport in ("tcp", "rdma", "tcp")]


def test_a_namespace_is_used_over_tcp_and_rdma_at_once(urls: list[str]) -> None:
    async def main() -> None:
        async with serve(urls, "mem:16MiB"), connect(urls, policy=PathPolicy.ROUND_ROBIN) as namespace:
            paths = namespace.connection.multipath.paths
            assert [path.is_live for path in paths] == [True] * 3
            async with trio.open_nursery() as nursery:
                for block in range(60):
                    nursery.start_soon(namespace.write, block, bytes([block]) * 4096)
            assert [(await namespace.read(block))[0] for block in range(60)] == list(range(60))
            used = {path.connector.transport for path in paths if path.host is not None and path.host.io_queues}
            assert used == {"tcp", "rdma"}

    trio.run(main)


class Running:
    """A target in a task of its own, which can be stopped before what was opened later."""

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._is_over = trio.Event()

    async def run(self, url: str, store: MemoryStore, *, task_status: trio.TaskStatus[Running]) -> None:
        with self._scope:
            async with serve(url, store):
                task_status.started(self)
                await trio.sleep_forever()
        self._is_over.set()

    async def stop(self) -> None:
        self._scope.cancel()
        await self._is_over.wait()


def test_a_path_that_is_away_at_first_comes_in_when_it_is_there(urls: list[str]) -> None:
    store = MemoryStore(1 << 20)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            second: Running = await nursery.start(Running().run, urls[1], store)
            async with connect(urls[:2], reconnect=QUICK) as namespace:
                paths = namespace.connection.multipath.paths
                assert [path.is_live for path in paths] == [False, True]
                await namespace.write(0, b"\7" * 4096)
                first: Running = await nursery.start(Running().run, urls[0], store)
                await namespace.connection.end.wait_until(lambda: all(path.is_live for path in paths))
                assert await namespace.read(0) == b"\7" * 4096
            await first.stop()
            await second.stop()

    trio.run(main)


async def read_for_ever(namespace: Namespace) -> None:
    while True:
        await namespace.read(0)


@pytest.mark.parametrize("number", [0, 1])
def test_operations_wait_for_a_target_that_comes_back(urls: list[str], number: int) -> None:
    url = f"{urls[number]}/{NQN}"
    store = MemoryStore(1 << 20)
    results: list[bytes] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            target: Running = await nursery.start(Running().run, url, store)
            async with connect(url, reconnect=QUICK) as namespace:
                connection = namespace.connection

                async def read() -> None:
                    results.append(await namespace.read(0))

                await namespace.write(0, b"\1" * 4096)
                await target.stop()
                await connection.end.wait_until(lambda: not connection.multipath.is_live)
                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                assert results == []
                target = await nursery.start(Running().run, url, store)
                await connection.end.wait_until(lambda: bool(results))
            await target.stop()

    trio.run(main)
    assert results == [b"\1" * 4096]


def test_a_target_that_does_not_come_back_is_a_failed_connection(urls: list[str]) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            target: Running = await nursery.start(Running().run, urls[0], MemoryStore(1 << 20))
            brief = ReconnectPolicy(reconnect_delay=0.05, ctrl_loss_tmo=0.2)
            async with connect(urls[0], reconnect=brief) as namespace:
                await target.stop()
                with pytest.raises(ConnectionFailed, match=r"given up after 0\.2 seconds"):
                    await read_for_ever(namespace)

    trio.run(main)


def test_urls_that_name_different_things_are_no_paths() -> None:
    for first, second in (("/nqn.2026-11.io.baremetal:a", "/nqn.2026-11.io.baremetal:b"), ("/1", "/2")):
        with (
            pytest.raises(LocalError, match="paths are to one"),
            sync.connect(
                [f"nvme+tcp://127.0.0.2{first}", f"nvme+tcp://127.0.0.2{second}"], config=HostConfig(nqn=NQN)
            ),
        ):
            pass
    with pytest.raises(LocalError, match="no URL"), sync.connect([]):
        pass


def test_discovery_is_followed_and_everything_connected(urls: list[str]) -> None:
    subsystems = []
    for name in ("red", "green"):
        subsystem = Subsystem(f"nqn.2026-11.io.baremetal:{name}")
        subsystem.add_namespace(MemoryStore(1 << 20))
        subsystems.append(subsystem)

    async def main() -> None:
        async with serve(urls, subsystems=subsystems[:1]) as server, watch_discovery(urls[0]) as changes:
            added, removed = await changes.receive()
            assert len([entry for entry in added if entry.kind == "nvm"]) == 3
            assert removed == []
            async with connect_all(urls[1], is_persistent=True) as everything:
                (namespace,) = everything.namespaces()
                assert len(namespace.connection.multipath.paths) == 3
                await namespace.write(0, b"\5" * 4096)
                server.target.add_subsystem(subsystems[1])
                for port in server.ports:
                    port.driver.wake()
                added, _ = await changes.receive()
                assert {entry.nqn for entry in added} == {subsystems[1].nqn}
                await everything.wait_until(lambda: len(everything.connections()) == 2 and everything.core.is_settled)
                assert (await everything.namespaces()[-1].read(0)) == b"\5" * 4096

    trio.run(main)


def test_memory_is_registered_with_every_device_and_tcp_needs_none() -> None:
    devices = [RdmaInitiator(Device(f"192.0.2.{number}")) for number in (1, 2)]
    buffer = bytearray(8192)
    region = register_with([TcpInitiator(), *devices], buffer)
    assert region.owner is not None
    owners = {each.owner for each in (region, *region.others)}
    assert len(owners) == 2
    assert all(region.of(owner) is not None for owner in owners)
    assert region.of(object()) is None
    assert register_with([TcpInitiator()], buffer).owner is None
    with pytest.raises(LocalError, match="nothing to register memory with"):
        register_with([], buffer)
