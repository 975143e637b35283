"""Connections between hosts in virtual time, with the ways in which connections fail.

    world = StreamWorld(simulation)
    target = world.attach(endpoint, "192.0.2.1", ports=[4420])    a host, pumped when something happens
    world.cut("192.0.2.1")                                        all its connections are lost, as with a process killed
    world.silence("192.0.2.1", "192.0.2.2")                       nothing arrives between them until `heal`
    world.detach(target)                                          the host is gone; who connects is refused
    world.pair(target, worker)                                    a connection that is there at once
    stream.host = worker                                          it is another host's from now on; who had it lets go
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from transports.datagram import Address
from transports.errors import TransportError
from transports.pipes import Pipe
from transports.pump import Service
from transports.simulation.events import Simulation
from transports.simulation.stream import SimulatedStream
from transports.simulation.turns import Turns
from transports.stream import StreamEndpoint, StreamTransport
from transports.stream_pump import StreamPump


class StreamWorld:
    """Hosts by address.

    delay_ns: one way, of every byte. capacity_bytes: of each direction of a connection. cuts: whether reading cuts at
    seeded places, as networks do.
    """

    def __init__(
        self, simulation: Simulation, *, delay_ns: int = 10_000, capacity_bytes: int = 1 << 18, cuts: bool = True
    ) -> None:
        self.simulation = simulation
        self._delay_ns = delay_ns
        self._capacity_bytes = capacity_bytes
        self._rng = simulation.rng if cuts else None
        self._hosts: dict[str, StreamHost] = {}
        self._silent: set[frozenset[str]] = set()
        self._held: list[tuple[frozenset[str], Callable[[], None]]] = []

    def attach(
        self, endpoint: StreamEndpoint, address: str, services: Sequence[Service] = (), *, ports: Sequence[int] = ()
    ) -> StreamHost:
        """Give `endpoint` a host that listens on `ports`. TransportError: the address is taken."""
        if address in self._hosts:
            raise TransportError(f"{address} is taken in this world")
        host = self._hosts[address] = StreamHost(self, endpoint, address, services, frozenset(ports))
        self.simulation.add_waker(host.wake)
        return host

    def detach(self, host: StreamHost) -> None:
        """Take `host` away, with its connections: a process that was killed. Its address becomes free."""
        self.cut(host.address)
        host.stop()
        del self._hosts[host.address]

    def cut(self, address: str) -> None:
        """Lose every connection of a host; both ends see that, the far one a little later."""
        for end in self._hosts[address].network.ends():
            end.lose("Connection reset by peer")
            self._after(frozenset((address, end.remote[0])), partial(end.peer.lose, "Connection reset by peer"))

    def silence(self, one: str, other: str) -> None:
        """Let nothing through between two hosts; what is sent meanwhile arrives when they are healed."""
        self._silent.add(frozenset((one, other)))

    def heal(self, one: str, other: str) -> None:
        """End a silence."""
        pair = frozenset((one, other))
        self._silent.discard(pair)
        held, self._held = self._held, []
        for each in held:
            if each[0] == pair:
                self._after(pair, each[1])
            else:
                self._held.append(each)

    def connect(self, near: StreamHost, address: Address) -> WorldStream:
        """Begin a connection; the far host hears of it one delay later, and a refusal takes two."""
        there, back = (Pipe(self._capacity_bytes, self._rng) for _ in range(2))
        near.connections_made += 1
        own = (near.address, FIRST_PORT + near.connections_made)
        calling = WorldStream(there, back, self, near, local=own, remote=address)
        called = WorldStream(back, there, self, near, local=address, remote=own)
        calling.peer, called.peer = called, calling
        pair = frozenset((near.address, address[0]))
        self._after(pair, lambda: self._arrive(calling, called, pair))
        return calling

    def pair(self, one: StreamHost, other: StreamHost) -> tuple[WorldStream, WorldStream]:
        """A connection between two hosts that is there at once, as a parent process leaves one to its child."""
        there, back = (Pipe(self._capacity_bytes, self._rng) for _ in range(2))
        near = WorldStream(there, back, self, one, local=(one.address, 0), remote=(other.address, 0))
        far = WorldStream(back, there, self, other, local=(other.address, 0), remote=(one.address, 0))
        near.peer, far.peer = far, near
        return near, far

    def _arrive(self, calling: WorldStream, called: WorldStream, pair: frozenset[str]) -> None:
        host = self._hosts.get(called.local[0])
        if host is None or called.local[1] not in host.ports:
            self._after(pair, lambda: calling.lose("Connection refused"))
            return
        called.host = host
        host.network.arrivals.append(called)
        host.wake()

    def carry(self, stream: WorldStream, arrive: Callable[[], None]) -> None:
        """Have what `stream` sent arrive."""
        self._after(frozenset((stream.local[0], stream.remote[0])), arrive)

    def _after(self, pair: frozenset[str], action: Callable[[], None]) -> None:
        def act() -> None:
            if pair in self._silent:
                self._held.append((pair, action))
            else:
                action()

        self.simulation.schedule(self.simulation.now + self._delay_ns, act)


class WorldStream(SimulatedStream):
    """One end of a connection of a world. host: whose it is; peer: the other end."""

    def __init__(
        self, outgoing: Pipe, incoming: Pipe, world: StreamWorld, host: StreamHost, *, local: Address, remote: Address
    ) -> None:
        super().__init__(outgoing, incoming, world.simulation, 0)
        self._local, self._remote = local, remote
        self._world = world
        self.host = host
        self.peer = self

    def _travel(self, arrive: Callable[[], None]) -> None:
        def arrive_and_tell() -> None:
            arrive()
            self.peer.notify()

        self._world.carry(self, arrive_and_tell)

    def _made_room(self) -> None:
        self._world.carry(self, self.peer.notify)

    def notify(self) -> None:
        """Something changed: the host looks."""
        self.host.wake()


class HostStreams:
    """The `StreamNetwork` of one host of a world. arrivals: connections that wait to be accepted."""

    def __init__(self, world: StreamWorld, host: StreamHost) -> None:
        self.arrivals: list[WorldStream] = []
        self._world = world
        self._host = host
        self._watched: dict[StreamTransport, tuple[bool, bool]] = {}

    def ends(self) -> list[WorldStream]:
        """The host's ends of its connections."""
        return [each for each in [*self._watched, *self.arrivals] if isinstance(each, WorldStream)]

    def connect(self, address: Address) -> WorldStream:
        """Begin to connect."""
        return self._world.connect(self._host, address)

    def accept(self) -> WorldStream | None:
        """The next arrival."""
        return self.arrivals.pop(0) if self.arrivals else None

    def watch(self, transport: StreamTransport, *, reading: bool, writing: bool) -> None:
        """Look for bytes or their end, and for room."""
        self._watched[transport] = (reading, writing)

    def forget(self, transport: StreamTransport) -> None:
        """Look there no more."""
        self._watched.pop(transport, None)

    def poll(self) -> Sequence[StreamTransport]:
        """Which connections have something."""
        return [transport for transport in self._watched if self._is_ready(transport)]

    def close(self) -> None:
        """Nothing is held."""

    def _is_ready(self, transport: StreamTransport) -> bool:
        assert isinstance(transport, WorldStream)
        reading, writing = self._watched[transport]
        return (reading and transport.is_readable) or (writing and transport.is_writable)


class StreamHost:
    """An endpoint in a world, pumped when something happens.

    streams: its pump. wake: make a pass now, since something was posted to the endpoint from outside. stop: no more.
    """

    def __init__(
        self,
        world: StreamWorld,
        endpoint: StreamEndpoint,
        address: str,
        services: Sequence[Service],
        ports: frozenset[int],
    ) -> None:
        self.endpoint = endpoint
        self.address = address
        self.ports = ports
        self.connections_made = 0
        self.network = HostStreams(world, self)
        self.streams = StreamPump(endpoint, self.network, world.simulation.clock, services)
        self._turns = Turns(world.simulation, self)
        self.wake = self._turns.wake
        self.stop = self._turns.stop

    @property
    def has_more(self) -> bool:
        """Whether another pass is due at once; what was left unread tells of itself, as with epoll."""
        return self.streams.has_more or bool(self.network.arrivals or self.network.poll())

    @property
    def deadline_ns(self) -> int | None:
        """When a pass is due without any input."""
        return self.streams.deadline_ns

    def pump(self) -> bool:
        """Make one pass."""
        return self.streams.pump()


FIRST_PORT = 49151
