"""One way through the link: the rate, the delay, the queue and the loss are those of its options, also when changed."""

from __future__ import annotations

import pytest

from transports.errors import TransportError
from transports.relay import Direction, DirectionConfig, RelayPacket
from transports.timeline import Timeline

MS = 1_000_000


def send(direction: Direction, timeline: Timeline, packets: int, size_bytes: int = 1250, ecn: int = 0) -> list[int]:
    """The times at which so many packets that enter together leave, since then."""
    times: list[int] = []
    start_ns = timeline.now
    route = (*direction.elements, lambda _: times.append(timeline.now - start_ns))
    for _ in range(packets):
        RelayPacket(b"", size_bytes, route, 0, ecn).forward()
    timeline.run(timeline.now + 10**10)
    return times


def made(config: DirectionConfig, seed: int = 0) -> tuple[Direction, Timeline]:
    timeline = Timeline()
    return Direction(timeline, config, seed=seed), timeline


def test_packets_leave_at_the_rate_after_the_delay() -> None:
    assert send(*made(DirectionConfig(rate="10mbit", delay="5ms")), packets=3) == [6 * MS, 7 * MS, 8 * MS]


def test_without_a_rate_only_the_delay_counts() -> None:
    assert send(*made(DirectionConfig(delay="5ms")), packets=3) == [5 * MS] * 3


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    direction, timeline = made(DirectionConfig(rate="10mbit", limit="2packets"))
    assert len(send(direction, timeline, 10)) == 3  # one is being sent, two wait
    found = direction.as_json()
    assert (found["entered_packets"], found["left_packets"], found["dropped_packets"]) == (10, 3, 7)


def test_the_queue_is_the_one_that_was_asked_for() -> None:
    direction, timeline = made(DirectionConfig(rate="10mbit", queue="step:threshold=4packets"))
    send(direction, timeline, 20, ecn=2)
    assert direction.queue.marked_packets > 10
    assert direction.queue.dropped_packets == 0


def test_loss_takes_its_share_and_the_same_one_for_a_seed() -> None:
    outcomes = []
    for _ in range(2):
        direction, timeline = made(DirectionConfig(loss="10%"), seed=7)
        send(direction, timeline, 2000)
        outcomes.append(direction.as_json()["lost_packets"])
    assert outcomes[0] == outcomes[1]
    # Binomial with 2000 and 0.1: mean 200, standard deviation 13.4; five of them.
    assert 133 < int(str(outcomes[0])) < 267


def test_other_elements_stand_on_the_way() -> None:
    direction, timeline = made(DirectionConfig(elements=(("blackout", "0s..1s"),)))
    assert send(direction, timeline, 5) == []
    assert direction.as_json()["lost_packets"] == 5


def test_a_rate_that_is_a_number_is_bits_a_second() -> None:
    direction, timeline = made(DirectionConfig(rate="10mbit"))
    direction.change({"rate": 1_000_000})
    (first,) = send(direction, timeline, 1)
    # 1,250 bytes at 1 Mbit/s, and the wire.
    assert first == 10 * MS + direction.port.delay_ns


def test_a_running_link_takes_a_new_rate_delay_and_loss() -> None:
    direction, timeline = made(DirectionConfig(rate="10mbit"))
    send(direction, timeline, 1)
    direction.change({"rate": "1mbit", "delay": "2ms"})
    assert send(direction, timeline, 2) == [12 * MS, 22 * MS]
    direction.change({"loss": "100%"})
    assert send(direction, timeline, 2) == []
    direction.change({"loss": ""})
    assert len(send(direction, timeline, 2)) == 2
    assert direction.as_json()["config"] == {
        "rate": "1mbit",
        "delay": "2ms",
        "queue": "droptail",
        "limit": "1000packets",
        "loss": "",
        "elements": {},
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed": "3"}, "not speed"),
        ({"queue": "codel"}, "not queue"),
        ({"rate": "fast"}, "rate"),
        ({"rate": -1}, "rate"),
        ({"delay": "soon"}, "delay is a time"),
        ({"loss": "150%"}, "loss: p is a probability"),
        ({"rate": "trace:file=/nonexistent"}, "No such file"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(changes: dict[str, str], words: str) -> None:
    config = DirectionConfig(rate="10mbit")
    direction, _ = made(config)
    with pytest.raises(TransportError, match=words):
        direction.change({**changes})
    assert direction.config == config
    assert direction.port.delay_ns == 0


def test_a_link_that_follows_a_trace_keeps_to_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    trace = tmp_path / "trace"
    trace.write_text("1\n2\n")
    direction, timeline = made(DirectionConfig(rate=f"trace:file={trace}"))
    assert len(send(direction, timeline, 3)) == 3
    with pytest.raises(TransportError, match="keeps to it"):
        direction.change({"rate": "1mbit"})
    other, _ = made(DirectionConfig(rate="10mbit"))
    with pytest.raises(TransportError, match="start another"):
        other.change({"rate": f"trace:file={trace}"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": "20mbi"}, "20mbi"),
        ({"queue": "codle"}, "codel"),
        ({"limit": "much"}, "limit"),
        ({"elements": (("jitter", "3ms"), ("jitter", "4ms"))}, "twice"),
        ({"elements": (("loss", "3%"),)}, "twice"),
        ({"elements": (("gitter", "3ms"),)}, "jitter"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(TransportError, match=words):
        DirectionConfig(**options)  # type: ignore[arg-type]
