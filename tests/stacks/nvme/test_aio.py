"""The asynchronous and the synchronous API, over real sockets on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from stacks.nvme import sync
from stacks.nvme.aio import attach, connect, discover, serve
from stacks.nvme.host import CommandFailed, ConnectionFailed, HostConfig
from stacks.nvme.stores import MemoryStore, create_image
from stacks.nvme.target import Subsystem
from stacks.runtime import LocalError
from wire.nvme.reservations import AcquireAction, PersistenceChange, ReleaseAction, ReservationType
from wire.nvme.status import StatusCode

DATA = bytes(range(256)) * 256


@pytest.fixture
def url(loopback_address: str) -> str:
    return f"nvme+rdma://{loopback_address}"


@pytest.fixture
def local(loopback_addresses: Iterator[str]) -> str:
    return next(loopback_addresses)


def test_a_block_is_written_and_read_in_a_few_lines(url: str, local: str) -> None:
    async def main() -> None:
        async with serve(url, "mem:16MiB"), connect(url, local=local) as namespace:
            await namespace.write(3, DATA)
            assert await namespace.read(3, 16) == DATA
            await namespace.flush()
            await namespace.compare(3, DATA)
            await namespace.deallocate([(3, 1)])
            await namespace.write_zeroes(4, 1)
            assert await namespace.read(2, 4) == bytes(3 * 4096) + DATA[8192:12288]

    trio.run(main)


def test_a_failed_compare_says_so(url: str, local: str) -> None:
    async def main() -> None:
        async with serve(url, "mem:16MiB"), connect(url, local=local) as namespace:
            await namespace.compare(0, b"\1" * 4096)

    with pytest.raises(CommandFailed, match="compare: compare failure") as caught:
        trio.run(main)
    assert caught.value.code == StatusCode.COMPARE_FAILURE


def test_flush_and_fua_of_an_image_run_in_a_thread(url: str, local: str, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    create_image(str(image), 1 << 20)

    async def main() -> None:
        async with serve(url, str(image)), connect(url, local=local) as namespace:
            async with trio.open_nursery() as nursery:
                for block in range(32):
                    nursery.start_soon(write, namespace, block)
            await namespace.deallocate([(0, 4)])
            await namespace.flush()

    async def write(namespace: object, block: int) -> None:
        await namespace.write(block, bytes([block + 1]) * 4096, is_fua=block % 3 == 0)  # type: ignore[attr-defined]

    trio.run(main)
    content = image.read_bytes()
    assert [content[block * 4096] for block in range(32)] == [0] * 4 + list(range(5, 33))


def test_a_host_reserves_a_namespace_and_another_is_kept_out(
    url: str, loopback_addresses: Iterator[str], tmp_path: Path
) -> None:
    image = tmp_path / "disk.img"
    create_image(str(image), 1 << 20)
    other = HostConfig(host_nqn="nqn.2026-11.io.baremetal:other")

    async def main() -> None:
        async with (
            serve(url, str(image)),
            connect(url, local=next(loopback_addresses)) as mine,
            connect(url, local=next(loopback_addresses), config=other) as theirs,
        ):
            await mine.reservation_register(0xA, persistence=PersistenceChange.SET)
            await mine.reservation_acquire(0xA, ReservationType.WRITE_EXCLUSIVE)
            with pytest.raises(CommandFailed, match="write: reservation conflict"):
                await theirs.write(0, bytes(4096))
            report = await theirs.reservation_report()
            assert (report.kind, report.is_persistent) == (ReservationType.WRITE_EXCLUSIVE, True)
            assert [each.host_id for each in report.registrants] == [HostConfig().host_identifier]
            await mine.reservation_release(0xA, ReservationType.WRITE_EXCLUSIVE)
            await theirs.write(0, bytes(4096))
        assert (tmp_path / "disk.img.reservations").exists()

    trio.run(main)


def test_an_image_in_use_stops_the_server_from_starting(url: str, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    create_image(str(image), 1 << 20)

    async def main() -> None:
        async with serve(url, str(image), str(image)):
            pass

    with pytest.raises(LocalError, match="image is in use"):
        trio.run(main)


def test_a_taken_address_is_named(url: str, loopback_address: str) -> None:
    async def main() -> None:
        async with serve(url, "mem:1MiB"), serve(url, "mem:1MiB"):
            pass

    with pytest.raises(LocalError, match=f"UDP port 4791 of {loopback_address} is taken"):
        trio.run(main)


def test_two_namespaces_are_told_apart_by_the_url(url: str, local: str) -> None:
    async def main() -> None:
        async with serve(url, "mem:1MiB", "mem:2MiB"):
            async with attach(url, local=local) as connection:
                assert sorted(connection.host.namespaces) == [1, 2]
            async with connect(url + "/2", local=local) as namespace:
                assert namespace.size_bytes == 2 << 20
            with pytest.raises(LocalError, match="say which"):
                async with connect(url, local=local):
                    pass

    trio.run(main)


def test_one_target_is_reached_through_two_addresses(loopback_addresses: Iterator[str]) -> None:
    urls = [f"nvme+rdma://{next(loopback_addresses)}" for _ in range(2)]
    locals_ = [next(loopback_addresses) for _ in range(2)]

    async def main() -> None:
        async with (
            serve(urls, "mem:1MiB"),
            connect(urls[0], local=locals_[0]) as one,
            connect(urls[1], local=locals_[1]) as other,
        ):
            await one.write(0, DATA)
            assert await other.read(0, 16) == DATA

    trio.run(main)


def test_a_server_that_goes_away_is_reported(url: str, local: str) -> None:
    async def main() -> None:
        async with serve(url, "mem:1MiB") as server, connect(url, local=local, reconnect=None) as namespace:
            await server.drain()
            with pytest.raises((ConnectionFailed, LocalError), match="closed the connection"):
                await namespace.read(0)

    trio.run(main)


@pytest.fixture
def target(url: str) -> Iterator[str]:
    """A target in a thread of its own, for programs without an event loop."""
    is_up, stop = threading.Event(), threading.Event()

    async def main() -> None:
        async with serve(url, "mem:16MiB"):
            is_up.set()
            await trio.to_thread.run_sync(stop.wait)

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    assert is_up.wait(55)
    yield url
    stop.set()
    thread.join()


def test_the_synchronous_api_needs_no_event_loop(target: str, local: str) -> None:
    assert [entry.kind for entry in sync.discover(target, local=local)] == ["current discovery", "nvm"]
    with sync.connect(target, local=local) as namespace:
        namespace.write(1, DATA)
        namespace.flush()
        assert namespace.read(1, 16) == DATA
        namespace.write_zeroes(1, 1)
        with pytest.raises(CommandFailed):
            namespace.compare(1, DATA)
        with pytest.raises(LocalError):
            namespace.read(1 << 40)


def test_the_synchronous_api_reserves_as_well(target: str, loopback_addresses: Iterator[str]) -> None:
    other = HostConfig(host_nqn="nqn.2026-11.io.baremetal:other")
    with (
        sync.connect(target, local=next(loopback_addresses)) as mine,
        sync.connect(target, local=next(loopback_addresses), config=other) as theirs,
    ):
        mine.reservation_register(0xA)
        theirs.reservation_register(0xB)
        mine.reservation_acquire(0xA, ReservationType.EXCLUSIVE_ACCESS)
        with pytest.raises(CommandFailed, match="read: reservation conflict"):
            theirs.read(0)
        theirs.reservation_acquire(
            0xB, ReservationType.EXCLUSIVE_ACCESS, action=AcquireAction.PREEMPT_AND_ABORT, preempted_key=0xA
        )
        assert [each.key for each in theirs.reservation_report().registrants] == [0xB]
        with pytest.raises(CommandFailed, match="reservation release: reservation conflict"):
            mine.reservation_release(0xA, ReservationType.EXCLUSIVE_ACCESS)
        theirs.reservation_release(0xB, action=ReleaseAction.CLEAR)
        mine.write(0, bytes(4096))


def test_many_operations_are_kept_under_way_by_polling(target: str, local: str) -> None:
    with sync.connect(target, local=local) as namespace:
        memory = bytearray(DATA * 2)
        region = namespace.register(memory)
        writes = [namespace.submit_write(n, region, offset=n * 4096, length=4096) for n in range(32)]
        while not all(write.is_done for write in writes):
            if not namespace.poll():
                namespace.wait(10**9)
        memory[:] = bytes(len(memory))
        done: list[object] = []
        for number in range(32):
            namespace.submit_read(number, region, offset=number * 4096, length=4096, done=done.append)
        while len(done) < 32:
            if not namespace.poll():
                namespace.wait(10**9)
        assert memory == DATA * 2


def test_discovery_is_there_for_whoever_asks(url: str, local: str) -> None:
    async def main() -> None:
        async with serve(url, "mem:1MiB", nqn="nqn.2026-11.io.baremetal:other"):
            found = await discover(url, local=local)
            assert [entry.nqn for entry in found if entry.kind == "nvm"] == ["nqn.2026-11.io.baremetal:other"]

    trio.run(main)


def test_a_configuration_without_an_nqn_lets_discovery_find_the_subsystem_for_that_host(url: str, local: str) -> None:
    config = HostConfig(host_nqn="nqn.2026-11.io.baremetal:invited", keep_alive_ms=0)
    subsystem = Subsystem("nqn.2026-11.io.baremetal:private", allowed_hosts={config.host_nqn})
    subsystem.add_namespace(MemoryStore(1 << 20))

    async def main() -> None:
        async with serve(url, subsystems=[subsystem]):
            async with connect(url, local=local, config=config) as namespace:
                assert namespace.connection.host.config.nqn == subsystem.nqn
            with pytest.raises(LocalError, match="has no subsystem"):
                async with connect(url, local=local):
                    pass

    trio.run(main)
