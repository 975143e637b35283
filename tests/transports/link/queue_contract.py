"""Disciplines for the suite that holds for all of them, and a watcher that sees everything that a queue does."""

from __future__ import annotations

import random
from collections.abc import Sequence

from transports.link import ECN_CE, ECN_NOT_ECT, LinkPacket, Queue, StrictPriority, make_queue, read_queue
from transports.link.bounded import BoundedQueue

RATE_BPS = 10_000_000
# Small, so that random operations reach every branch.
QUEUES = {
    "droptail": "droptail:limit_packets=7",
    "droptail, bytes": "droptail:limit_bytes=4000",
    "droptail, time": "droptail:5ms",
    "droptail, all": "droptail:limit=5ms,limit_packets=6,limit_bytes=5000",
    "droptail, no limit": "droptail:limit_packets=0",
    "drophead": "drophead:limit_packets=5",
    "drophead, bytes": "drophead:limit_bytes=4000",
    "drophead, time": "drophead:4ms",
    "red": "red:min=1,max=4,weight=0.3,limit=9",
    "red, classic": "red:min=1kB,max=3kB,weight=0.5,gentle=no,hard=yes,limit=6kB",
    "red, drops": "red:min=1,max=3,weight=0.5,ecn=no",
    "step": "step:threshold=2,limit=8",
    "step, bytes": "step:threshold=3kB,strict=yes,limit=8",
    "step, time": "step:threshold=1ms,strict=yes,limit=20kB",
    "ramp": "ramp:kmin=1kB,kmax=6kB,pmax=50%,limit=9kB",
    "ramp, strict": "ramp:kmin=1kB,kmax=6kB,pmax=50%,strict=yes,limit=9kB",
    "codel": "codel:target=1ms,interval=4ms,limit=12",
    "codel, drops": "codel:target=1ms,interval=4ms,ecn=no,limit=30kB",
    "fq_codel": "fq_codel:target=1ms,interval=4ms,limit=40,quantum=700",
    "fq_codel, shared": "fq_codel:target=1ms,interval=4ms,ecn=no,flows=2,limit=8kB,batch=2",
    "fq_codel, plain": "fq_codel:target=1ms,interval=4ms,hashed=no,limit=30ms",
    "pie": "pie:target=1ms,update=1ms,alpha=100,beta=200,burst=0,mark_below=80%,limit=20",
    "pie, at random": "pie:target=1ms,update=1ms,alpha=100,beta=200,burst=2ms,derandomized=no,ecn=no,packet=100",
    "dualpi2": "dualpi2:target=1ms,update=1ms,alpha=50,beta=100,limit=20",
    "dualpi2, no overload": "dualpi2:target=1ms,update=1ms,alpha=50,beta=100,overload=no,range=0,ecn=no,limit=12",
    "priority": "priority:queues=droptail:limit=3|codel:target=1ms|pie:target=1ms",
}


class Outlet:
    """A port with a rate and nothing else."""

    class rate:  # noqa: N801  # an attribute of the port
        rate_bps = RATE_BPS


def build(text: str, seed: int = 1) -> Queue:
    queue = make_queue(read_queue(text), random.Random(seed))
    queue.attach(Outlet())
    return queue


class Watcher:
    """Puts packets into a queue and takes them out, and sees after each step that all of them are accounted for.

    Flow n has ECN field n modulo 4 and priority n modulo 3. log: everything that happened. is_checking: False for
    tests of one discipline, which need many steps.
    """

    def __init__(self, queue: Queue, *, is_checking: bool = True) -> None:
        self.queue = queue
        self.is_checking = is_checking
        self.now = 0
        self.entered: list[LinkPacket] = []
        self.left: list[LinkPacket] = []
        self.dropped: list[LinkPacket] = []
        self.log: list[tuple[object, ...]] = []
        self._fields: list[int] = []
        queue.on_drop = self._dropped

    def put(self, size_bytes: int, flow: int) -> None:
        packet = LinkPacket(size_bytes, (), flow=flow, ecn=flow % 4, payload=len(self.entered))
        packet.priority = flow % 3
        self.entered.append(packet)
        self._fields.append(packet.ecn)
        drops = len(self.dropped)
        is_taken = self.queue.enqueue(packet, self.now)
        assert is_taken or packet in self.dropped[drops:]
        assert packet.enqueued_ns == self.now or not is_taken
        self.log.append(("put", self.now, is_taken))
        self.check()

    def take(self) -> LinkPacket | None:
        packet = self.queue.dequeue(self.now)
        if packet is None:
            assert self.queue.backlog_packets == 0
        else:
            self.left.append(packet)
            self.log.append(("left", self.now, packet.payload, packet.ecn))
        self.check()
        return packet

    def drain(self) -> None:
        while self.take() is not None:
            pass
        assert (self.queue.backlog_packets, self.queue.backlog_bytes) == (0, 0)
        numbers = sorted(packet.payload for packet in self.left + self.dropped)
        assert numbers == list(range(len(self.entered)))

    def check(self) -> None:
        if not self.is_checking:
            return
        queue = self.queue
        assert queue.backlog_packets == len(self.entered) - len(self.left) - len(self.dropped) >= 0
        assert queue.backlog_bytes == _sum(self.entered) - _sum(self.left) - _sum(self.dropped) >= 0
        assert (queue.dropped_packets, queue.dropped_bytes) == (len(self.dropped), _sum(self.dropped))
        changed = [(was, packet.ecn) for was, packet in zip(self._fields, self.entered, strict=True)]
        marks = [pair for pair in changed if pair[0] != pair[1]]
        assert all(was != ECN_NOT_ECT and now == ECN_CE for was, now in marks)
        assert queue.marked_packets == len(marks)
        for each in queue.queues if isinstance(queue, StrictPriority) else (queue,):
            assert isinstance(each, BoundedQueue)
            check_limits(each)

    def check_order(self) -> None:
        """First in, first out, within each flow."""
        for flow in {packet.flow for packet in self.entered}:
            numbers = [packet.payload for packet in self.left if packet.flow == flow]
            assert numbers == sorted(numbers)

    def _dropped(self, packet: LinkPacket) -> None:
        self.dropped.append(packet)
        self.log.append(("dropped", self.now, packet.payload))


def check_limits(queue: BoundedQueue) -> None:
    limits = queue.limits
    assert queue.backlog_packets <= (limits.packets or 1 << 60)
    assert queue.backlog_bytes <= (limits.size_bytes or 1 << 60)
    if limits.time_ns and queue.backlog_packets > 1:
        assert queue.backlog_bytes * 8 * 1_000_000_000 <= limits.time_ns * RATE_BPS


def _sum(packets: Sequence[LinkPacket]) -> int:
    return sum(packet.size_bytes for packet in packets)
