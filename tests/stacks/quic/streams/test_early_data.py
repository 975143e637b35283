"""Streams in 0-RTT: remembered limits, and a server that read nothing of it (RFC 9000 7.4.1, RFC 9001 4.6.2)."""

from __future__ import annotations

from stacks.quic.configuration import Configuration
from tests.stacks.quic.streams.ends import End, Packet, exchange, parameters_of, receive
from wire.quic.frames import DataBlocked, ResetStream, StopSending

REMEMBERED = Configuration(stream_window_bytes=500, connection_window_bytes=800, max_streams_uni=2)


def early_client() -> End:
    return End(Configuration(), is_client=True, peer=REMEMBERED)


def flight(client: End) -> list[Packet]:
    packets: list[Packet] = []
    while (packet := client.packet()) is not None:
        packets.append(packet)
    return packets


def test_remembered_limits_bound_early_data_and_true_ones_only_raise_them() -> None:
    client = early_client()
    ids = [client.streams.open(True) for _ in range(3)]
    for stream_id in ids:
        client.streams.write(stream_id, bytes(600))
    flight(client)
    assert client.streams.sent_bytes == 800
    assert [client.streams.unsent_bytes(stream_id) for stream_id in ids] == [100, 300, 600]
    larger = Configuration(stream_window_bytes=600, connection_window_bytes=10_000, max_streams_uni=3)
    client.streams.apply_peer_parameters(parameters_of(larger))
    flight(client)
    assert [client.streams.unsent_bytes(stream_id) for stream_id in ids] == [0, 0, 0]


def test_rejected_early_data_is_sent_from_the_start_within_the_true_limits() -> None:
    client = early_client()
    one, two = client.streams.open(True), client.streams.open(True)
    client.streams.write(one, bytes(range(200)) * 2, is_fin=True)
    client.streams.write(two, b"second" * 100, is_fin=True)
    sent = flight(client)
    assert client.streams.unsent_bytes(two) == 200  # the connection's credit is used up, and the stream is waiting
    smaller = Configuration(stream_window_bytes=300, connection_window_bytes=350, max_streams_uni=1)
    client.streams.apply_peer_parameters(parameters_of(smaller))
    client.streams.early_data_rejected()
    for packet in sent:
        packet.lost()  # recovery tells that, too: it must not count twice
    server = End(smaller, is_client=False, peer=Configuration())
    exchange(client, server)
    assert client.streams.sent_bytes == 300
    assert server.streams.receiver(two) is None
    assert server.streams.read(one, 1000) == (bytes(range(200)) * 2)[:300]
    exchange(client, server)
    assert server.streams.read(one, 1000) == (bytes(range(200)) * 2)[300:]
    assert server.streams.is_finished(one)
    exchange(client, server)
    second = b""
    for _ in range(4):
        second += server.streams.read(two, 1000)
        exchange(client, server)
    assert second == b"second" * 100


def test_a_reset_and_a_stop_in_rejected_early_data_are_said_again() -> None:
    client = early_client()
    stream_id = client.streams.open(False)
    client.streams.write(stream_id, b"early")
    flight(client)
    client.streams.reset(stream_id, 3)
    client.streams.stop_sending(stream_id, 4)
    sent = flight(client)
    client.streams.apply_peer_parameters(parameters_of(REMEMBERED))
    client.streams.early_data_rejected()
    for packet in sent:
        packet.lost()
    packet = client.packet(300, pad=0)
    assert packet is not None
    # Of the stream nothing was sent any more: its final size is 0.
    assert sorted((ResetStream(stream_id, 3, 0).encode(), StopSending(stream_id, 4).encode())) == sorted(
        (packet.payload[:4], packet.payload[4:])
    )


def test_a_limit_that_was_in_the_way_of_early_data_may_be_again() -> None:
    client = early_client()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(400))
    other = client.streams.open(True)
    client.streams.write(other, bytes(450))
    server = End(REMEMBERED, is_client=False)
    early = [frame for packet in flight(client) for frame in receive(server.streams, packet.payload)]
    assert early.count(DataBlocked.TYPE) == 1
    client.streams.apply_peer_parameters(parameters_of(REMEMBERED))
    client.streams.early_data_rejected()
    again = [frame for packet in flight(client) for frame in receive(server.streams, packet.payload)]
    assert again.count(DataBlocked.TYPE) == 1
