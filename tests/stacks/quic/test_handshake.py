"""Whole connections in virtual time: they begin, move data and end."""

from __future__ import annotations

from stacks.quic.connection import ConnectionState
from stacks.quic.events import HandshakeCompleted, StreamReadable
from tests.stacks.quic.rig import Rig, events_of


def test_a_handshake_is_confirmed_at_both_ends() -> None:
    rig = Rig()
    client, server = rig.establish()
    assert client.state == ConnectionState.CONFIRMED
    assert server.state == ConnectionState.CONFIRMED
    (completed,) = (event for event in events_of(client) if isinstance(event, HandshakeCompleted))
    assert completed.alpn == "test"


def test_a_stream_arrives_whole_and_in_order() -> None:
    rig = Rig()
    client, server = rig.establish()
    stream = client.open_stream()
    data = bytes(range(256)) * 4000
    client.write(stream, data, is_fin=True)
    received = bytearray()
    for _ in range(100):
        rig.run(100_000_000)
        for event in events_of(server):
            if isinstance(event, StreamReadable):
                received += server.read(event.stream_id)
    assert bytes(received) == data
    assert server.streams.is_finished(stream)


def test_a_close_is_heard_with_its_reason() -> None:
    rig = Rig()
    client, server = rig.establish()
    client.close(7, "enough", now=rig.now)
    rig.run()
    assert server.close_reason is not None
    assert (server.close_reason.code, server.close_reason.reason, server.close_reason.by_peer) == (7, "enough", True)
    assert not rig.client.connections
    assert not rig.server.connections
