"""What a peer may not do, and the error that RFC 9000 names for it; and what it may, and is nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import StreamReadable
from stacks.quic.streams import Streams
from tests.stacks.quic.streams.ends import End, exchange, pair

C = TransportErrorCode
TIGHT = Configuration(
    stream_window_bytes=100, connection_window_bytes=250, max_streams_bidi=3, max_streams_uni=2
)
X = memoryview(b"x")
MAX_OFFSET = (1 << 62) - 1

# The server's view: streams 0, 4, 8 and 2, 6 are the client's, 1, 5 and 3, 7 its own.
BROKEN: list[tuple[str, TransportErrorCode, Callable[[Streams], object]]] = [
    ("4.1: beyond the stream's limit", C.FLOW_CONTROL_ERROR, lambda s: s.handle_stream(0, 100, X, False, 0)),
    ("4.1: beyond the largest offset", C.FLOW_CONTROL_ERROR, lambda s: s.handle_stream(0, MAX_OFFSET - 1, X, False, 0)),
    ("4.5: an end beyond the limit", C.FLOW_CONTROL_ERROR, lambda s: s.handle_stream(0, 101, X[:0], True, 0)),
    ("4.5: a reset beyond the limit", C.FLOW_CONTROL_ERROR, lambda s: s.handle_reset(0, 1, 101, 0)),
    ("4.6: one stream too many", C.STREAM_LIMIT_ERROR, lambda s: s.handle_stream(12, 0, X, False, 0)),
    ("4.6: by RESET_STREAM", C.STREAM_LIMIT_ERROR, lambda s: s.handle_reset(10, 0, 0, 0)),
    ("4.6: by STOP_SENDING", C.STREAM_LIMIT_ERROR, lambda s: s.handle_stop_sending(12, 0, 0)),
    ("4.6: by MAX_STREAM_DATA", C.STREAM_LIMIT_ERROR, lambda s: s.handle_max_stream_data(12, 0, 0)),
    ("4.6: by STREAM_DATA_BLOCKED", C.STREAM_LIMIT_ERROR, lambda s: s.handle_stream_data_blocked(12, 0, 0)),
    ("19.4: RESET_STREAM where only we send", C.STREAM_STATE_ERROR, lambda s: s.handle_reset(3, 0, 0, 0)),
    ("19.5: STOP_SENDING where only it sends", C.STREAM_STATE_ERROR, lambda s: s.handle_stop_sending(2, 0, 0)),
    ("19.5: STOP_SENDING before we opened", C.STREAM_STATE_ERROR, lambda s: s.handle_stop_sending(5, 0, 0)),
    ("19.8: STREAM where only we send", C.STREAM_STATE_ERROR, lambda s: s.handle_stream(3, 0, X, False, 0)),
    ("19.8: STREAM before we opened", C.STREAM_STATE_ERROR, lambda s: s.handle_stream(5, 0, X, False, 0)),
    ("19.10: MAX_STREAM_DATA where only it sends", C.STREAM_STATE_ERROR, lambda s: s.handle_max_stream_data(2, 9, 0)),
    ("19.10: MAX_STREAM_DATA before we opened", C.STREAM_STATE_ERROR, lambda s: s.handle_max_stream_data(7, 9, 0)),
    ("19.13: STREAM_DATA_BLOCKED where only we send", C.STREAM_STATE_ERROR,
     lambda s: s.handle_stream_data_blocked(3, 9, 0)),
    ("19.11: MAX_STREAMS above 2^60", C.FRAME_ENCODING_ERROR,
     lambda s: s.handle_max_streams(False, (1 << 60) + 1, 0)),
    ("19.14: STREAMS_BLOCKED above 2^60", C.FRAME_ENCODING_ERROR,
     lambda s: s.handle_streams_blocked(True, (1 << 60) + 1, 0)),
    ("reliable reset 4: more reliable than there is", C.FRAME_ENCODING_ERROR,
     lambda s: s.handle_reset(0, 1, 10, 0, reliable_bytes=11)),
]  # fmt: skip


def server() -> End:
    _, end = pair(TIGHT)
    assert (end.streams.open(False), end.streams.open(True)) == (1, 3)
    return end


@pytest.mark.parametrize(("code", "act"), [entry[1:] for entry in BROKEN], ids=[entry[0] for entry in BROKEN])
def test_a_rule_that_is_broken_gives_its_error(code: TransportErrorCode, act: Callable[[Streams], object]) -> None:
    with pytest.raises(QuicError) as error:
        act(server().streams)
    assert error.value.code == code


def test_the_connection_s_limit_counts_what_was_sent_on_all_streams() -> None:
    streams = server().streams
    for stream_id in (0, 4):
        streams.handle_stream(stream_id, 0, memoryview(bytes(100)), False, 0)
    streams.handle_stream(0, 50, memoryview(bytes(50)), False, 0)  # again: counts once
    streams.handle_stream(8, 49, X, False, 0)  # a gap counts
    with pytest.raises(QuicError) as error:
        streams.handle_stream(2, 0, X, False, 0)
    assert error.value.code == C.FLOW_CONTROL_ERROR


def test_the_size_in_a_reset_counts_towards_the_connection_s_limit() -> None:
    streams = server().streams
    for stream_id in (0, 4):
        streams.handle_stream(stream_id, 0, memoryview(bytes(100)), False, 0)
    streams.handle_stream(8, 0, X, False, 0)
    with pytest.raises(QuicError) as error:
        streams.handle_reset(8, 1, 51, 0)
    assert error.value.code == C.FLOW_CONTROL_ERROR


FINAL: list[tuple[str, Callable[[Streams], object]]] = [
    ("more data", lambda s: s.handle_stream(0, 10, X, False, 0)),
    ("another end", lambda s: s.handle_stream(0, 8, X, True, 0)),
    ("a reset of another size", lambda s: s.handle_reset(0, 1, 11, 0)),
    ("a smaller reset", lambda s: s.handle_reset(0, 1, 9, 0)),
]


@pytest.mark.parametrize("act", [entry[1] for entry in FINAL], ids=[entry[0] for entry in FINAL])
@pytest.mark.parametrize("known_by", ["FIN", "FIN ahead of data", "RESET_STREAM_AT"])
def test_a_final_size_is_final(known_by: str, act: Callable[[Streams], object]) -> None:
    streams = server().streams
    if known_by == "FIN":
        streams.handle_stream(0, 0, memoryview(bytes(10)), True, 0)
    elif known_by == "FIN ahead of data":
        streams.handle_stream(0, 10, X[:0], True, 0)
    else:
        streams.handle_reset(0, 1, 10, 0, reliable_bytes=5)
    with pytest.raises(QuicError) as error:
        act(streams)
    assert error.value.code == C.FINAL_SIZE_ERROR  # RFC 9000 4.5


def test_an_end_below_what_came_already_is_a_final_size_error() -> None:
    for act in (lambda s: s.handle_stream(0, 5, X[:0], True, 0), lambda s: s.handle_reset(0, 1, 5, 0)):
        streams = server().streams
        streams.handle_stream(0, 0, memoryview(bytes(10)), False, 0)
        with pytest.raises(QuicError) as error:
            act(streams)
        assert error.value.code == C.FINAL_SIZE_ERROR


def test_an_empty_frame_ahead_of_the_data_counts_as_sent() -> None:
    streams = server().streams
    streams.handle_stream(0, 0, X, False, 0)
    streams.handle_stream(0, 90, X[:0], False, 0)
    streams.handle_stream(0, 1, memoryview(bytes(20)), False, 0)
    for stream_id in (4, 8):
        streams.handle_stream(stream_id, 0, memoryview(bytes(80)), False, 0)
    with pytest.raises(QuicError) as error:  # 90 + 80 + 80 are all that the connection has
        streams.handle_stream(2, 0, X, False, 0)
    assert error.value.code == C.FLOW_CONTROL_ERROR


def test_another_code_in_a_reset_is_a_stream_state_error() -> None:
    streams = server().streams
    streams.handle_reset(0, 1, 10, 0, reliable_bytes=5)
    streams.handle_reset(0, 1, 10, 0, reliable_bytes=9)  # late: nothing becomes more reliable again
    with pytest.raises(QuicError) as error:
        streams.handle_reset(0, 2, 10, 0, reliable_bytes=3)
    assert error.value.code == C.STREAM_STATE_ERROR


def test_frames_for_streams_that_are_over_are_nothing() -> None:
    client, end = pair(TIGHT)
    for stream_id in (client.streams.open(False), client.streams.open(True)):
        client.streams.write(stream_id, b"x", is_fin=True)
        exchange(client, end)
        end.streams.read(stream_id, 9)
    end.streams.write(0, b"", is_fin=True)
    own = end.streams.open(True)
    end.streams.write(own, b"", is_fin=True)
    exchange(client, end)
    assert list(end.streams.ids()) == []
    for stream_id in (0, 2):
        end.streams.handle_stream(stream_id, 0, X, True, 0)
        end.streams.handle_reset(stream_id, 0, 1, 0)
        end.streams.handle_stream_data_blocked(stream_id, 0, 0)
    for stream_id in (0, own):
        end.streams.handle_stop_sending(stream_id, 0, 0)
        end.streams.handle_max_stream_data(stream_id, 1 << 20, 0)
    assert not end.streams.has_frames
    assert [event for event in end.taken() if not isinstance(event, StreamReadable)][2:] == []


def test_lower_limits_than_before_came_late_and_mean_nothing() -> None:
    client, _ = pair(TIGHT)
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(100))
    client.streams.handle_max_data(1, 0)
    client.streams.handle_max_stream_data(stream_id, 1, 0)
    client.streams.handle_max_streams(True, 0, 0)
    packet = client.packet()
    assert packet is not None
    assert client.streams.sent_bytes == 100
    assert client.streams.can_open(True)
