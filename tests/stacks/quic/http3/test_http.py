"""Requests and answers over streams alone, in both protocols."""

from __future__ import annotations

import pytest

from stacks.quic.http3 import (
    BodyReceived,
    Http09,
    Http3,
    HttpCore,
    RequestReceived,
    ResponseReceived,
    StreamAborted,
    http_core,
)
from stacks.quic.http3.core import READ_BYTES, UNSENT_BYTES
from stacks.quic.http3.priority import parse_priority
from stacks.runtime.errors import LocalError
from tests.stacks.quic.http3.loopback import LoopbackEnd, connected, http_pair, take

BOTH = pytest.mark.parametrize("make", [Http3, Http09])


@BOTH
def test_request_and_answer_cross(make: type[HttpCore]) -> None:
    client, server = http_pair(make)
    stream_id = client.request("a.test:4433", "/file")
    first, end = take(server)
    assert isinstance(first, RequestReceived)
    assert (first.stream_id, first.method, first.path) == (stream_id, "GET", "/file")
    assert end == BodyReceived(stream_id, b"", is_end=True)
    server.respond(stream_id, 200, (("content-length", "5"),))
    server.send_body(stream_id, b"12", is_end=False)
    server.send_body(stream_id, b"345", is_end=True)
    response, *bodies = take(client)
    assert isinstance(response, ResponseReceived)
    assert response.status == 200
    assert b"".join(each.data for each in bodies if isinstance(each, BodyReceived)) == b"12345"
    assert isinstance(bodies[-1], BodyReceived)
    assert bodies[-1].is_end
    assert take(client) == take(server) == []


def test_http3_carries_authority_status_and_headers() -> None:
    client, server = http_pair(Http3)
    stream_id = client.request("a.test:4433", "/x", headers=(("user-agent", "b"),))
    request = take(server)[0]
    assert request == RequestReceived(stream_id, "GET", "a.test:4433", "/x", (("user-agent", "b"),))
    server.respond(stream_id, 404, (("server", "b"),), is_end=True)
    assert take(client) == [
        ResponseReceived(stream_id, 404, (("server", "b"),)),
        BodyReceived(stream_id, b"", is_end=True),
    ]


