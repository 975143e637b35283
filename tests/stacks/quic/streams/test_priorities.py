"""Whose turn it is: RFC 9218 4 and 10, and what we decided where they leave it open."""

from __future__ import annotations

import pytest

from stacks.quic.configuration import Configuration
from stacks.runtime import LocalError
from tests.stacks.quic.streams.ends import End, pair, receive
from tests.stacks.quic.streams.test_sending import stream_frames

PACKET = 100
FULL = 98 + 96 + 96
"""Bytes of a stream that fill three such packets, with two to four bytes of header each."""


def order(end: End, other: End) -> list[int]:
    """The stream of each packet until there is nothing left; every packet arrives."""
    streams: list[int] = []
    while (packet := end.packet(PACKET)) is not None:
        streams.append(next(frame[1] for frame in stream_frames(packet.payload)))
        receive(other.streams, packet.payload)
        packet.acked()
    return streams


def opened(client: End, *priorities: tuple[int, bool], size: int = FULL) -> list[int]:
    ids = [client.streams.open(True) for _ in priorities]
    for stream_id, (urgency, is_incremental) in zip(ids, priorities, strict=True):
        client.streams.set_priority(stream_id, urgency, is_incremental)
        client.streams.write(stream_id, bytes(size))
    return ids


def test_lower_urgency_values_go_first() -> None:
    client, server = pair()
    ids = opened(client, (7, False), (0, False), (3, False))
    assert order(client, server) == [ids[1]] * 3 + [ids[2]] * 3 + [ids[0]] * 3


def test_streams_that_are_not_incremental_go_one_after_the_other_by_number() -> None:
    client, server = pair()
    ids = opened(client, (3, False), (3, False))
    assert order(client, server) == [ids[0]] * 3 + [ids[1]] * 3


def test_incremental_streams_take_turns() -> None:
    client, server = pair()
    ids = opened(client, (3, True), (3, True), (3, True))
    assert order(client, server) == ids * 3


def test_incremental_ones_and_the_others_starve_neither() -> None:
    client, server = pair()
    one, two, three = opened(client, (3, True), (3, False), (3, False))
    assert order(client, server) == [one, two, one, two, one, two, three, three, three]


def test_the_default_is_urgency_3_and_not_incremental() -> None:
    client, server = pair()
    early = client.streams.open(True)
    ids = opened(client, (2, False), (4, False), (3, False))
    client.streams.write(early, bytes(FULL))
    assert order(client, server) == [ids[0]] * 3 + [early] * 3 + [ids[2]] * 3 + [ids[1]] * 3


def test_a_change_holds_for_what_is_not_sent_yet() -> None:
    client, server = pair()
    one, two = opened(client, (3, False), (3, False))
    packet = client.packet(PACKET)
    assert packet is not None
    client.streams.set_priority(one, 5, False)
    assert order(client, server) == [two] * 3 + [one] * 2


def test_what_was_lost_goes_before_what_is_new_unless_that_is_more_urgent() -> None:
    client, server = pair()
    one, two = opened(client, (3, False), (3, False), size=90)
    lost = client.packet(PACKET)
    assert lost is not None
    lost.lost()
    assert order(client, server) == [one, two]
    one, two = opened(client, (3, False), (2, False), size=90)
    packets = [client.packet(PACKET), client.packet(PACKET)]
    (urgent,) = opened(client, (1, False), size=90)
    for packet in packets:
        assert packet is not None
        packet.lost()
    assert order(client, server) == [urgent, two, one]


def test_a_stream_without_credit_lets_others_pass() -> None:
    client, server = pair(Configuration(stream_window_bytes=120))
    one, two = opened(client, (0, False), (7, False), size=200)
    streams = order(client, server)
    assert sorted(set(streams)) == sorted({one, two})
    assert server.streams.readable_bytes(two) == 120


@pytest.mark.parametrize("urgency", [-1, 8])
def test_another_urgency_is_refused(urgency: int) -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    with pytest.raises(LocalError, match="0 .first. to 7 .last."):
        client.streams.set_priority(stream_id, urgency, False)


def test_many_streams_that_come_and_go_leave_nothing_behind() -> None:
    client, server = pair(Configuration(max_streams_uni=4))
    for index in range(300):
        (stream_id,) = opened(client, (index % 8, index % 3 == 0), size=5)
        client.streams.write(stream_id, b"", is_fin=True)
        order(client, server)
        server.streams.read(stream_id, 99)
        _drain(server, client)
    assert list(client.streams.ids()) == []


def _drain(end: End, other: End) -> None:
    while (packet := end.packet(PACKET)) is not None:
        other.receive(packet)
        packet.acked()
