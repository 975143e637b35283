"""TCP on a timeline, for stream endpoints: connections of two pipes each, and a host that pumps an endpoint.

A connection opens one round trip after it is asked for, as behind a SYN and its answer; neither those nor a FIN are
packets of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.lab.storage.byte_pipe import BytePipe
from transports.datagram import Address, Buffer
from transports.errors import TransportError
from transports.pump import Service
from transports.stream import StreamEndpoint, StreamTransport
from transports.stream_pump import StreamPump
from transports.timeline import NEVER, Timeline

MakePipes = Callable[[], tuple[BytePipe, BytePipe]]


class ModelStream:
    """One end of a connection: a `StreamTransport` for a pump."""

    failure = ""

    def __init__(self, outgoing: BytePipe, incoming: BytePipe, *, local: Address, remote: Address) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self.local = local
        self.remote = remote
        self.is_finished = False
        self.peer: ModelStream = self

    @property
    def is_readable(self) -> bool:
        """Whether bytes or the end are there."""
        return bool(self.incoming.readable_bytes) or self._is_at_end

    @property
    def _is_at_end(self) -> bool:
        return self.peer.is_finished and self.incoming.is_drained

    def send(self, views: Sequence[Buffer]) -> int:
        """As of `StreamTransport`."""
        return self.outgoing.put(views)

    def receive_into(self, views: Sequence[memoryview]) -> int | None:
        """As of `StreamTransport`."""
        return self.incoming.take(views) or (0 if self._is_at_end else None)

    def finish(self) -> None:
        """As of `StreamTransport`."""
        self.is_finished = True
        if self.outgoing.on_delivered is not None:
            self.outgoing.on_delivered()

    close = abort = finish

    async def wait_readable(self) -> None:
        """TransportError: nobody waits in virtual time."""
        raise TransportError("virtual time does not wait")

    async def wait_writable(self) -> None:
        """TransportError: nobody waits in virtual time."""
        raise TransportError("virtual time does not wait")


class ModelStreams:
    """The `StreamNetwork` of one of two hosts. arrivals: connections that wait to be accepted."""

    def __init__(self, timeline: Timeline, address: Address, make_pipes: MakePipes, *, rtt_ns: int) -> None:
        self.arrivals: list[ModelStream] = []
        self.host: StreamHost
        self.peer: ModelStreams
        self.pipes: list[tuple[BytePipe, BytePipe]] = []
        self._timeline = timeline
        self._address = address
        self._make_pipes = make_pipes
        self._rtt_ns = rtt_ns
        self._watched: dict[StreamTransport, tuple[bool, bool]] = {}

    def connect(self, address: Address) -> ModelStream:
        """As of `StreamNetwork`."""
        there, back = self._make_pipes()
        self.pipes.append((there, back))
        near = ModelStream(there, back, local=self._address, remote=address)
        far = ModelStream(back, there, local=address, remote=self._address)
        near.peer, far.peer = far, near
        near_wake, far_wake = self.host.wake, self.peer.host.wake
        there.on_delivered, back.on_delivered = far_wake, near_wake
        there.on_room, back.on_room = near_wake, far_wake
        self._timeline.at(self._timeline.now + self._rtt_ns, self._opened, (near, far))
        return near

    def accept(self) -> ModelStream | None:
        """As of `StreamNetwork`."""
        return self.arrivals.pop(0) if self.arrivals else None

    def watch(self, transport: StreamTransport, *, reading: bool, writing: bool) -> None:
        """As of `StreamNetwork`."""
        self._watched[transport] = reading, writing

    def forget(self, transport: StreamTransport) -> None:
        """As of `StreamNetwork`."""
        self._watched.pop(transport, None)

    def poll(self) -> Sequence[StreamTransport]:
        """As of `StreamNetwork`."""
        watched = self._watched.items()
        return [each for each, wanted in watched if isinstance(each, ModelStream) and _is_ready(each, wanted)]

    def close(self) -> None:
        """Nothing is held."""

    def _opened(self, ends: tuple[ModelStream, ModelStream]) -> None:
        near, far = ends
        self.peer.arrivals.append(far)
        self.peer.host.wake()
        near.outgoing.open()
        near.incoming.open()


class StreamHost:
    """An endpoint and its pump on a timeline; services run with it. on_input: called after each pass."""

    def __init__(
        self,
        timeline: Timeline,
        endpoint: StreamEndpoint,
        network: ModelStreams,
        services: Sequence[Service],
        *,
        on_input: Callable[[], object],
    ) -> None:
        self._timeline = timeline
        self._pump = StreamPump(endpoint, network, _TimelineClock(timeline), services)
        self._on_input = on_input
        self._timer = timeline.timer(self._turn)
        network.host = self

    def wake(self) -> None:
        """Make a pass in this instant, after what is going on now."""
        if self._timer.due_ns > self._timeline.now:
            self._timer.arm(self._timeline.now)

    def _turn(self) -> None:
        self._pump.pump()
        self._on_input()
        while self._pump.pump():  # what the program submitted leaves at once, whatever else happens
            self._on_input()
        due_ns = self._timeline.now if self._pump.has_more else self._pump.deadline_ns
        self._timer.arm(NEVER if due_ns is None else max(due_ns, self._timeline.now))


class _TimelineClock:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def now(self) -> int:
        return self._timeline.now


def _is_ready(stream: ModelStream, wanted: tuple[bool, bool]) -> bool:
    reading, writing = wanted
    return (reading and stream.is_readable) or (writing and stream.outgoing.room_bytes > 0)