@BOTH
def test_large_body_is_read_in_pieces_and_only_when_asked_for(make: type[HttpCore]) -> None:
    client, server = http_pair(make)
    stream_id = client.request("a.test", "/big")
    take(server)
    body = bytes(range(256)) * (READ_BYTES // 64)
    server.respond(stream_id, 200)
    server.send_body(stream_id, body, is_end=True)
    end = client.connection
    assert isinstance(end, LoopbackEnd)
    before = len(end.inbox[stream_id])
    assert client.poll_event(0) is not None
    assert before - len(end.inbox[stream_id]) <= READ_BYTES
    rest = take(client)
    assert b"".join(each.data for each in rest if isinstance(each, BodyReceived)).endswith(body[-READ_BYTES:])
    assert isinstance(rest[-1], BodyReceived)
    assert rest[-1].is_end


@BOTH
def test_readable_streams_take_turns(make: type[HttpCore]) -> None:
    client, server = http_pair(make)
    ids = [client.request("a.test", f"/{number}") for number in range(2)]
    take(server)
    for stream_id in ids:
        server.respond(stream_id, 200)
        server.send_body(stream_id, bytes(3 * READ_BYTES), is_end=True)
    order = [each.stream_id for each in take(client) if isinstance(each, BodyReceived) and each.data]
    assert order[: len(order) // 2].count(ids[0]) < len(order) // 2


@BOTH
def test_resets_and_stops_of_the_peer_are_told(make: type[HttpCore]) -> None:
    client, server = http_pair(make)
    stream_id = client.request("a.test", "/x")
    take(server)
    client.stream_reset(stream_id, 7)
    server.sending_stopped(stream_id, 8)
    assert take(client) == [StreamAborted(stream_id, 7, is_sending=False)]
    assert take(server) == [StreamAborted(stream_id, 8, is_sending=True)]


@pytest.mark.parametrize(("make", "code"), [(Http3, 0x10C), (Http09, 1)])
def test_cancelling_stops_both_directions(make: type[HttpCore], code: int) -> None:
    client, _ = http_pair(make)
    stream_id = client.request("a.test", "/x")
    client.cancel(stream_id)
    end = client.connection
    assert isinstance(end, LoopbackEnd)
    assert end.resets == end.stopped == {stream_id: code}


@BOTH
def test_sending_waits_for_room(make: type[HttpCore]) -> None:
    _, server = http_pair(make)
    end = server.connection
    assert isinstance(end, LoopbackEnd)
    end.unsent[0] = UNSENT_BYTES + 1
    assert not server.can_send(0)
    end.unsent[0] -= 1
    assert server.can_send(0)


def test_priority_header_moves_the_stream() -> None:
    """RFC 9218 5."""
    client, server = http_pair(Http3)
    stream_id = client.request("a.test", "/x", headers=(("priority", "u=1, i"),))
    take(server)
    end = server.connection
    assert isinstance(end, LoopbackEnd)
    assert end.priorities == {stream_id: (1, True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (3, False)),
        ("u=5", (5, False)),
        ("i", (3, True)),
        ("u=0, i=?1", (0, True)),
        ("u=7,i=?0", (7, False)),
        ("u=8", (3, False)),
        ("u=-1, x=2;y, i", (3, True)),
        ("nonsense", (3, False)),
    ],
)
def test_priority_values(text: str, expected: tuple[int, bool]) -> None:
    assert parse_priority(text) == expected


def test_second_answer_is_misuse() -> None:
    client, server = http_pair(Http3)
    stream_id = client.request("a.test", "/x")
    take(server)
    server.respond(stream_id, 200, is_end=True)
    with pytest.raises(LocalError):
        server.send_body(stream_id, b"x")


def test_broken_frame_closes_the_connection_with_its_code() -> None:
    """RFC 9114 7.2.8: a frame type of HTTP/2 is H3_FRAME_UNEXPECTED."""
    client, server = http_pair(Http3)
    end = client.connection
    assert isinstance(end, LoopbackEnd)
    end.write(end.open_stream(), b"\x02\x00")
    assert take(server) == []
    peer = server.connection
    assert isinstance(peer, LoopbackEnd)
    assert peer.closed is not None
    assert peer.closed[0] == 0x105


def test_end_of_the_control_stream_closes_the_connection() -> None:
    """RFC 9114 6.2.1: H3_CLOSED_CRITICAL_STREAM."""
    client, server = http_pair(Http3)
    take(server)
    end = client.connection
    assert isinstance(end, LoopbackEnd)
    end.write(2, b"", is_fin=True)
    assert take(server) == []
    peer = server.connection
    assert isinstance(peer, LoopbackEnd)
    assert peer.closed is not None
    assert peer.closed[0] == 0x104


@pytest.mark.parametrize("line", [b"POST /x\r\n", b"GET x\r\n", b"GET /" + b"x" * 9000 + b"\r\n", b"\r\n"])
def test_old_http_refuses_what_is_no_get(line: bytes) -> None:
    client, server = http_pair(Http09)
    end = client.connection
    assert isinstance(end, LoopbackEnd)
    stream_id = end.open_stream()
    end.write(stream_id, line, is_fin=True)
    assert take(server) == []
    peer = server.connection
    assert isinstance(peer, LoopbackEnd)
    assert stream_id in peer.resets


@pytest.mark.parametrize("end_line", [b"\r\n", b"\n", b""])
def test_old_http_takes_its_line_in_pieces(end_line: bytes) -> None:
    client, server = http_pair(Http09)
    end = client.connection
    assert isinstance(end, LoopbackEnd)
    stream_id = end.open_stream()
    end.write(stream_id, b"GET /a")
    assert take(server) == []
    end.write(stream_id, b"b" + end_line, is_fin=True)
    assert take(server) == [
        RequestReceived(stream_id, "GET", "", "/ab"),
        BodyReceived(stream_id, b"", is_end=True),
    ]


def test_old_http_resets_what_it_cannot_serve() -> None:
    client, server = http_pair(Http09)
    stream_id = client.request("a.test", "/x")
    take(server)
    server.respond(stream_id, 404, is_end=True)
    end = server.connection
    assert isinstance(end, LoopbackEnd)
    assert end.resets == {stream_id: 1}


def test_alpn_chooses() -> None:
    end, _ = connected()
    assert isinstance(http_core("h3", end), Http3)
    assert isinstance(http_core("hq-interop", end), Http09)
    with pytest.raises(LocalError, match="doq"):
        http_core("doq", end)
