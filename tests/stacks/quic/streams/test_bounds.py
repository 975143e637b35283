"""What a peer, or an application that does not look, can make grow; and what an idle connection costs."""

from __future__ import annotations

import tracemalloc
from collections import deque

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.streams import CryptoReceiver, CryptoSender, Datagrams, Streams
from tests.stacks.quic.streams.ends import End, pair, parameters_of

X = memoryview(b"x")


def test_every_other_byte_of_a_window_is_an_error_and_not_memory() -> None:
    _, server = pair(Configuration(stream_window_bytes=4 << 20, connection_window_bytes=8 << 20))

    def flood() -> None:
        for offset in range(1, 4 << 20, 2):
            server.streams.handle_stream(offset // 2 % 128 << 2, offset, X, False, 0)

    tracemalloc.start()
    try:
        with pytest.raises(QuicError) as error:
            flood()
        assert error.value.code == TransportErrorCode.INTERNAL_ERROR
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


def test_a_window_full_of_tiny_frames_costs_little_more_than_the_window() -> None:
    window = 256 << 10
    _, server = pair(Configuration(stream_window_bytes=window))
    piece = memoryview(b"ab")
    tracemalloc.start()
    try:
        for offset in range(0, window, 2):
            server.streams.handle_stream(0, offset, piece, False, 0)
        assert tracemalloc.get_traced_memory()[0] < 2 * window
    finally:
        tracemalloc.stop()


def test_streams_that_are_opened_and_given_up_at_once_leave_nothing() -> None:
    _, server = pair(Configuration(max_streams_bidi=8))
    for index in range(2000):
        server.streams.handle_reset(index << 2, 1, 0, 0)
        server.streams.handle_stop_sending(index << 2, 1, 0)
        server.events.clear()
        packet = server.packet()
        assert packet is not None
        packet.acked()
    assert list(server.streams.ids()) == []
    limits = server.packet()
    assert limits is not None
    assert len(limits.records) == 1
    assert not server.streams.has_frames


def test_no_new_streams_while_the_application_does_not_take_its_events() -> None:
    _, server = pair(Configuration(max_streams_uni=16))
    opened: list[int] = []

    def churn() -> None:
        for stream_id in range(2, 40_000, 4):
            server.streams.handle_reset(stream_id, 1, 0, 0)
            opened.append(stream_id)
            while (packet := server.packet()) is not None:
                packet.acked()

    with pytest.raises(QuicError) as error:
        churn()
    assert error.value.code == TransportErrorCode.STREAM_LIMIT_ERROR
    assert len(server.events) < 5000
    server.taken()
    server.streams.handle_streams_blocked(True, len(opened), 0)  # an honest one asks, and is heard again
    assert server.streams.has_frames


def test_a_peer_that_opens_all_it_may_and_sends_nothing_costs_little() -> None:
    configuration = Configuration(max_streams_bidi=1000)
    _, server = pair(configuration)
    tracemalloc.start()
    try:
        server.streams.handle_stream(999 << 2, 0, X, False, 0)
        assert tracemalloc.get_traced_memory()[0] < 1000 * 900
    finally:
        tracemalloc.stop()


def test_an_idle_connection_s_streams_cost_less_than_three_kilobytes() -> None:
    configuration, peer = Configuration(), parameters_of(Configuration())
    kept: list[object] = []
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            events: deque[object] = deque()
            streams = Streams(configuration, is_client=True, events=events)  # type: ignore[arg-type]
            streams.apply_peer_parameters(peer)
            datagrams = Datagrams(configuration, events=events)  # type: ignore[arg-type]
            kept += [streams, datagrams, *(CryptoSender() for _ in range(3)), *(CryptoReceiver(1) for _ in range(3))]
        used = tracemalloc.get_traced_memory()[0] - before
        assert used / 50 - 700 < 3000  # the deque is the connection's
    finally:
        tracemalloc.stop()


def test_what_is_asked_again_and_again_is_said_once() -> None:
    client, server = pair(Configuration(stream_window_bytes=1000))
    stream_id = client.streams.open(False)
    client.streams.write(stream_id, bytes(10))
    packet = client.packet()
    assert packet is not None
    server.receive(packet)
    for _ in range(1000):
        server.streams.handle_stop_sending(stream_id, 1, 0)
        server.streams.handle_max_data(1 << 30, 0)
        server.streams.handle_streams_blocked(False, 1, 0)
        server.streams.handle_data_blocked(1, 0)
        server.streams.handle_stream_data_blocked(stream_id, 1, 0)
    answer = server.packet()
    assert answer is not None
    assert len(answer.records) == 1  # RESET_STREAM
    assert server.packet() is None
    assert len(server.events) == 3


def test_an_end_knows_nothing_of_streams_before_the_peer_s_parameters() -> None:
    end = End(Configuration(), is_client=True)
    stream_id = end.streams.open(True)
    end.streams.write(stream_id, b"x")
    assert end.streams.unsent_bytes(stream_id) == 1
    packet = end.packet()
    assert packet is None or b"x" not in packet.payload
    end.streams.apply_peer_parameters(parameters_of(Configuration()))
    packet = end.packet(300, pad=0)
    assert packet is not None
    assert packet.payload.endswith(b"x")
