"""FQ-CoDel, RFC 8290: equal bytes, sparse flows in front, and a full queue that takes from whoever has most."""

from __future__ import annotations

import random

import pytest

from tests.transports.link.queue_contract import Watcher, build
from tests.transports.link.rig import Collector
from transports.errors import TransportError
from transports.link import ConstantRate, FqCodel, LinkPacket, Port
from transports.timeline import Timeline

MS = 1_000_000
QUANTUM = 1514


def watch(text: str) -> tuple[Watcher, FqCodel]:
    queue = build(text)
    assert isinstance(queue, FqCodel)
    return Watcher(queue, is_checking=False), queue


def test_flows_get_equal_shares_of_bytes_whatever_the_sizes_of_their_packets() -> None:
    """Deficit round robin: no two backlogged flows are ever further apart than a quantum and two packets."""
    watcher, _ = watch("fq_codel:hashed=no,limit_packets=0")
    sizes = {0: 1500, 1: 300, 2: 64, 3: 1000}
    for flow, size_bytes in sizes.items():
        for _ in range(600_000 // size_bytes):
            watcher.put(size_bytes, flow)
    sent = dict.fromkeys(sizes, 0)
    for _ in range(4000):
        packet = watcher.take()
        assert packet is not None
        sent[packet.flow] += packet.size_bytes
        assert max(sent.values()) - min(sent.values()) <= QUANTUM + 2 * 1500
    assert min(sent.values()) > 100_000


def test_a_sparse_flow_waits_for_no_more_than_the_packet_that_is_being_sent() -> None:
    """Section 4.2: with 20 flows that fill the queue, a packet now and then goes to the front."""
    timeline = Timeline()
    # CoDel is to leave the lines of the twenty alone, or some of them would be empty and new, too.
    queue = build("fq_codel:hashed=no,target=100s,interval=100s,limit_packets=0")
    port, collector = Port(timeline, queue, ConstantRate(10_000_000)), Collector(timeline)
    route = (port.put, collector.put)

    def refill(_: None) -> None:
        for number in range(40):
            LinkPacket(1500, route, flow=number % 20).forward()
        timeline.at(timeline.now + 20 * MS, refill)

    sent: list[int] = []

    def sparse(_: None) -> None:
        sent.append(timeline.now)
        LinkPacket(200, route, flow=77).forward()
        timeline.at(timeline.now + 57 * MS, sparse)  # more than a round of the twenty, 24 to 48 ms

    timeline.at(0, refill)
    timeline.at(500 * MS, sparse)
    timeline.run(5000 * MS)
    arrived = [(now, packet) for now, packet in collector.arrivals if packet.flow == 77]
    delays = [now - began for (now, _), began in zip(arrived, sent, strict=False)]
    # 1.2 ms for the packet in front, 0.16 ms for itself.
    assert len(delays) > 70
    assert max(delays) <= 1_360_000
    others = [now - packet.enqueued_ns for now, packet in collector.arrivals[200:] if packet.flow < 20]
    assert min(others) > 20 * MS


def test_a_flow_that_empties_its_line_again_and_again_cannot_starve_others() -> None:
    """Section 4.2: an empty new line goes behind the old ones first."""
    watcher, _ = watch("fq_codel:hashed=no")
    for _ in range(100):
        watcher.put(1500, 0)
    watcher.put(1500, 1)
    for _ in range(100):
        packet = watcher.take()
        assert packet is not None
        if packet.flow == 1:
            watcher.put(1500, 1)  # only ever one packet
    shares = [sum(packet.flow == flow for packet in watcher.left) for flow in (0, 1)]
    assert abs(shares[0] - shares[1]) <= 2


def test_a_full_queue_drops_half_of_the_longest_line_from_its_head() -> None:
    watcher, queue = watch("fq_codel:hashed=no,limit=100")
    for _ in range(70):
        watcher.put(100, 4)
    for _ in range(30):
        watcher.put(1500, 8)
    assert not watcher.dropped
    watcher.put(100, 4)
    # Flow 8 has fewer packets and more bytes.
    assert [packet.payload for packet in watcher.dropped] == list(range(70, 85))
    assert queue.backlog_packets == 86


@pytest.mark.parametrize(("limit", "dropped"), [(100, 50), (200, 64)])
def test_but_no_more_than_a_batch(limit: int, dropped: int) -> None:
    watcher, _ = watch(f"fq_codel:limit={limit}")
    for _ in range(limit + 1):
        watcher.put(1500, 0)
    assert len(watcher.dropped) == dropped


def test_each_line_is_under_codel_for_itself() -> None:
    """A flow that is too fast has drops, one that is not has none."""
    watcher, _ = watch("fq_codel:hashed=no,target=5ms,interval=100ms")
    for step in range(3000):
        watcher.now = step * MS
        watcher.put(1000, 0)
        if step % 4 == 0:
            watcher.put(1000, 4)
            watcher.take()
            watcher.take()
    assert sum(packet.flow == 0 for packet in watcher.dropped) > 20
    assert not any(packet.flow == 4 for packet in watcher.dropped)


def test_hashing_spreads_flows_and_depends_on_the_seed() -> None:
    queues = [FqCodel(rng=random.Random(seed)) for seed in (1, 1, 2)]
    shared = []
    for queue in queues:
        lines = [queue.line_of(flow) for flow in range(1024)]
        shared.append([lines.index(line) for line in lines])
        # 1024 into 1024 at random: a line is empty with probability 1/e.
        assert 1024 * 0.58 < len({id(line) for line in lines}) < 1024 * 0.69
    assert shared[0] == shared[1] != shared[2]


def test_a_flow_keeps_its_line() -> None:
    queue = FqCodel(rng=random.Random(5), flows=3)
    first = [queue.line_of(flow) for flow in range(100)]
    assert [queue.line_of(flow) for flow in range(100)] == first
    assert len({id(line) for line in first}) == 3


def test_without_a_hash_the_number_decides() -> None:
    queue = FqCodel(flows=8)
    assert queue.line_of(3) is queue.line_of(11) is not queue.line_of(4)


def test_what_cannot_be_is_refused() -> None:
    for name in ("flows", "quantum_bytes", "batch_packets"):
        with pytest.raises(TransportError, match=f"{name.partition('_')[0]} is at least 1, not 0"):
            FqCodel(**{name: 0})  # type: ignore[arg-type]
