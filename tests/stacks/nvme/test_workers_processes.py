"""Worker processes under verified I/O: one that is killed, and an end in good order."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from apps.processes import command_line, environment
from stacks.nvme.aio import connect as connect_async
from stacks.nvme.aio import serve
from stacks.nvme.bindings.tcp.workers import aio as workers_aio
from stacks.nvme.host import HostConfig, ReconnectPolicy
from stacks.nvme.stores import create_image
from stacks.nvme.sync import Namespace, connect
from tests.apps.cli import LIMIT_S
from tests.stacks.nvme.test_killed_target import check_flushed, turn_until
from tests.stacks.nvme.verifier import Verifier

pytestmark = pytest.mark.slow

BLOCKS, BLOCK = 128, 4096


class WorkedTarget:
    """`baremetal nvme target --workers 2`. words: what it said on standard error, once it has ended."""

    def __init__(self, url: str, source: str) -> None:
        arguments = ["nvme", "target", "--namespace", source, "--listen", url, "--workers", "2", "--json"]
        self.process = subprocess.Popen(
            command_line(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["url"]
        self.words = ""

    @property
    def workers(self) -> list[int]:
        """The process numbers of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(each) for each in children.split()]

    def end(self, number: signal.Signals) -> int:
        """End it with a signal; its exit status."""
        self.process.send_signal(number)
        _, self.words = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode


@contextmanager
def worked(url: str, source: str) -> Iterator[WorkedTarget]:
    target = WorkedTarget(url, source)
    try:
        yield target
    finally:
        target.process.kill()
        target.process.communicate()


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def works(namespace: Namespace, work: Verifier, operations: int) -> None:
    """Have so many more operations done."""
    wanted = work.written + work.verified + work.flushes + operations
    turn_until(namespace, lambda: work.written + work.verified + work.flushes >= wanted)


def test_a_killed_worker_loses_nothing_that_was_flushed_and_the_target_ends_in_order(
    loopback_address: str, tmp_path: Path
) -> None:
    image, url = tmp_path / "disk.img", f"nvme+tcp://{loopback_address}"
    create_image(str(image), BLOCKS * BLOCK)
    policy = ReconnectPolicy(reconnect_delay=0.2, ctrl_loss_tmo=2 * LIMIT_S)
    with worked(url, str(image)) as target:
        with connect(url, config=HostConfig(keep_alive_ms=2000, io_queues=4), reconnect=policy) as namespace:
            multipath = namespace.connection.multipath
            work = Verifier(namespace.core, random.Random(7), depth=16)
            works(namespace, work, 400)
            first = target.workers
            assert len(first) == 2
            os.kill(first[0], signal.SIGKILL)
            turn_until(namespace, lambda: multipath.paths[0].losses == 1)
            check_flushed(image, work)
            turn_until(namespace, lambda: multipath.is_live)
            works(namespace, work, 400)
            work.is_stopped = True
            turn_until(namespace, lambda: work.is_idle)
            assert work.problems == []
            assert work.flushes > 5
            content = namespace.read(0, BLOCKS)
            held = [int.from_bytes(content[at : at + 8], "little") for at in range(0, len(content), BLOCK)]
            assert held == work.versions
            wait_for(lambda: len(target.workers) == 2)
            last = target.workers
            assert first[1] in last
            assert first[0] not in last
        assert target.end(signal.SIGTERM) == 0
        assert [line.startswith(f"baremetal: worker {first[0]} ended (SIGKILL)") for line in
                target.words.splitlines()] == [True]  # fmt: skip
        wait_for(lambda: all(map(is_gone, last)))


def test_workers_end_with_a_target_that_is_killed(loopback_address: str) -> None:
    with worked(f"nvme+tcp://{loopback_address}", "mem:1MiB") as target:
        workers = target.workers
        assert len(workers) == 2
        target.process.kill()
        wait_for(lambda: all(map(is_gone, workers)))


def test_the_programs_own_face_and_memory_that_processes_share(loopback_address: str) -> None:
    async def main() -> None:
        url = f"nvme+tcp://{loopback_address}"
        async with serve(url, "mem:8MiB", workers=2) as server:
            assert server.workers is not None
            assert len(server.workers.pids) == 2
            async with connect_async(url, config=HostConfig(io_queues=4)) as namespace:
                data = bytes(range(256)) * 4096
                await namespace.write(3, data)
                reads = await namespace.read(3, len(data) // BLOCK)
                assert reads == data
                server.target.collect()
                counted = next(each for each in server.target.subsystems.values() if each.namespaces).namespaces[1]
                assert counted.bytes_written == len(data)
                assert server.ports[0].core.queue_count == 5
        assert all(map(is_gone, server.workers.pids))

    trio.run(main)


def test_a_worker_that_cannot_be_started_again_is_tried_later(
    loopback_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = 0

    class Scarce(workers_aio.ChildProcess):
        def __init__(self, module: str) -> None:
            nonlocal started
            started += 1
            if started == 2:
                raise OSError(errno.ENOMEM, "cannot allocate memory")
            super().__init__(module)

    monkeypatch.setattr(workers_aio, "ChildProcess", Scarce)

    async def main() -> None:
        url = f"nvme+tcp://{loopback_address}"
        async with serve(url, "mem:1MiB", workers=1) as server:
            assert server.workers is not None
            (first,) = server.workers.pids
            os.kill(first, signal.SIGKILL)
            async with connect_async(url) as namespace:
                await namespace.write(0, bytes(BLOCK))
            with trio.fail_after(LIMIT_S):
                while server.workers.pids in ([], [first]):  # noqa: ASYNC110 (another process changes)
                    await trio.sleep(0.05)

    trio.run(main)
    assert started == 3
