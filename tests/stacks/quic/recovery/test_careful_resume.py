"""A second connection on a long path goes on from what the first one saw (RFC 9959)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stacks.congestion.path_memory import PathMemory
from stacks.quic.events import StreamReadable
from tests.stacks.quic.rig import MILLISECOND_NS, Rig, client_configuration, events_of
from transports.simulation import Impairments

SIZE = 3_000_000


def upload(rig: Rig) -> int:
    """How long so much takes, with the handshake."""
    start = rig.now
    client = rig.connect()
    stream = client.open_stream()
    client.write(stream, bytes(SIZE), is_fin=True)
    received = 0
    server = None
    while received < SIZE:
        rig.run(20 * MILLISECOND_NS)
        server = server or rig.server.poll_accepted()
        if server is not None:
            for event in events_of(server):
                if isinstance(event, StreamReadable):
                    received += len(server.read(event.stream_id))
            rig.server_host.wake()
        assert rig.now - start < 60_000 * MILLISECOND_NS
    took_ns = rig.now - start
    rig.run(2_000 * MILLISECOND_NS)
    client.close(now=rig.now)
    rig.client_host.wake()
    rig.run(5_000 * MILLISECOND_NS)
    return took_ns


@pytest.mark.slow
def test_the_second_connection_is_faster_and_the_third_as_well() -> None:
    memory = PathMemory()
    configuration = replace(client_configuration(), path_memory=memory)
    rig = Rig(impairments=Impairments(delay_ns=250 * MILLISECOND_NS, rate_bps=40_000_000), client=configuration)
    first, second, third = upload(rig), upload(rig), upload(rig)
    assert second < 0.8 * first
    assert third < 0.8 * first


@pytest.mark.slow
def test_without_a_memory_each_begins_anew() -> None:
    rig = Rig(impairments=Impairments(delay_ns=250 * MILLISECOND_NS, rate_bps=40_000_000))
    first, second = upload(rig), upload(rig)
    assert abs(first - second) < 0.05 * first
