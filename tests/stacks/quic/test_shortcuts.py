"""Runs of equal packets taken together, and packets one by one: the same datagrams at the same times, whatever happens.

What an end sends is compared by time and size, and what both ends counted, learned and delivered at the end; the bytes
differ, since the keys of two handshakes do.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest

from stacks.congestion import controller_factory
from stacks.quic.connection import Connection
from stacks.quic.connection.receiving_runs import ReceivingRuns
from stacks.quic.connection.sending_runs import SendingRuns
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import StreamReadable
from tests.stacks.quic.rig import MILLISECOND_NS, SECOND_NS, Rig, client_configuration, events_of, server_configuration
from transports.datagram import Address, Burst, Transmit
from transports.simulation import Impairments

PATHS = {
    "clean": Impairments(delay_ns=10 * MILLISECOND_NS),
    "narrow": Impairments(delay_ns=10 * MILLISECOND_NS, rate_bps=20_000_000, queue_bytes=40_000),
    "lossy": Impairments(delay_ns=10 * MILLISECOND_NS, loss=0.02),
    "reordering": Impairments(delay_ns=10 * MILLISECOND_NS, reordering=0.05, reorder_ns=3 * MILLISECOND_NS),
    "duplicating": Impairments(delay_ns=5 * MILLISECOND_NS, duplication=0.05, loss=0.005),
    "corrupting": Impairments(delay_ns=5 * MILLISECOND_NS, corruption=0.02),
}
SIZE = 400_000
PIECES = (3, 70_001, 10, 700, 20_000, 1, 2_048, 1_200, 128 << 10)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("controller", ["cubic", "bbr3", "prague"])
def test_a_download_is_the_same_with_and_without(controller: str, path: str) -> None:
    with counted() as taken:
        whole = Download(controller, PATHS[path], shortcuts=True)
    assert taken[0] > 0
    assert taken[1] > 0 or path == "narrow"  # which lets nothing arrive together
    with counted() as taken:
        single = Download(controller, PATHS[path], shortcuts=False)
    assert taken == [0, 0]
    assert whole.outcome() == single.outcome()


class Download:
    """A client gets two streams, one after the other, the second while the server's keys change."""

    def __init__(self, controller: str, impairments: Impairments, *, shortcuts: bool) -> None:
        changes: dict[str, Any] = {"shortcuts": shortcuts, "controller": controller_factory(controller)}
        self.rig = rig = Rig(
            seed=7,
            impairments=impairments,
            client=client_configuration(**changes, key_update_packets=40),
            server=server_configuration(**changes, key_update_packets=90),
        )
        self.sent = watch(rig)
        stage(rig.client)
        stage(rig.server)
        self.client, self.server = rig.establish()
        self.received: list[tuple[int, int, bytes]] = []
        for seed in (1, 2):
            stream = self.client.open_stream()
            self.client.write(stream, b"please", is_fin=True)
            rig.client_host.wake()
            rig.run(SECOND_NS // 10)
            data, at = random.Random(seed).randbytes(SIZE), 0
            for size in PIECES:  # most packets lie within one piece, some in several
                self.server.write(stream, data[at : at + size])
                at += size
            self.server.write(stream, data[at:], is_fin=True)
            rig.server_host.wake()
            self.read_until(stream)

    def read_until(self, stream: int) -> None:
        for _ in range(4000):
            self.rig.run(5 * MILLISECOND_NS)
            for event in events_of(self.client):
                if isinstance(event, StreamReadable):
                    while data := self.client.read(event.stream_id):
                        self.received.append((self.rig.now, event.stream_id, data))
            self.rig.client_host.wake()
            if self.client.streams.is_finished(stream):
                return
        raise AssertionError(f"stream {stream} did not arrive")

    def outcome(self) -> list[object]:
        delivered = b"".join(data for _, _, data in self.received)
        assert delivered == b"".join(random.Random(seed).randbytes(SIZE) for seed in (1, 2))
        moments = [(now, stream, len(data)) for now, stream, data in self.received]
        assert len(self.sent) > 20
        return [self.sent, moments, *(state_of(end) for end in (self.client, self.server))]


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """How many packets the shortcuts take meanwhile, out and in."""
    taken = [0, 0]
    extend, handle = SendingRuns.extend, ReceivingRuns.handle

    def extending(self: SendingRuns, *arguments: Any) -> int:
        count = extend(self, *arguments)
        taken[0] += count
        return count

    def handling(self: ReceivingRuns, packets: Any, index: int, *arguments: Any) -> int:
        after = handle(self, packets, index, *arguments)
        taken[1] += after - index
        return after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SendingRuns, "extend", extending)
        patch.setattr(ReceivingRuns, "handle", handling)
        yield taken


def state_of(connection: Connection) -> dict[str, object]:
    congestion = connection.path.congestion
    return {
        "counters": connection.counters.snapshot(),
        "window": congestion.controller.window_bytes,
        "variables": congestion.controller.variables(),
        "srtt": congestion.rtt.smoothed_ns,
        "delivered": congestion.delivery.delivered_bytes,
        "lost": congestion.delivery.lost_bytes,
        "in flight": congestion.delivery.inflight_bytes,
        "ecn": congestion.validation.state,
        "sent": connection.path.sent_bytes,
    }


def stage(endpoint: Endpoint) -> None:
    """Have bursts come in one buffer that is used again and again, as they do from a socket."""
    handle, staging = endpoint.handle_burst, memoryview(bytearray(1 << 16))

    def handle_burst(burst: Burst, now: int) -> None:
        length = len(burst.view)
        staging[:length] = burst.view
        segment, ends = burst.segment_bytes, (burst.source, burst.destination)
        handle(Burst(staging[:length], segment, *ends, burst.ecn, burst.received_ns, staging=staging), now)
        staging[:] = bytes(len(staging))  # nothing may be looked at any more

    endpoint.handle_burst = handle_burst  # type: ignore[method-assign]


def watch(rig: Rig) -> list[tuple[int, Address, int, int, int]]:
    """Times, senders, lengths, segments and ECN of all that is sent from now on."""
    sent: list[tuple[int, Address, int, int, int]] = []
    send = rig.network.send

    def sending(transmit: Transmit, source: Address) -> int:
        sent.append((rig.now, source, len(transmit.views[0]), transmit.segment_bytes, transmit.ecn))
        return send(transmit, source)

    rig.network.send = sending  # type: ignore[method-assign]
    return sent
