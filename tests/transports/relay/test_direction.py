"""One way through the link: the rate, the delay, the queue and the loss are those of its options, also when changed."""

from __future__ import annotations

import pytest

from transports.errors import TransportError
from transports.relay import Direction, DirectionConfig, RelayPacket
from transports.timeline import Timeline

MS = 1_000_000


def send(direction: Direction, timeline: Timeline, packets: int, size_bytes: int = 1250) -> list[int]:
    """The times at which so many packets that enter together leave."""
    times: list[int] = []
    route = (*direction.elements, lambda _: times.append(timeline.now))
    for _ in range(packets):
        RelayPacket(b"", size_bytes, route, 0, 0).forward()
    timeline.run(timeline.now + 10**10)
    return times


def test_packets_leave_at_the_rate_after_the_delay() -> None:
    timeline = Timeline()
    direction = Direction(timeline, DirectionConfig(rate_bps=10_000_000, delay_ns=5 * MS))
    assert send(direction, timeline, 3) == [6 * MS, 7 * MS, 8 * MS]


def test_without_a_rate_only_the_delay_counts() -> None:
    timeline = Timeline()
    direction = Direction(timeline, DirectionConfig(delay_ns=5 * MS))
    assert send(direction, timeline, 3) == [5 * MS] * 3


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    timeline = Timeline()
    direction = Direction(timeline, DirectionConfig(rate_bps=10_000_000, limit_packets=2))
    assert len(send(direction, timeline, 10)) == 3  # one is being sent, two wait
    found = direction.as_json()
    assert (found["entered_packets"], found["left_packets"], found["dropped_packets"]) == (10, 3, 7)


def test_loss_takes_its_share_and_the_same_one_for_a_seed() -> None:
    outcomes = []
    for _ in range(2):
        timeline = Timeline()
        direction = Direction(timeline, DirectionConfig(loss=0.1), seed=7)
        send(direction, timeline, 2000)
        outcomes.append(direction.lost_packets)
    assert outcomes[0] == outcomes[1]
    # Binomial with 2000 and 0.1: mean 200, standard deviation 13.4; five of them.
    assert 133 < outcomes[0] < 267


def test_a_running_link_takes_a_new_rate_and_delay() -> None:
    timeline = Timeline()
    direction = Direction(timeline, DirectionConfig(rate_bps=10_000_000))
    send(direction, timeline, 1)
    direction.change({"rate_bps": 1_000_000, "delay_ns": 2 * MS})
    start_ns = timeline.now
    assert [time_ns - start_ns for time_ns in send(direction, timeline, 2)] == [12 * MS, 22 * MS]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed": 3}, "not speed"),
        ({"rate_bps": -1}, "rate_bps is a number from 0 on"),
        ({"rate_bps": "fast"}, "rate_bps is a number"),
        ({"delay_ns": 1.5}, "delay_ns is a number"),
        ({"delay_ns": True}, "delay_ns is a number"),
        ({"loss": 1.5}, "probability from 0 to 1"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(changes: dict[str, object], words: str) -> None:
    config = DirectionConfig(rate_bps=10_000_000)
    direction = Direction(Timeline(), config)
    with pytest.raises(TransportError, match=words):
        direction.change({"delay_ns": 5, **changes})  # type: ignore[dict-item]
    assert direction.config == config
