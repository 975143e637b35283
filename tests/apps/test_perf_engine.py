"""The loop of every workload, on an endpoint that is a piece of memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from apps.errors import CommandError
from apps.perf.engine import run
from apps.perf.pattern import Mode, Workload


class Memory:
    """Carries out operations on a bytearray, two of those under way at each poll, the last submitted first."""

    def __init__(self, workload: Workload, *, lies_from: int = 1 << 62, fails_at: int = -1) -> None:
        self.memory = bytearray(workload.span_bytes)
        self.size = workload.block_bytes
        self.slots = [memoryview(bytearray(workload.block_bytes)) for _ in range(workload.queue_depth)]
        self.under_way: list[int] = []
        self.most_under_way = 0
        self.reads = self.writes = 0
        self.lies_from = lies_from
        self.fails_at = fails_at

    def view(self, slot: int) -> memoryview:
        return self.slots[slot]

    def submit(self, slot: int, block: int, *, is_read: bool) -> None:
        assert slot not in self.under_way
        place = slice(block * self.size, (block + 1) * self.size)
        if is_read:
            self.reads += 1
            self.slots[slot][:] = self.memory[place]
            if self.reads > self.lies_from:
                self.slots[slot][-1] ^= 1
        else:
            self.writes += 1
            self.memory[place] = self.slots[slot]
        self.under_way.append(slot)
        self.most_under_way = max(self.most_under_way, len(self.under_way))

    def poll(self) -> Sequence[tuple[int, str]]:
        ended, self.under_way = self.under_way[-2:], self.under_way[:-2]
        problem = "the cable burnt" if 0 <= self.fails_at < self.reads + self.writes else ""
        return [(slot, problem) for slot in ended]


def workload(mode: Mode, *, is_verified: bool = False) -> Workload:
    return Workload(mode, 512, 512 * 20, queue_depth=4, duration_ns=3_000_000, is_verified=is_verified)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_workload_keeps_its_queue_depth_and_counts_every_operation(mode: Mode) -> None:
    endpoint = Memory(workload(mode))
    measurement = run(endpoint, workload(mode), "memory")
    assert endpoint.most_under_way == 4
    assert measurement.operations == measurement.latency.count == endpoint.reads + endpoint.writes > 0
    assert measurement.duration_ns >= 3_000_000
    assert endpoint.under_way == []


@pytest.mark.parametrize("mode", list(Mode))
def test_verification_is_silent_when_all_is_well(mode: Mode) -> None:
    assert run(Memory(workload(mode)), workload(mode, is_verified=True), "memory").mismatches == 0


@pytest.mark.parametrize("mode", list(Mode))
def test_verification_counts_every_block_that_came_back_wrong(mode: Mode) -> None:
    endpoint = Memory(workload(mode), lies_from=0)
    measurement = run(endpoint, workload(mode, is_verified=True), "memory")
    assert measurement.mismatches == endpoint.reads >= 20


def test_a_failed_operation_ends_the_run_with_its_reason() -> None:
    with pytest.raises(CommandError, match="memory failed: the cable burnt"):
        run(Memory(workload(Mode.READ), fails_at=9), workload(Mode.READ), "memory")
