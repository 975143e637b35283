"""RESET_STREAM, RESET_STREAM_AT and STOP_SENDING: what is told, sent, counted and forgotten."""

from __future__ import annotations

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.events import StopSending, StreamOpened, StreamReadable, StreamReset
from stacks.quic.streams.states import ReceiveState, SendState
from stacks.runtime import LocalError
from tests.stacks.quic.streams.ends import End, exchange, pair, receive
from wire.quic.frames import ResetStream, ResetStreamAt


def next_payload(end: End) -> bytes:
    packet = end.packet(300, pad=0)
    assert packet is not None
    return packet.payload


def test_a_reset_tells_what_was_sent_and_drops_what_was_not_read() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(100))
    exchange(client, server)
    client.streams.write(stream_id, bytes(50))
    client.streams.reset(stream_id, 7)
    assert next_payload(client) == ResetStream(stream_id, 7, 100).encode()
    receive(server.streams, ResetStream(stream_id, 7, 100).encode())
    assert server.taken() == [StreamOpened(stream_id), StreamReadable(stream_id), StreamReset(stream_id, 7)]
    assert server.streams.read(stream_id, 999) == b""
    assert server.streams.is_finished(stream_id)
    assert list(server.streams.ids()) == []


def test_a_lost_reset_is_sent_again_and_an_acknowledged_one_ends_the_stream() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, b"x")
    sent = [client.packet()]
    client.streams.reset(stream_id, 7)
    sent.append(client.packet())
    assert all(sent)
    stream = client.streams.sender(stream_id)
    assert stream is not None
    assert stream.state is SendState.RESET_SENT
    for packet in sent:
        assert packet is not None
        packet.lost()
    again = client.packet(300, pad=0)
    assert again is not None
    assert again.payload == ResetStream(stream_id, 7, 1).encode()  # and none of the data
    again.acked()
    assert stream.state is SendState.RESET_RECVD
    assert client.streams.is_sent(stream_id)


def test_stop_sending_is_answered_with_a_reset_of_the_same_code() -> None:
    client, server = pair()
    stream_id = client.streams.open(False)
    client.streams.write(stream_id, bytes(100))
    exchange(client, server)
    server.taken()
    server.streams.stop_sending(stream_id, 9)
    exchange(client, server)
    assert client.taken() == [StopSending(stream_id, 9)]
    assert server.taken() == []  # who asked for it need not be told
    with pytest.raises(LocalError, match="was reset|cannot be written to"):
        client.streams.write(stream_id, b"x")
    assert server.streams.receiver(stream_id) is None


def test_stop_sending_on_a_stream_that_ended_changes_nothing_when_all_arrived() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, b"x", is_fin=True)
    exchange(client, server)
    server.streams.stop_sending(stream_id, 9)
    exchange(client, server)
    assert client.taken() == []
    assert list(server.streams.ids()) == list(client.streams.ids()) == []


def test_a_reset_gives_back_the_connection_s_credit_for_what_never_came() -> None:
    tight = Configuration(connection_window_bytes=1000, stream_window_bytes=1000)
    client, server = pair(tight)
    for _ in range(20):
        stream_id = client.streams.open(True)
        client.streams.write(stream_id, bytes(400))
        packet, lost = client.packet(210), client.packet(300)
        assert packet is not None
        assert lost is not None
        server.receive(packet)
        packet.acked()
        client.streams.reset(stream_id, 1)
        exchange(client, server)
        lost.lost()
    assert client.streams.sent_bytes == 8000


def test_a_reliable_reset_delivers_its_part_before_it_is_told() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(range(200)))
    client.streams.reset(stream_id, 5, reliable_bytes=50)
    first = client.packet(40, pad=0)
    assert first is not None
    client.streams.reset(stream_id, 5, reliable_bytes=90)  # never more than before
    first.lost()
    exchange(client, server, size=40)
    assert server.taken() == [StreamOpened(stream_id), StreamReadable(stream_id)]
    assert server.streams.read(stream_id, 20) == bytes(range(20))
    assert server.taken() == []
    assert server.streams.read(stream_id, 999)[:30] == bytes(range(20, 50))
    assert server.taken() == [StreamReset(stream_id, 5)]
    assert list(server.streams.ids()) == list(client.streams.ids()) == []


def test_a_reliable_reset_waits_for_credit_and_its_states_are_those_of_an_end() -> None:
    client, server = pair(Configuration(stream_window_bytes=40))
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(200))
    client.streams.reset(stream_id, 5, reliable_bytes=100)
    exchange(client, server)
    stream = client.streams.sender(stream_id)
    assert stream is not None
    assert stream.state is SendState.SEND
    for _ in range(3):
        server.streams.read(stream_id, 999)
        exchange(client, server)
    assert stream.state is SendState.DATA_RECVD
    server.streams.read(stream_id, 999)
    assert StreamReset(stream_id, 5) in server.taken()


