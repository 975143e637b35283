"""A target that is killed with SIGKILL again and again under a writer that reconnects: every flushed block is there.

A killed process loses what it holds itself, and not what the system has taken; that a flush reaches the medium is shown
by test_durability and test_power_cuts.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.processes import ServingProcess
from stacks.nvme.host import HostConfig, ReconnectPolicy
from stacks.nvme.stores import create_image
from stacks.nvme.sync import Namespace, connect
from tests.apps.cli import LIMIT_S
from tests.stacks.nvme.verifier import Verifier, content

pytestmark = pytest.mark.slow

BLOCKS = 128
BLOCK = 4096


class KilledTarget:
    """A target process at `address` that serves `image`."""

    def __init__(self, transport: str, address: str, image: Path) -> None:
        self.url = f"nvme+{transport}://{address}"
        self._image = image
        self._process = self._start()

    def _start(self) -> ServingProcess:
        words = ["nvme", "target", "--namespace", str(self._image), "--listen", self.url]
        return ServingProcess([*words, "--until-stdin-ends", "--json"], timeout_s=LIMIT_S)

    def kill(self) -> None:
        """Kill it, as the kernel does when memory runs out."""
        os.kill(self._process.pid, signal.SIGKILL)
        assert self._process.stop() == -signal.SIGKILL

    def restart(self) -> None:
        """Start it again."""
        self._process = self._start()

    def stop(self) -> None:
        """End it in order."""
        self._process.stop(LIMIT_S)


def turn_until(namespace: Namespace, condition: Callable[[], bool]) -> None:
    """Turn the pump until `condition` holds."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, namespace.connection.multipath.failure
        if not namespace.poll():
            namespace.wait(20_000_000)


def check_flushed(image: Path, work: Verifier) -> None:
    """What a flush had covered is in the file, or something newer, and whole."""
    held = image.read_bytes()
    for block, flushed in enumerate(work.flushed):
        here = held[block * BLOCK : (block + 1) * BLOCK]
        found = int.from_bytes(here[:8], "little")
        assert flushed <= found <= work.newest, f"block {block} has version {found}, but {flushed} was flushed"
        assert here == content(found, BLOCK), f"block {block} is torn"


def kill_repeatedly(transport: str, address: str, image: Path, *, times: int) -> None:
    create_image(str(image), BLOCKS * BLOCK)
    target = KilledTarget(transport, address, image)
    rng = random.Random(times)
    policy = ReconnectPolicy(reconnect_delay=0.2, ctrl_loss_tmo=2 * LIMIT_S)
    try:
        with connect(target.url, config=HostConfig(keep_alive_ms=2000), reconnect=policy) as namespace:
            multipath = namespace.connection.multipath
            work = Verifier(namespace.core, rng, depth=16)
            for number in range(times):
                operations = work.written + work.verified + work.flushes + 100 + int(rng.random() * 400)
                turn_until(namespace, lambda: work.written + work.verified + work.flushes >= operations)  # noqa: B023
                target.kill()
                turn_until(namespace, lambda number=number: multipath.paths[0].losses == number + 1)  # type: ignore[misc]
                check_flushed(image, work)
                target.restart()
                turn_until(namespace, lambda: multipath.is_live)
            work.is_stopped = True
            turn_until(namespace, lambda: work.is_idle)
            assert work.problems == []
            assert work.flushes > times
            namespace.flush()
            assert namespace.read(0, BLOCKS) == b"".join(content(version, BLOCK) for version in work.versions)
    finally:
        target.stop()


@pytest.mark.parametrize("transport", ["tcp", "rdma"])
def test_a_target_killed_under_a_writer_loses_nothing_that_was_flushed(
    transport: str, loopback_address: str, tmp_path: Path
) -> None:
    kill_repeatedly(transport, loopback_address, tmp_path / "disk.img", times=2)


@pytest.mark.long
@pytest.mark.parametrize("transport", ["tcp", "rdma"])
def test_a_target_killed_fifty_times_loses_nothing_that_was_flushed(
    transport: str, loopback_address: str, tmp_path: Path
) -> None:
    kill_repeatedly(transport, loopback_address, tmp_path / "disk.img", times=50)
