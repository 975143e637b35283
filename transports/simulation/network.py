"""A simulated datagram network: hosts by address, and paths between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from transports.counters import DatagramStatistics
from transports.datagram import Address, Burst, DatagramCore, Transmit
from transports.errors import TransportError
from transports.impairments import ImpairedPath, Impairments
from transports.packets import Inbox, Packet, packets_of
from transports.pump import Pump, Service
from transports.simulation.events import Simulation
from transports.simulation.turns import Turns

Deliver = Callable[[Sequence[Packet]], None]
Hook = Callable[[Packet], Iterable[Packet]]
Trace = Callable[[int, str, Packet], None]


class Path(Protocol):
    """One direction between two addresses: anything that takes packets and hands them on some time later."""

    def carry(self, packets: Sequence[Packet], simulation: Simulation, deliver: Deliver) -> None:
        """Take `packets`, sent together now; schedule calls of `deliver` with those that arrive together."""


class Network:
    """Connects hosts through paths that share one set of impairments unless `set_path` says otherwise.

    impairments: of every path that was not set; each ordered pair of addresses has a path of its own.
    merges: whether equal packets that arrive together reach the core as one burst, as with UDP_GRO.
    tells_identification: whether bursts carry the IPv4 Identification, or hide it as a UDP socket does.
    merge_ns: how long a host waits for more packets after the first (interrupt moderation).
    receive_buffer_bytes: payload bytes that may wait at a host before packets are dropped; 0 for no limit.
    """

    def __init__(
        self,
        simulation: Simulation,
        impairments: Impairments | None = None,
        *,
        merges: bool = True,
        tells_identification: bool = False,
        merge_ns: int = 0,
        receive_buffer_bytes: int = 0,
    ) -> None:
        self.simulation = simulation
        self.impairments = impairments or Impairments()
        """Replaceable at any time; paths that carried packets already keep theirs until `forget_paths`."""
        self.hook: Hook | None = None
        """Called with each packet sent; what it returns goes on: nothing (dropped), the packet, others, copies."""
        self.trace: Trace | None = None
        """Called with the time, `sent` or `delivered`, and the packet."""
        self.unroutable = 0
        """Packets for an address where nobody is."""
        self.merge_ns = merge_ns
        self._make_inbox = partial(
            Inbox, merges=merges, tells_identification=tells_identification, limit_bytes=receive_buffer_bytes
        )
        self._receivers: dict[Address, Callable[[Packet], None]] = {}
        self._groups: dict[Address, set[Address]] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._packet_count = 0

    def attach(
        self, core: DatagramCore, address: Address, services: Sequence[Service] = (), *, processing_ns: int = 0
    ) -> Host:
        """Give `core` a host at `address`, with `services` pumped beside it.

        processing_ns: from the arrival of a packet to the pass that handles it. TransportError: address taken.
        """
        transport = self.open(address)
        host = Host(self, core, transport, services, processing_ns)
        self._receivers[address] = host.arrive
        self.simulation.add_waker(host.wake)
        return host

    def detach(self, host: Host) -> None:
        """Take `host` off the network: a machine that lost its power. Its address becomes free."""
        host.stop()

    def open(self, address: Address) -> SimulatedTransport:
        """A bare transport at `address`, for a program that pumps it itself. TransportError: address taken."""
        if address in self._receivers:
            raise TransportError(f"{address[0]} port {address[1]} is taken in this network")
        transport = SimulatedTransport(self, address, self._make_inbox())
        self._receivers[address] = transport.put
        return transport

    def remove(self, address: Address) -> None:
        """Free the address of a closed transport."""
        self._receivers.pop(address, None)
        for members in self._groups.values():
            members.discard(address)

    def join(self, group: str, address: Address) -> None:
        """Deliver what is sent to a multicast group, on the port of `address`, there as well. Idempotent."""
        self._groups.setdefault((group, address[1]), set()).add(address)

    def leave(self, group: str, address: Address) -> None:
        """The inverse of `join`."""
        self._groups.get((group, address[1]), set()).discard(address)

    def set_path(self, source: str, destination: str, path: Path) -> None:
        """Use `path` for packets from the host address `source` to `destination`, numeric text without ports."""
        self._paths[source, destination] = path

    def forget_paths(self) -> None:
        """Make every path anew from `impairments` when next needed; packets on their way arrive as decided."""
        self._paths.clear()

    def send(self, transmit: Transmit, source: Address) -> int:
        """Carry the datagrams of `transmit` from `source`, copied; returns their number."""
        now = self.simulation.now
        sent = packets_of(transmit, source, first_index=self._packet_count, now=now)
        self._packet_count += len(sent)
        packets = sent
        if self.hook is not None:
            packets = [passed for packet in sent for passed in self.hook(packet)]
        if self.trace is not None:
            for packet in sent:
                self.trace(now, "sent", packet)
        if packets:
            self._path(source[0], transmit.destination[0]).carry(packets, self.simulation, self._deliver)
        return len(sent)

    def _path(self, source: str, destination: str) -> Path:
        path = self._paths.get((source, destination))
        if path is None:
            path = SimulatedPath(ImpairedPath(self.impairments, self.simulation.rng))
            self._paths[source, destination] = path
        return path

    def _deliver(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            members = self._groups.get(packet.destination)
            addresses = [packet.destination] if members is None else sorted(members)
            receivers = [self._receivers[address] for address in addresses if address in self._receivers]
            if not receivers:
                self.unroutable += 1
            for receive in receivers:
                if self.trace is not None:
                    self.trace(self.simulation.now, "delivered", packet)
                receive(packet)


class SimulatedPath:
    """An `ImpairedPath` in virtual time."""

    def __init__(self, impaired: ImpairedPath) -> None:
        self.impaired = impaired

    def carry(self, packets: Sequence[Packet], simulation: Simulation, deliver: Deliver) -> None:
        """Schedule the arrivals, one event for neighbours that arrive at the same time."""
        together: list[Packet] = []
        together_ns = -1
        for arrival_ns, packet in self.impaired.transit(packets, simulation.now):
            if arrival_ns != together_ns:
                together, together_ns = [], arrival_ns
                simulation.schedule(arrival_ns, partial(deliver, together))
            together.append(packet)


class SimulatedTransport:
    """A host's end of a `Network`: a `DatagramTransport` on which nobody can wait, since virtual time does not."""

    def __init__(self, network: Network, address: Address, inbox: Inbox) -> None:
        self._network = network
        self._address = address
        self._inbox = inbox
        self._is_closed = False
        self.is_full = False
        """Set by tests: whether `send` refuses, as a socket with a full buffer does."""
        self.statistics = DatagramStatistics()

    @property
    def address(self) -> Address:
        """The host's address."""
        return self._address

    @property
    def overflows(self) -> int:
        """Packets dropped because the receive buffer was full."""
        return self._inbox.overflows

    def put(self, packet: Packet) -> None:
        """A packet arrived."""
        self._inbox.put((packet,))

    def send(self, transmit: Transmit) -> bool:
        """Send all datagrams of `transmit`, from its `source` if it names one; False while `is_full`."""
        if self._is_closed:
            raise TransportError("the transport is closed")
        if self.is_full:
            self.statistics.full += 1
            return False
        self.statistics.sent_datagrams += self._network.send(transmit, transmit.source or self._address)
        self.statistics.sent_bytes += sum(map(len, transmit.views))
        return True

    def receive(self) -> Burst | None:
        """The next burst, or None when nothing is there."""
        return self._inbox.take(self.statistics)

    def join(self, group: str) -> None:
        """Receive what is sent to a multicast group."""
        self._network.join(group, self._address)

    def leave(self, group: str) -> None:
        """The inverse of `join`."""
        self._network.leave(group, self._address)

    def group_fileno(self) -> int | None:
        """None: virtual time does not wait."""
        return None

    async def wait_readable(self) -> None:
        """TransportError: use `transports.memory` under trio."""
        raise TransportError("virtual time does not wait: use transports.memory under trio")

    async def wait_writable(self) -> None:
        """TransportError: use `transports.memory` under trio."""
        raise TransportError("virtual time does not wait: use transports.memory under trio")

    def close(self) -> None:
        """Leave the network; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._network.remove(self._address)


class Host:
    """A core on a `Network`: pumped on arrivals, on deadlines and when woken."""

    def __init__(
        self,
        network: Network,
        core: DatagramCore,
        transport: SimulatedTransport,
        services: Sequence[Service],
        processing_ns: int,
    ) -> None:
        self.core = core
        self.transport = transport
        self.pump = Pump(core, transport, network.simulation.clock, services)
        self._simulation = network.simulation
        self._arrival_delay_ns = network.merge_ns + processing_ns
        self._turns = Turns(network.simulation, self.pump)
        self.wake = self._turns.wake
        """Make a pass now: something was posted to the core from outside."""

    @property
    def address(self) -> Address:
        """Where the host is."""
        return self.transport.address

    def arrive(self, packet: Packet) -> None:
        """A packet reached the host."""
        self.transport.put(packet)
        self._turns.turn_at(self._simulation.now + self._arrival_delay_ns)

    def stop(self) -> None:
        """Never pump again."""
        self._turns.stop()
        self.transport.close()
