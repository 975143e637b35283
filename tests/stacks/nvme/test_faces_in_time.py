"""Both faces and what changes behind their backs: time that passes, sizes that grow; over real sockets on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from stacks.nvme import sync
from stacks.nvme.aio import connect, serve
from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.host import HostConfig, pages
from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem

pytestmark = pytest.mark.slow

NQN = "nqn.2026-11.io.baremetal:disk"


@contextmanager
def serving(url: str) -> Iterator[None]:
    """A target in a thread of its own, since the face without an event loop blocks."""
    is_there, is_over = threading.Event(), threading.Event()

    async def main() -> None:
        async with serve(url, "mem:1MiB"):
            is_there.set()
            await trio.to_thread.run_sync(is_over.wait)

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    try:
        assert is_there.wait(10)
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("transport", ["tcp", "rdma"])
def test_a_program_that_was_away_is_connected_anew_before_anything_is_sent(
    transport: str, loopback_addresses: Iterator[str]
) -> None:
    url = f"nvme+{transport}://{next(loopback_addresses)}"
    with serving(url), sync.connect(url, config=HostConfig(keep_alive_ms=200)) as namespace:
        namespace.write(0, b"\x05" * 4096)
        time.sleep(0.7)
        # A copy is never sent a second time, so it fails if it is sent to an association that the target has ended;
        # and a loss that shows only then is followed by the usual delay of ten seconds.
        before = time.monotonic()
        namespace.copy(1, [(0, 1)])
        assert time.monotonic() - before < 5
        assert namespace.read(1) == b"\x05" * 4096
        time.sleep(0.7)
        assert namespace.connection.identify(pages.CONTROLLER).subnqn
        (path,) = namespace.connection.multipath.paths
        assert path.losses == 2


def test_the_size_is_that_of_now(loopback_addresses: Iterator[str]) -> None:
    url = f"nvme+tcp://{next(loopback_addresses)}"
    store = MemoryStore(1 << 20)
    subsystem = Subsystem(NQN)
    subsystem.add_namespace(store)

    async def main() -> None:
        async with serve(url, subsystems=[subsystem]), connect(url) as namespace:
            assert namespace.block_count == 256
            store.resize(2 << 20)
            subsystem.resize_namespace(1)
            changed = trio.Event()
            namespace.connection.multipath.on_change = changed.set
            with trio.fail_after(10):
                await changed.wait()
            assert namespace.size_bytes == 2 << 20
            await namespace.write(511, bytes(4096))

    trio.run(main)


class Unlent(MemoryStore):
    """Lends nothing, so that reads need staging buffers."""

    def view(self, block: int, blocks: int) -> memoryview | None:
        return None


def test_a_command_that_waits_for_a_buffer_goes_on_as_soon_as_one_is_sent(loopback_addresses: Iterator[str]) -> None:
    url = f"nvme+tcp://{next(loopback_addresses)}"
    one_of_each = TcpTargetConfig(shelves=((8 << 10, 1), (128 << 10, 1), (1 << 20, 1)))

    async def main() -> None:
        quiet = HostConfig(keep_alive_ms=0)
        async with serve(url, Unlent(4 << 20), tcp=one_of_each), connect(url, config=quiet) as namespace:
            with trio.fail_after(5):
                async with trio.open_nursery() as nursery:
                    for block in range(20):
                        nursery.start_soon(namespace.read, block, 16)

    trio.run(main)
