"""A target with one block filled, and the queues of two hosts."""

from __future__ import annotations

import pytest

from tests.stacks.nvme.bench import Bench, BenchQueue
from tests.stacks.nvme.fused.rig import BLOCK, OLD


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.write(BLOCK, OLD)
    return bench


@pytest.fixture
def admin(bench: Bench) -> BenchQueue:
    return bench.host(queues=2)[0]


@pytest.fixture
def io(bench: Bench) -> BenchQueue:
    return bench.host()[1]


@pytest.fixture
def other(bench: Bench) -> BenchQueue:
    return bench.host()[1]
