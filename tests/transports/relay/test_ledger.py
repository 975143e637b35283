"""The record of a link: every packet that left it, and its queues at intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from transports.clock import VirtualClock
from transports.errors import TransportError
from transports.link.packet import Sink
from transports.relay import Direction, DirectionConfig, Relay, RelayPacket
from transports.relay.ledger import Ledger, read_ledger

MS = 1_000_000


def nowhere(_: RelayPacket) -> None:
    """The end of the way."""


def put(way: Direction, flow: int) -> None:
    route: tuple[Sink, ...] = (*way.elements, nowhere)  # type: ignore[arg-type]
    RelayPacket(b"", 1000, route, flow, 0).forward()


def recorded(path: Path) -> None:
    """Two packets of flow 7 and one of flow 8 at once into 8 Mbit/s with room for two, 5 ms of wire; one back."""
    relay = Relay(clock=VirtualClock(123))
    forward = Direction(relay.timeline, DirectionConfig(rate="8mbit", delay="5ms", limit="1packet"))
    back = Direction(relay.timeline, DirectionConfig(delay="2ms"))
    ledger = Ledger(relay, 10 * MS, lambda packet, _: f"flow {packet.flow}")
    ledger.watch(forward, back)
    for flow in (7, 7, 8):
        put(forward, flow)
    put(back, 7)
    relay.timeline.run(15 * MS)
    ledger.write(path)
    relay.close()


def test_packets_and_queues_come_back_as_they_were(tmp_path: Path) -> None:
    recorded(tmp_path / "ledger")
    found = read_ledger(tmp_path / "ledger")
    assert (found.epoch_ns, found.flows) == (123, (("back", "flow 7"), ("forward", "flow 7")))
    # 1,000 bytes at 8 Mbit/s are 1 ms; the third packet finds one being sent and one waiting, which is the room.
    rows = list(zip(*(found.packets[name] for name in ("time_ns", "flow", "size_bytes", "delay_ns")), strict=True))
    assert rows == [(2 * MS, 0, 1000, 2 * MS), (6 * MS, 1, 1000, 6 * MS), (7 * MS, 1, 1000, 7 * MS)]
    looks = [
        (time_ns, sent, dropped)
        for time_ns, way, sent, dropped in zip(
            *(found.queues[name] for name in ("time_ns", "way", "sent_packets", "dropped_packets")), strict=True
        )
        if way == 0
    ]
    assert looks == [(0, 0, 0), (10 * MS, 2, 1), (15 * MS, 2, 1)]


@pytest.mark.parametrize("keep", [0, 10, -8])
def test_half_a_record_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "ledger"
    recorded(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TransportError, match="holds no whole record of a link"):
        read_ledger(path)
