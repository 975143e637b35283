"""A relay in virtual time, between transports that tests fill and empty by hand."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence

from transports.clock import VirtualClock
from transports.datagram import Address, Buffer, Burst, Transmit
from transports.relay import Direction, DirectionConfig, Punctuality, Relay
from transports.relay.relay import End
from transports.segments import payloads


class Carrier:
    """What both fakes have: a file descriptor, and room that can run out."""

    def __init__(self) -> None:
        self._file = os.eventfd(0)
        self.has_room = True

    def fileno(self) -> int:
        return self._file

    async def wait_readable(self) -> None:
        raise NotImplementedError

    async def wait_writable(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


class FakeDatagrams(Carrier):
    """A datagram transport. sent: source and payload of each datagram that left; transmits: as they were asked for."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        self.sent: list[tuple[Address, bytes, int]] = []
        self.transmits = 0
        self.arrived: deque[Burst] = deque()

    def arrive(self, source: Address, *datagrams: bytes, ecn: int = 0) -> None:
        whole = b"".join(datagrams)
        self.arrived.append(Burst(memoryview(whole), len(datagrams[0]), source, self.address, ecn))

    def send(self, transmit: Transmit) -> bool:
        if not self.has_room:
            return False
        self.transmits += 1
        self.sent += [(transmit.destination, payload, transmit.ecn) for payload in payloads(transmit)]
        return True

    def receive(self) -> Burst | None:
        return self.arrived.popleft() if self.arrived else None


class FakeFrames(Carrier):
    """A frame transport. sent: frames that left."""

    def __init__(self) -> None:
        super().__init__()
        self.frame_limit_bytes = 1514
        self.sent: list[bytes] = []
        self.arrived: deque[bytes] = deque()

    def send(self, views: Sequence[Buffer]) -> bool:
        if self.has_room:
            self.sent.append(b"".join(views))
        return self.has_room

    def receive(self) -> memoryview | None:
        return memoryview(self.arrived.popleft()) if self.arrived else None


class Rig:
    """A relay on a clock that the test moves, with two directions."""

    def __init__(self, there: DirectionConfig, back: DirectionConfig | None = None) -> None:
        self.clock = VirtualClock(1_000_000)
        self.relay = Relay(clock=self.clock, punctuality=Punctuality())
        self.forward = Direction(self.relay.timeline, there, seed=1)
        self.back = Direction(self.relay.timeline, back or there, seed=2)

    def pump(self, *ready: End, after_ns: int = 0) -> bool:
        """A pass `after_ns` from now, with nothing unread before it."""
        self.relay.looked_ns = self.relay.now()
        self.clock.advance(after_ns)
        return self.relay.pump(ready)


MS = 1_000_000