def test_a_later_reset_may_deliver_less_and_keeps_code_and_size() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(100))
    assert client.packet() is not None
    client.streams.reset(stream_id, 5, reliable_bytes=100)
    assert next_payload(client) == ResetStreamAt(stream_id, 5, 100, 100).encode()
    client.streams.reset(stream_id, 6, reliable_bytes=60)
    assert next_payload(client) == ResetStreamAt(stream_id, 5, 100, 60).encode()
    client.streams.reset(stream_id, 6)
    assert next_payload(client) == ResetStream(stream_id, 5, 100).encode()


def test_lost_bytes_behind_the_reliable_part_are_not_sent_again() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(1000))
    packets = [client.packet(300) for _ in range(4)]
    for packet in packets:
        assert packet is not None
        packet.lost()
    client.streams.reset(stream_id, 5, reliable_bytes=10)
    repeated = client.packet(300, pad=0)
    assert repeated is not None
    assert len(repeated.payload) == len(ResetStreamAt(stream_id, 5, 1000, 10).encode()) + 3 + 10
    packets[0].lost()
    again = client.packet(300, pad=0)
    assert again is not None
    assert len(again.payload) == 3 + 10


def test_a_stream_that_is_reset_for_less_does_not_end_before_the_peer_knows_of_that() -> None:
    client, server = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(100))
    data = client.packet()
    client.streams.reset(stream_id, 5, reliable_bytes=100)
    first = client.packet()
    assert data is not None
    assert first is not None
    first.acked()
    client.streams.reset(stream_id, 5, reliable_bytes=60)
    second = client.packet()
    assert second is not None
    data.lost()
    repeated = client.packet()
    assert repeated is not None
    server.receive(first)
    server.receive(repeated)
    repeated.acked()
    assert not client.streams.is_sent(stream_id)
    second.lost()
    exchange(client, server)
    assert client.streams.is_sent(stream_id)
    assert server.streams.read(stream_id, 999) == bytes(60)
    assert StreamReset(stream_id, 5) in server.taken()


@pytest.mark.parametrize("end", ["nothing", "FIN", "RESET_STREAM"])
def test_what_comes_after_stop_sending_takes_no_credit_of_the_connection(end: str) -> None:
    tight = Configuration(connection_window_bytes=1000, stream_window_bytes=600)
    client, server = pair(tight)
    other = client.streams.open(True)
    client.streams.write(other, b"x")
    for _ in range(5):
        stream_id = client.streams.open(True)
        client.streams.write(stream_id, b"y")
        exchange(client, server)
        server.streams.stop_sending(stream_id, 1)
        stop = server.packet()
        client.streams.write(stream_id, bytes(500), is_fin=end == "FIN")
        late = [client.packet(), client.packet()]
        for packet in late:
            assert packet is not None
            if end != "RESET_STREAM":
                server.receive(packet)
                packet.acked()
        assert stop is not None
        client.receive(stop)
        exchange(client, server)
    client.streams.write(other, bytes(500), is_fin=True)
    exchange(client, server)
    assert len(server.streams.read(other, 999)) == 501


def test_a_peer_that_does_not_know_reliable_resets_gets_none() -> None:
    client, _ = pair()
    unknowing = End(Configuration(), is_client=True)
    with pytest.raises(LocalError, match="does not know RESET_STREAM_AT"):
        unknowing.streams.reset(unknowing.streams.open(True), 1, reliable_bytes=1)
    with pytest.raises(LocalError, match="62 bits"):
        client.streams.reset(client.streams.open(True), 1 << 62)
    with pytest.raises(LocalError, match="62 bits"):
        client.streams.stop_sending(client.streams.open(False), -1)


def test_a_reset_after_everything_arrived_is_nothing_that_counts() -> None:
    _, server = pair()
    server.streams.handle_stream(2, 0, memoryview(b"abc"), True, 0)
    server.streams.handle_reset(2, 1, 3, 0)
    stream = server.streams.receiver(2)
    assert stream is not None
    assert stream.state is ReceiveState.DATA_RECVD  # RFC 9000 3.2 leaves the choice
    assert server.streams.read(2, 9) == b"abc"
    assert StreamReset(2, 1) not in server.taken()


def test_a_stream_that_the_peer_may_not_see_yet_is_reset_and_stopped_when_it_may() -> None:
    client, server = pair(Configuration(max_streams_bidi=1))
    first, second = client.streams.open(False), client.streams.open(False)
    client.streams.write(first, b"", is_fin=True)
    client.streams.write(second, b"x")
    client.streams.reset(second, 3)
    client.streams.stop_sending(second, 4)
    exchange(client, server)
    assert StreamOpened(second) not in server.taken()
    server.streams.read(first, 1)
    server.streams.write(first, b"", is_fin=True)
    exchange(client, server)
    assert server.taken() == [StreamOpened(second), StreamReset(second, 3), StopSending(second, 4)]
