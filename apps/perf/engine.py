"""The loop of every workload: keep a number of operations under way, note how long each took, check what came back.

What the operations are is the endpoint's matter: RDMA WRITEs to a peer's memory, reads of a namespace. The loop keeps
no queue of its own; a slot, a piece of memory for one operation, is either free or under way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from apps.errors import CommandError
from apps.perf.pattern import Content, Operations, Workload
from apps.perf.report import Measurement


class Endpoint(Protocol):
    """Something that carries out operations of one size, many at a time."""

    def view(self, slot: int) -> memoryview:
        """The memory of a slot, `block_bytes` long: what is written from, or read into."""

    def submit(self, slot: int, block: int, *, is_read: bool) -> None:
        """Start an operation with a free slot."""

    def poll(self) -> Sequence[tuple[int, str]]:
        """The slots of operations that ended, each with what went wrong or an empty text; waits for some if need be."""


def run(endpoint: Endpoint, workload: Workload, name: str) -> Measurement:
    """Run a workload for its time and let what is under way end.

    With `is_verified` the whole span is written beforehand and read back afterwards, and every read is compared.
    CommandError when an operation fails: figures of a broken path mean nothing.
    """
    content = Content(workload.block_bytes, workload.seed) if workload.is_verified else None
    if content is not None:
        fill(endpoint, workload)
    measurement = Measurement(name, workload.block_bytes)
    cpu = time.process_time_ns()
    measure(endpoint, workload, measurement, content)
    measurement.cpu_ns = time.process_time_ns() - cpu
    if content is not None:
        measurement.mismatches += read_back(endpoint, workload, content)
    return measurement


def measure(endpoint: Endpoint, workload: Workload, measurement: Measurement, content: Content | None) -> None:
    """The measured part of a run."""
    operations, latency, now = Operations(workload), measurement.latency, time.perf_counter_ns
    free = list(range(workload.queue_depth))
    started = [0] * workload.queue_depth
    doing: list[tuple[bool, int]] = [(False, 0)] * workload.queue_depth
    start = moment = now()
    end = start + workload.duration_ns
    while True:
        while free and moment < end:
            slot = free.pop()
            doing[slot] = is_read, block = operations.next()
            if content is not None and not is_read:
                content.fill(block, endpoint.view(slot))
            started[slot] = moment
            endpoint.submit(slot, block, is_read=is_read)
        ended = endpoint.poll()
        moment = now()
        for slot, problem in ended:
            if problem:
                raise CommandError(f"{measurement.name} failed: {problem}")
            latency.record(moment - started[slot])
            is_read, block = doing[slot]
            if content is not None and is_read and not content.matches(block, endpoint.view(slot)):
                measurement.mismatches += 1
            free.append(slot)
        if moment >= end and len(free) == workload.queue_depth:
            break
    measurement.operations = latency.count
    measurement.duration_ns = moment - start


def fill(endpoint: Endpoint, workload: Workload) -> None:
    """Write the content that belongs there to the whole span."""
    content = Content(workload.block_bytes, workload.seed)
    for slot, block in each_block(endpoint, workload, is_read=False, before=content):
        del slot, block


def read_back(endpoint: Endpoint, workload: Workload, content: Content) -> int:
    """Read the whole span; returns how many blocks are not what belongs there."""
    wrong = 0
    for slot, block in each_block(endpoint, workload, is_read=True):
        wrong += not content.matches(block, endpoint.view(slot))
    return wrong


def each_block(
    endpoint: Endpoint, workload: Workload, *, is_read: bool, before: Content | None = None
) -> Iterator[tuple[int, int]]:
    """Read or write each block of the span; yields slot and block when it ended, before the slot is used again."""
    free = list(range(workload.queue_depth))
    doing = [0] * workload.queue_depth
    blocks = iter(range(workload.span_bytes // workload.block_bytes))
    block = next(blocks, None)
    while block is not None or len(free) < workload.queue_depth:
        while free and block is not None:
            slot = free.pop()
            doing[slot] = block
            if before is not None:
                before.fill(block, endpoint.view(slot))
            endpoint.submit(slot, block, is_read=is_read)
            block = next(blocks, None)
        for slot, problem in endpoint.poll():
            if problem:
                raise CommandError(f"{'reading' if is_read else 'filling'} block {doing[slot]} failed: {problem}")
            yield slot, doing[slot]
            free.append(slot)
