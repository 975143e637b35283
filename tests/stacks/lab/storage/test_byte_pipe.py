"""Bytes through a model flow: all of them, once, in order, whatever is lost."""

from __future__ import annotations

import random

import pytest

from stacks.congestion import Delivery, Flow, controller_factory
from stacks.lab.storage.byte_pipe import BytePipe
from stacks.model import Receiver, Sender
from transports.link import Delay, LinkPacket
from transports.timeline import Timeline

STREAM = bytes(index * 31 >> 2 & 0xFF for index in range(200_000))


def pipe_of(timeline: Timeline, rng: random.Random, loss: float, capacity_bytes: int = 50_000) -> BytePipe:
    wire = Delay(timeline, 1_000_000)

    def lossy(packet: LinkPacket) -> None:
        if rng.random() >= loss:
            wire.put(packet)

    flow = Flow(
        line_rate_bps=10**9, packet_bytes=1500, rng=random.Random(1), delivery=Delivery(15_000), base_rtt_ns=2_000_000
    )
    return BytePipe(
        timeline,
        Sender(controller_factory("reno"), flow, overhead_bytes=52),
        Receiver(),
        forward=[lossy],
        backward=[lossy],
        number=0,
        capacity_bytes=capacity_bytes,
    )


@pytest.mark.parametrize("seed", range(6))
def test_all_bytes_arrive_once_and_in_order(seed: int) -> None:
    rng, timeline = random.Random(seed), Timeline()
    pipe = pipe_of(timeline, rng, 0.05 if seed else 0.0)
    pipe.open()
    written, got = 0, bytearray()
    while len(got) < len(STREAM):
        size = 1 + int(rng.random() * 9000)
        taken = pipe.put([STREAM[written : written + size], memoryview(STREAM)[written + size : written + size + 10]])
        written += taken
        assert pipe.room_bytes >= 0
        timeline.run(timeline.now + 500_000)
        views = [memoryview(bytearray(int(rng.random() * 5000))) for _ in range(2)]
        count = pipe.take(views)
        got += b"".join(views)[:count] if count == sum(map(len, views)) else (bytes(views[0]) + bytes(views[1]))[:count]
        assert got == STREAM[: len(got)]
        assert timeline.now < 60_000_000_000
    assert pipe.is_drained


def test_no_more_is_taken_than_there_is_room_for_and_nothing_leaves_before_the_connection_is_open() -> None:
    timeline = Timeline()
    pipe = pipe_of(timeline, random.Random(0), 0.0, capacity_bytes=5000)
    assert pipe.put([STREAM[:3000], STREAM[3000:9000]]) == 5000
    assert pipe.put([b"x"]) == 0
    timeline.run(10_000_000)
    assert pipe.readable_bytes == 0
    pipe.open()
    timeline.run(20_000_000)
    assert pipe.readable_bytes == 5000
    assert pipe.room_bytes == 5000
