"""The pump of connections by itself; what it carries is tested with the protocols that use it."""

from __future__ import annotations

from collections.abc import Sequence

from transports.clock import VirtualClock
from transports.datagram import Address
from transports.memory_stream import MemoryStream, memory_stream_pair
from transports.stream import StreamCore
from transports.stream_pump import StreamPump


class EndingCore(StreamCore):
    """One end of a connection, which is over when it says so."""

    is_finished = False
    is_over = False

    def receive_views(self) -> Sequence[memoryview]:
        return [memoryview(bytearray(16))]

    def poll_output(self) -> Sequence[bytes]:
        return ()


class Endpoint:
    """One connection that somebody made."""

    def __init__(self) -> None:
        self.core = EndingCore()
        self.active: list[StreamCore] = []

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        return ()

    def handle_accepted(self, remote: Address, now: int) -> StreamCore | None:
        return self.core

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        active, self.active = self.active, []
        return active

    def handle_timeout(self, now: int) -> None:
        """There is no time."""

    def poll_deadline(self) -> int | None:
        return None


class Network:
    """Whatever connection it is given."""

    def __init__(self, arriving: MemoryStream) -> None:
        self.arriving: list[MemoryStream] = [arriving]

    def connect(self, address: Address) -> MemoryStream:
        raise NotImplementedError

    def accept(self) -> MemoryStream | None:
        return self.arriving.pop() if self.arriving else None

    def watch(self, transport: object, *, reading: bool, writing: bool) -> None:
        """Nobody waits."""

    def forget(self, transport: object) -> None:
        """Nobody waits."""

    def poll(self) -> Sequence[MemoryStream]:
        return ()


class Counting:
    """A service that counts what it sees."""

    def __init__(self, pump_sees: list[int]) -> None:
        self.seen = pump_sees
        self.pumping: StreamPump | None = None

    def pump(self, now: int) -> bool:
        assert self.pumping is not None
        self.seen.append(self.pumping.connection_count)
        return False


def test_services_see_that_a_connection_was_closed() -> None:
    seen: list[int] = []
    near, _ = memory_stream_pair()
    endpoint, service = Endpoint(), Counting(seen)
    pump = service.pumping = StreamPump(endpoint, Network(near), VirtualClock(), [service])
    pump.pump()
    assert (pump.has_more, seen) == (False, [1])
    endpoint.core.is_over = True
    endpoint.active = [endpoint.core]
    pump.pump()
    assert (pump.has_more, seen) == (True, [1, 1])
    pump.pump()
    assert (pump.has_more, seen) == (False, [1, 1, 0])
