"""Data both ways: order, ends, windows and stream limits, between two ends that lose nothing."""

from __future__ import annotations

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.events import StreamOpened, StreamReadable, StreamsAvailable, StreamWritable
from stacks.runtime import LocalError
from tests.stacks.quic.streams.ends import exchange, pair, receive
from wire.quic import frame_types as t


def test_what_is_written_is_read_with_its_end_and_the_stream_is_forgotten() -> None:
    client, server = pair()
    stream_id = client.streams.open(False)
    client.streams.write(stream_id, b"question", is_fin=True)
    exchange(client, server)
    assert server.taken() == [StreamOpened(stream_id), StreamReadable(stream_id)]
    assert server.streams.read(stream_id, 3) == b"que"
    assert not server.streams.is_finished(stream_id)
    assert server.streams.read(stream_id, 100) == b"stion"
    assert server.streams.is_finished(stream_id)
    server.streams.write(stream_id, b"answer", is_fin=True)
    exchange(client, server)
    assert client.streams.read(stream_id, 100) == b"answer"
    assert client.streams.is_finished(stream_id)
    assert client.streams.is_sent(stream_id)
    assert list(client.streams.ids()) == list(server.streams.ids()) == []


def test_numbers_follow_the_two_low_bits() -> None:
    client, server = pair()
    assert [client.streams.open(False) for _ in range(2)] == [0, 4]  # RFC 9000 2.1, table 1
    assert [server.streams.open(False) for _ in range(2)] == [1, 5]
    assert [client.streams.open(True) for _ in range(2)] == [2, 6]
    assert [server.streams.open(True) for _ in range(2)] == [3, 7]


def test_a_later_number_opens_those_below_it() -> None:
    client, server = pair()
    ids = [client.streams.open(True) for _ in range(3)]
    client.streams.write(ids[2], b"x")
    exchange(client, server)
    assert server.taken() == [*(StreamOpened(stream_id) for stream_id in ids), StreamReadable(ids[2])]


def test_an_end_without_bytes_is_told() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, b"x")
    exchange(client, server)
    assert server.streams.read(stream_id, 9) == b"x"
    server.taken()
    client.streams.write(stream_id, b"", is_fin=True)
    exchange(client, server)
    assert server.taken() == [StreamReadable(stream_id)]
    assert server.streams.read(stream_id, 9) == b""
    assert server.streams.is_finished(stream_id)


def test_a_window_stops_the_sender_until_the_application_reads() -> None:
    tight = Configuration(stream_window_bytes=1000, connection_window_bytes=100_000)
    client, server = pair(tight)
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(5000))
    exchange(client, server)
    assert server.streams.readable_bytes(stream_id) == 1000
    assert client.streams.unsent_bytes(stream_id) == 4000
    assert not client.streams.has_frames
    server.streams.read(stream_id, 600)
    exchange(client, server)
    assert server.streams.readable_bytes(stream_id) == 1000
    total = 600
    while total < 5000:
        total += len(server.streams.read(stream_id, 10_000))
        exchange(client, server)
    assert total == 5000


def test_the_connection_window_is_shared_by_streams() -> None:
    tight = Configuration(stream_window_bytes=10_000, connection_window_bytes=1500)
    client, server = pair(tight)
    one, two = client.streams.open(True), client.streams.open(True)
    for stream_id in (one, two):
        client.streams.write(stream_id, bytes(1000), is_fin=True)
    exchange(client, server)
    assert server.streams.readable_bytes(one) + server.streams.readable_bytes(two) == 1500
    read = len(server.streams.read(one, 9999))
    exchange(client, server)
    assert read == 1000
    assert len(server.streams.read(two, 9999)) == 1000
    assert server.streams.is_finished(two)


def test_blocked_frames_are_sent_once_for_each_limit() -> None:
    tight = Configuration(stream_window_bytes=100, connection_window_bytes=250, max_streams_uni=3)
    client, server = pair(tight)
    ids = [client.streams.open(True) for _ in range(4)]
    for stream_id in ids:
        client.streams.write(stream_id, bytes(101))
    seen: list[int] = []
    while (packet := client.packet()) is not None:
        seen += receive(server.streams, packet.payload)
    kinds = (t.FRAME_DATA_BLOCKED, t.FRAME_STREAM_DATA_BLOCKED, t.FRAME_STREAMS_BLOCKED_UNI)
    assert [seen.count(kind) for kind in kinds] == [1, 2, 1]
    client.streams.write(ids[0], b"more")
    assert client.packet() is None


def test_streams_above_the_limit_wait_for_others_to_close() -> None:
    client, server = pair(Configuration(max_streams_bidi=2))
    ids = [client.streams.open(False) for _ in range(3)]
    assert not client.streams.can_open(False)
    for stream_id in ids:
        client.streams.write(stream_id, b"x", is_fin=True)
    exchange(client, server)
    assert [stream_id for stream_id in ids if server.streams.receiver(stream_id)] == ids[:2]
    server.streams.read(ids[0], 9)
    server.streams.write(ids[0], b"", is_fin=True)
    exchange(client, server)
    assert StreamsAvailable(False) in client.taken()
    assert server.streams.read(ids[2], 9) == b"x"


def test_little_left_to_send_is_told_once() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(300_000))
    exchange(client, server, size=1400)
    assert client.taken().count(StreamWritable(stream_id)) == 1
    client.streams.write(stream_id, bytes(1000))
    exchange(client, server)
    assert StreamWritable(stream_id) not in client.taken()


def test_what_the_caller_changes_afterwards_does_not_change_what_is_sent() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    data = bytearray(b"a" * 5000)
    client.streams.write(stream_id, data)
    client.streams.write(stream_id, memoryview(data)[:10])
    data[:] = b"b" * 5000
    exchange(client, server)
    assert server.streams.read(stream_id, 9999) == b"a" * 5010


@pytest.mark.parametrize("call", ["write", "read", "reset", "stop_sending", "is_finished"])
def test_a_stream_that_never_was_is_a_mistake_of_the_caller(call: str) -> None:
    client, _ = pair()
    arguments = {"write": (b"x",), "read": (1,), "reset": (0,), "stop_sending": (0,), "is_finished": ()}[call]
    with pytest.raises(LocalError, match="there is no stream 8"):
        getattr(client.streams, call)(8, *arguments)


def test_a_stream_that_the_peer_has_not_opened_yet_has_nothing_to_read() -> None:
    client, _ = pair()
    assert client.streams.read(1, 10) == b""
    assert not client.streams.is_finished(1)


def test_nothing_is_written_behind_the_end() -> None:
    client, _ = pair()
    ended, given_up = client.streams.open(True), client.streams.open(True)
    client.streams.write(ended, b"", is_fin=True)
    with pytest.raises(LocalError, match="was ended"):
        client.streams.write(ended, b"x")
    client.streams.reset(given_up, 1)
    with pytest.raises(LocalError, match="was reset"):
        client.streams.write(given_up, b"x")
