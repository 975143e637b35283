"""What holds for every discipline: all is accounted for, in order within a flow, within limits, and twice the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.link.queue_contract import QUEUES, Watcher, build
from transports.link import DISCIPLINES, ECN_NOT_ECT

GAPS = st.sampled_from([0, 0, 1_000, 300_000, 1_200_000, 20_000_000, 5_000_000_000])
STEPS = st.lists(
    st.tuples(GAPS, st.sampled_from([0, 1, 1, 2]), st.sampled_from([1, 64, 576, 1500, 9000]), st.integers(0, 7)),
    max_size=80,
)


def run(text: str, steps: list[tuple[int, int, int, int]]) -> Watcher:
    """Each step: time passes, so many packets leave, one arrives."""
    watcher = Watcher(build(text))
    for gap_ns, leaving, size_bytes, flow in steps:
        watcher.now += gap_ns
        for _ in range(leaving):
            watcher.take()
        watcher.put(size_bytes, flow)
    watcher.now += 3_000_000
    watcher.drain()
    watcher.check_order()
    return watcher


def busy_steps(seed: int, count: int) -> list[tuple[int, int, int, int]]:
    """More arrives than leaves, in waves."""
    draw = random.Random(seed).random
    steps = []
    for index in range(count):
        leaving = int(draw() * (2 if index % 400 < 300 else 4))
        steps.append((int(draw() * 900_000), leaving, 40 + int(draw() * 1461), int(draw() * 8)))
    return steps


@pytest.mark.parametrize("name", QUEUES)
@settings(max_examples=40)
@given(steps=STEPS)
def test_every_packet_is_accounted_for_at_every_step(name: str, steps: list[tuple[int, int, int, int]]) -> None:
    run(QUEUES[name], steps)


@pytest.mark.parametrize("name", QUEUES)
def test_the_same_happens_twice(name: str) -> None:
    steps = busy_steps(3, 300)
    assert run(QUEUES[name], steps).log == run(QUEUES[name], steps).log


@pytest.mark.parametrize("name", [name for name in QUEUES if name != "droptail, no limit"])
def test_a_queue_that_gets_too_much_does_something_about_it(name: str) -> None:
    watcher = run(QUEUES[name], busy_steps(7, 400))
    assert watcher.dropped or watcher.queue.marked_packets
    assert watcher.left


@pytest.mark.parametrize("name", [name for name in QUEUES if name.startswith(("red", "codel", "fq", "pie", "dual"))])
def test_ecn_decides_between_marks_and_drops(name: str) -> None:
    watcher = run(QUEUES[name], busy_steps(7, 400))
    if "ecn=no" in QUEUES[name] and not name.startswith("dual"):  # L marks in any case
        assert not watcher.queue.marked_packets
    else:
        assert watcher.queue.marked_packets
        assert any(packet.ecn == ECN_NOT_ECT for packet in watcher.dropped)


def test_the_suite_has_every_discipline() -> None:
    assert {text.partition(":")[0] for text in QUEUES.values()} == {kind.name for kind in DISCIPLINES.values()}
