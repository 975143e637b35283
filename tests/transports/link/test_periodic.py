"""Controllers with a period: updates that were missed are made up for exactly, and an idle link costs nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.transports.link.queue_contract import Watcher
from transports.link import ConstantRate, DropTail, DualPi2, LinkPacket, Pie, Port
from transports.link.periodic import PeriodicQueue
from transports.timeline import Timeline

MS = 1_000_000
MAKE: dict[str, Callable[[], PeriodicQueue]] = {
    "pie": lambda: Pie(random.Random(1), target_ns=2 * MS, update_ns=3 * MS + 7),
    "dualpi2": lambda: DualPi2(target_ns=2 * MS, update_ns=3 * MS + 7, rtt_max_ns=10 * MS),
}


def state(queue: PeriodicQueue) -> tuple[object, ...]:
    own = ("probability", "burst_left_ns", "base", "classic")
    return tuple(getattr(queue, name, None) for name in (*own, "delay_ns", "due_ns", "dropped_packets"))


def steps() -> list[tuple[int, int, int, int]]:
    """Each: time passes, packets leave, one of a size and a flow arrives."""
    draw = random.Random(6).random
    made = []
    for index in range(1500):
        # Now and then a pause of seconds with the queue as it is, and at another time everything leaves before it.
        gap_ns = int(draw() * 8 * MS) * (400 if index % 150 == 149 else 1)
        leaving = 1000 if index % 300 == 298 else int(draw() * 2.4)
        made.append((gap_ns, leaving, 100 + int(draw() * 1400), int(draw() * 4)))
    return made


@pytest.mark.parametrize("name", MAKE)
def test_who_looks_each_millisecond_sees_nothing_else_happen(name: str) -> None:
    logs, states = [], []
    for is_looked_at in (False, True):
        queue = MAKE[name]()
        watcher = Watcher(queue, is_checking=False)
        for gap_ns, leaving, size_bytes, flow in steps():
            for now in range(watcher.now, watcher.now + gap_ns, MS) if is_looked_at else ():
                if watcher.log:
                    queue.catch_up(now)
            watcher.now += gap_ns
            for _ in range(leaving):
                watcher.take()
            watcher.put(size_bytes, flow)
        logs.append(watcher.log)
        states.append(state(queue))
        assert len(watcher.dropped) + queue.marked_packets > 30
    assert logs[0] == logs[1]
    assert states[0] == states[1]


@pytest.mark.parametrize("name", MAKE)
def test_a_year_of_silence_is_quickly_made_up_for(name: str) -> None:
    queue = MAKE[name]()
    queue.enqueue(LinkPacket(1500, ()), 0)
    queue.dequeue(5000 * MS)
    update, times = queue.update, []

    def count(time_ns: int) -> None:
        times.append(time_ns)
        update(time_ns)

    queue.update = count  # type: ignore[method-assign]
    year_ns = 365 * 86_400 * 1_000 * MS + 1
    queue.catch_up(year_ns)
    assert len(times) < 5000
    # As if there had been an update in each period.
    assert queue.due_ns % queue.period_ns == 0
    assert year_ns < queue.due_ns <= year_ns + queue.period_ns
    rested = state(queue)
    queue.catch_up(year_ns + 10 * queue.period_ns)
    assert state(queue)[:5] == rested[:5]


@pytest.mark.parametrize("name", MAKE)
def test_nothing_ticks_on_the_timeline(name: str) -> None:
    steps = []
    for queue in (MAKE[name](), DropTail()):
        timeline = Timeline()
        port = Port(timeline, queue, ConstantRate(12_000_000))
        for _ in range(3):
            LinkPacket(1500, (port.put, lambda _: None)).forward()
        timeline.run(1 << 50)
        assert timeline.poll_deadline() is None
        steps.append(timeline.steps)
    assert steps[0] == steps[1]
