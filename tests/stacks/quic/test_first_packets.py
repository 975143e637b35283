"""A client's first packets: damaged ones leave no trace, and every probe says what the first said."""

from __future__ import annotations

import random

import pytest
from aioquic.quic.crypto import CryptoPair

from interop.quic.dissect.frames import CRYPTO, read_frames
from stacks.quic.endpoint import Endpoint
from tests.stacks.quic.rig import CLIENT, SERVER, client_configuration, server_configuration
from transports.datagram import Burst
from wire.quic.packet import KIND_INITIAL, KIND_VERSION_NEGOTIATION, decode_header


def said(endpoint: Endpoint, now: int) -> list[bytes]:
    """The datagrams that it wants to send."""
    found = []
    while (transmit := endpoint.poll_transmit(now)) is not None:
        data = b"".join(bytes(view) for view in transmit.views)
        step = transmit.segment_bytes or len(data)
        found += [data[start : start + step] for start in range(0, len(data), step)]
        endpoint.sent(transmit)
    return found


def first_datagram() -> bytes:
    client = Endpoint(CLIENT, rng=random.Random(1))
    client.connect(SERVER, client_configuration(), 0)
    (datagram,) = said(client, 0)
    return datagram


def hear(server: Endpoint, datagram: bytes, now: int) -> None:
    server.handle_burst(Burst(memoryview(bytearray(datagram)), len(datagram), CLIENT, SERVER), now)


@pytest.mark.parametrize("place", range(51))
def test_a_damaged_first_packet_does_not_keep_the_genuine_one_from_being_answered(place: int) -> None:
    # RFC 9000 7.2: what a server takes from an Initial packet, it takes from one that it could open.
    genuine = first_datagram()
    damaged = bytearray(genuine)
    damaged[place] ^= 0x35
    server = Endpoint(SERVER, rng=random.Random(2), server=server_configuration())
    hear(server, bytes(damaged), 0)
    answers = [decode_header(each, 0, len(each), 8) for each in said(server, 0)]
    assert all(answer.kind == KIND_VERSION_NEGOTIATION for answer in answers)
    assert not server.connections
    assert server.poll_accepted() is None
    hear(server, genuine, 1)
    kinds = {(each.kind, each.destination_cid) for each in (decode_header(x, 0, len(x), 8) for x in said(server, 1))}
    assert (KIND_INITIAL, decode_header(genuine, 0, len(genuine), 8).source_cid) in kinds
    assert len(server.connections) == 1
    assert server.counters.connections_accepted == 1


def test_every_probe_of_a_client_that_hears_nothing_has_its_client_hello() -> None:
    # RFC 9000 17.2.2: the first packet that a server sees of a client has a CRYPTO frame; any of these may be it.
    client = Endpoint(CLIENT, rng=random.Random(1))
    client.connect(SERVER, client_configuration(), 0)
    (first,) = said(client, 0)
    pair = CryptoPair()
    pair.setup_initial(cid=decode_header(first, 0, len(first), 0).destination_cid, is_client=False, version=1)
    probes = []
    for _ in range(4):
        now = client.poll_deadline()
        assert now is not None
        client.handle_timeout(now)
        probes += said(client, now)
    assert len(probes) == 8
    hellos = set()
    for number, datagram in enumerate([first, *probes]):
        header = decode_header(datagram, 0, len(datagram), 0)
        _, payload, _ = pair.decrypt_packet(datagram[: header.end], header.number_offset, number)
        (hello,) = (frame for frame in read_frames(payload) if frame.kind == CRYPTO)
        hellos.add((hello.numbers, hello.data))
    assert len(hellos) == 1
