"""What both faces can do beside reading and writing, over real sockets on loopback and both transports."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from stacks.nvme import aio, sync
from stacks.nvme.host import CommandFailed, pages
from stacks.nvme.stores import MemoryStore, create_image
from wire.nvme.features_codec import Timestamp
from wire.nvme.opcodes import FeatureId, FeatureSelect, IoOpcode
from wire.nvme.status import StatusCode

BLOCK = 4096
DATA = b"".join(bytes([number]) * 4096 for number in range(16))


@pytest.fixture(params=["rdma", "tcp"])
def url(request: pytest.FixtureRequest, loopback_address: str) -> str:
    port = "" if request.param == "rdma" else ":44201"
    return f"nvme+{request.param}://{loopback_address}{port}"


@pytest.fixture
def local(loopback_addresses: Iterator[str]) -> str:
    return next(loopback_addresses)


@pytest.fixture
def target(url: str) -> Iterator[str]:
    is_up, stop = threading.Event(), threading.Event()

    async def main() -> None:
        async with aio.serve(url, "mem:16MiB"):
            is_up.set()
            await trio.to_thread.run_sync(stop.wait)

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    assert is_up.wait(55)
    yield url
    stop.set()
    thread.join()


@pytest.mark.slow
def test_a_program_with_an_event_loop_copies_verifies_and_compares(url: str, local: str) -> None:
    async def main() -> None:
        async with aio.serve(url, "mem:16MiB"), aio.connect(url, local=local) as namespace:
            await namespace.write(3, DATA)
            await namespace.copy(100, [(3, 8), (11, 8)])
            assert await namespace.read(100, 16) == DATA
            await namespace.write_uncorrectable(101)
            with pytest.raises(CommandFailed, match="verify: unrecovered read error"):
                await namespace.verify(100, 16)
            await namespace.compare_and_write(100, DATA[:BLOCK], DATA[BLOCK : 2 * BLOCK], is_fua=True)
            with pytest.raises(CommandFailed, match="compare and write: compare failure"):
                await namespace.compare_and_write(100, DATA[:BLOCK], bytes(BLOCK))
            assert await namespace.read(100) == DATA[BLOCK : 2 * BLOCK]
            await namespace.write_zeroes(101, 1)
            await namespace.verify(100, 16)

    trio.run(main)


def test_a_program_without_one_does_too(target: str, local: str) -> None:
    with sync.connect(target, local=local) as namespace:
        namespace.write(3, DATA)
        namespace.copy(100, [(3, 16)], is_fua=True)
        namespace.write_uncorrectable(101)
        with pytest.raises(CommandFailed) as caught:
            namespace.verify(101)
        assert caught.value.code == StatusCode.UNRECOVERED_READ_ERROR
        assert namespace.core.compare_and_write_blocks == 16
        namespace.compare_and_write(108, DATA[8 * BLOCK :], DATA[: 8 * BLOCK])
        assert namespace.read(108, 8) == DATA[: 8 * BLOCK]


@pytest.mark.slow
def test_a_program_with_an_event_loop_asks_the_controller(url: str, local: str) -> None:
    async def main() -> None:
        async with aio.serve(url, "mem:16MiB"), aio.attach(url, local=local) as connection:
            page = await connection.identify(pages.CONTROLLER)
            assert (page.fuses, page.acwu) == (1, 15)
            assert (await connection.identify(pages.NAMESPACE, nsid=1)).nsze == 4096
            await connection.namespace().write(0, DATA)
            assert (await connection.get_log_page(pages.SMART)).host_writes >= 1
            effects = await connection.get_log_page(pages.COMMAND_EFFECTS)
            assert effects.io[IoOpcode.COPY].lba_content == 1
            assert (await connection.get_log_page(0x0C, length=64))[8:10] == b"\1\0"
            fid = FeatureId.VOLATILE_WRITE_CACHE
            await connection.set_features(fid, 0)
            assert (await connection.get_features(fid)).value == 0
            assert (await connection.get_features(fid, select=FeatureSelect.DEFAULT)).value == 1
            with pytest.raises(CommandFailed, match="get feature 0x7e: invalid field"):
                await connection.get_features(0x7E)

    trio.run(main)


def test_a_program_without_one_asks_too(target: str, local: str) -> None:
    with sync.attach(target, local=local) as connection:
        assert connection.identify(pages.CONTROLLER).sn.startswith(b"BM")
        assert connection.identify(2)[:8] == b"\1\0\0\0" + bytes(4)
        assert connection.get_log_page(pages.SMART).temperature == 313
        now = Timestamp(timestamp=1_700_000_000_000)
        connection.set_features(FeatureId.TIMESTAMP, data=now.encode())
        told = Timestamp.decode(connection.get_features(FeatureId.TIMESTAMP).data)
        assert (told.origin, told.timestamp // 100_000_000) == (1, now.timestamp // 100_000_000)
        with pytest.raises(CommandFailed, match="invalid field"):
            connection.set_features(FeatureId.POWER_MANAGEMENT, 1)


class Slow(MemoryStore):
    """A store whose flush is slow, so that what needs one runs in a thread beside everything else."""

    slow_verbs = frozenset((3, 5))

    def flush(self) -> None:
        time.sleep(0.001)

    def write_zeroes(self, block: int, blocks: int) -> None:
        time.sleep(0.001)
        super().write_zeroes(block, blocks)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slow", "image"])
def test_counting_up_from_many_hosts_loses_no_step_while_threads_write(
    url: str, loopback_addresses: Iterator[str], tmp_path: Path, kind: str
) -> None:
    image = tmp_path / "disk.img"
    create_image(str(image), 1 << 20)
    store = Slow(1 << 20) if kind == "slow" else str(image)
    counts = [0, 0, 0]

    async def main() -> None:
        async with aio.serve(url, store), trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(count_up, number)
            nursery.start_soon(disturb)
        assert sum(counts) > 30

    async def count_up(number: int) -> None:
        async with aio.connect(url, local=next(loopback_addresses)) as namespace:
            for _ in range(40):
                seen = int.from_bytes((await namespace.read(8))[:8], "little")
                counts[number] += await is_next(namespace, seen, is_fua=number == 0)

    async def is_next(namespace: aio.Namespace, seen: int, *, is_fua: bool) -> bool:
        try:
            await namespace.compare_and_write(8, block(seen), block(seen + 1), is_fua=is_fua)
        except CommandFailed as error:
            if error.code != StatusCode.COMPARE_FAILURE:
                raise
            return False
        return True

    async def disturb() -> None:
        async with aio.connect(url, local=next(loopback_addresses)) as namespace:
            for _ in range(20):
                await namespace.write_zeroes(4, 4)
                await namespace.write(9, bytes(4 * BLOCK), is_fua=True)
                await namespace.flush()

    async def check() -> None:
        async with aio.serve(url, store), aio.connect(url, local=next(loopback_addresses)) as namespace:
            assert await namespace.read(8) == block(sum(counts))

    trio.run(main)
    trio.run(check)


def block(number: int) -> bytes:
    return number.to_bytes(8, "little") * (BLOCK // 8)
