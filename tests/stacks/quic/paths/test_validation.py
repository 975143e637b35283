"""Challenges and responses of one path (RFC 9000 8.2, 9.4, 13.3, 19.17, 19.18)."""

from __future__ import annotations

import random
from pathlib import Path

from stacks.quic.paths.validation import VALIDATION_STATES, PathValidation, ValidationState
from tests.stacks.quic.paths.frames import packet_of
from wire.quic.frames import PathChallenge, PathResponse

SECOND_NS = 1_000_000_000


def validation() -> PathValidation:
    return PathValidation(random.Random(3))


def started(*, pto_ns: int = SECOND_NS, timeout_ns: int = 3 * SECOND_NS) -> PathValidation:
    one = validation()
    one.start(0, pto_ns=pto_ns, timeout_ns=timeout_ns)
    return one


def challenge_of(one: PathValidation, *, size: int = 1200) -> bytes:
    """The data of the challenge that it sends now."""
    (frame,), records = packet_of(one)
    assert isinstance(frame, PathChallenge)
    assert not records  # 13.3: what is lost is not sent again
    one.left(size)
    return frame.data


def test_the_table_is_as_reviewed() -> None:
    drawn = VALIDATION_STATES.render() + "\n" + VALIDATION_STATES.to_mermaid()
    assert drawn == Path(__file__).with_name("states_validation.txt").read_text()


def test_the_answer_to_a_challenge_validates() -> None:
    one = started()
    assert one.answered(challenge_of(one), 1)
    assert one.state == ValidationState.VALIDATED
    assert not one.is_running


def test_an_answer_to_nothing_is_told() -> None:
    one = started()
    data = challenge_of(one)
    assert not one.answered(bytes(8), 1)
    assert one.state == ValidationState.CHALLENGED
    assert one.answered(data, 1)


def test_each_challenge_has_other_data() -> None:
    one = started()
    first = challenge_of(one)
    assert one.handle_timeout(SECOND_NS)
    second = challenge_of(one)
    assert first != second
    assert len(first) == len(second) == 8


def test_any_challenge_of_the_validation_may_be_the_one_that_is_answered() -> None:
    one = started()
    first = challenge_of(one)
    one.handle_timeout(SECOND_NS)
    second = challenge_of(one)
    assert one.answered(first, SECOND_NS)
    assert one.answered(second, SECOND_NS)  # late, and no mistake
    assert one.state == ValidationState.VALIDATED


def test_challenges_are_repeated_after_a_timeout_and_twice_that_and_then_given_up() -> None:
    one = started(pto_ns=SECOND_NS, timeout_ns=5 * SECOND_NS)
    sent = []
    now = 0
    while True:
        if one.has_frames:
            challenge_of(one)
            sent.append(now)
        if one.due_ns is None:
            break
        now = one.due_ns
        assert one.handle_timeout(now - 1)
        if not one.handle_timeout(now):
            break
    assert sent == [0, SECOND_NS, 3 * SECOND_NS]
    assert now == 5 * SECOND_NS
    assert one.state == ValidationState.FAILED
    assert not one.has_frames


def test_a_small_challenge_shows_the_address_and_a_full_one_must_follow() -> None:
    one = started()
    small = challenge_of(one, size=1199)
    assert one.answered(small, 5)
    assert one.state == ValidationState.ADDRESS_KNOWN
    assert one.is_running
    assert one.answered(small, 6)  # again: says nothing new
    assert one.state == ValidationState.ADDRESS_KNOWN
    assert one.answered(challenge_of(one, size=1200), 7)
    assert one.state == ValidationState.VALIDATED


def test_a_response_alone_does_not_make_an_earlier_challenge_full() -> None:
    one = started()
    small = challenge_of(one, size=100)
    one.respond(b"response")
    packet_of(one)
    one.left(1200)
    one.answered(small, 1)
    assert one.state == ValidationState.ADDRESS_KNOWN


def test_answers_to_a_former_validation_are_no_mistake_and_say_nothing() -> None:
    one = started()
    first = challenge_of(one)
    one.handle_timeout(3 * SECOND_NS)
    assert one.state == ValidationState.FAILED
    one.start(4 * SECOND_NS, pto_ns=SECOND_NS, timeout_ns=3 * SECOND_NS)
    second = challenge_of(one)
    assert one.answered(first, 5 * SECOND_NS)
    assert one.state == ValidationState.CHALLENGED
    assert one.answered(second, 5 * SECOND_NS)
    assert one.state == ValidationState.VALIDATED


def test_starting_twice_is_starting_once() -> None:
    one = started()
    challenge_of(one)
    one.start(1, pto_ns=SECOND_NS, timeout_ns=3 * SECOND_NS)
    assert not one.has_frames
    assert one.due_ns == SECOND_NS


def test_an_abandoned_validation_waits_for_nothing() -> None:
    one = started()
    one.abandon()
    assert not one.has_frames
    assert one.due_ns is None
    assert one.state == ValidationState.UNKNOWN


def test_each_challenge_of_the_peer_is_answered_once_with_its_data() -> None:
    one = validation()
    one.respond(b"12345678")
    one.respond(b"abcdefgh")
    frames, records = packet_of(one)
    assert [frame.data for frame in frames if isinstance(frame, PathResponse)] == [b"12345678", b"abcdefgh"]
    assert not records
    assert not one.has_frames


def test_of_a_flood_of_challenges_the_last_are_answered() -> None:
    one = validation()
    for number in range(1000):
        one.respond(b"%08d" % number)
    frames, _ = packet_of(one)
    assert [frame.data for frame in frames if isinstance(frame, PathResponse)] == [
        b"%08d" % number for number in range(996, 1000)
    ]


def test_a_packet_without_room_takes_what_fits() -> None:
    one = started()
    one.respond(b"12345678")
    (response,), _ = packet_of(one, room=10)
    assert isinstance(response, PathResponse)
    assert one.has_frames
    challenge_of(one)
