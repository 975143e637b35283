"""A relay between UDP sockets: clients on one side, one server on the other, as through a NAT.

Every client that sends to the listening socket gets a socket of its own towards the server, which therefore sees as
many peers as there are clients; what comes back goes to the client from the listening socket. Good for protocols that
do not care which address they are reached at, such as QUIC; for others there is `frame`. ECN bits are carried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transports.control.directory import Json
from transports.datagram import Address, Burst, DatagramTransport
from transports.errors import TransportError
from transports.framing import UdpFramer
from transports.link.packet import Sink
from transports.pump import HasFileno
from transports.relay.direction import Direction
from transports.relay.outbox import DatagramOutbox
from transports.relay.packet import RelayPacket, corrupted
from transports.relay.relay import End, Relay
from transports.routes import source_address
from transports.udp import UdpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpRelayConfig:
    """to: the server. clients: how many at once; a further one takes the place of the one that was silent longest.

    offload: many datagrams a system call. hosts: addresses of this machine that clients have towards the server, the
    first at first, with each rebinding the next, and after the last the first again; empty for the one that suits.
    """

    to: Address
    clients: int = 64
    offload: bool = True
    hosts: tuple[str, ...] = ()


class UdpRelay:
    """The link between a listening socket and a server.

    forward: towards the server; back: towards the clients. listening: stays the caller's to close.
    open_upstream: makes a client's socket; one of this machine's that can reach the server when None.
    refused_clients: that came too often for a socket to be had. rebindings: sockets replaced.
    """

    def __init__(
        self,
        relay: Relay,
        listening: DatagramTransport,
        config: UdpRelayConfig,
        *,
        forward: Direction,
        back: Direction,
        open_upstream: Callable[[], DatagramTransport] | None = None,
    ) -> None:
        self.config = config
        self.rebindings = 0
        self.refused_clients = 0
        self._relay = relay
        self._forward, self._back = forward, back
        self._overhead_bytes = IPV6_UDP_BYTES if ":" in config.to[0] else IPV4_UDP_BYTES
        self._framers: dict[tuple[Address, Address], UdpFramer] = {}
        self._open = open_upstream or self._open_socket
        self._clients: dict[Address, Client] = {}
        self._numbered: dict[int, Client] = {}
        self._made = 0
        self._moves = 0
        self._delays_ns: list[int] = []
        self.listening = _Socket(relay, listening, self._take_from_client)
        relay.add(self.listening)

    @property
    def upstream_ends(self) -> list[End]:
        """The clients' sockets, as ends of the relay."""
        return [client.upstream for client in self._clients.values()]

    def client_at(self, address: Address) -> Client:
        """The client at that address; KeyError when there is none."""
        return self._clients[address]

    def rebind(self) -> int:
        """Give every client a new socket towards the server, as a NAT that forgot does; how many.

        What is under way to an old one is lost.
        """
        self._moves += 1
        for client in self._clients.values():
            self._close(client.upstream)
            client.upstream = self._connect(client)
        self.rebindings += len(self._clients)
        return len(self._clients)

    def rebind_after(self, delay_ns: int) -> None:
        """The same so long after the first client came: before that there is nothing to move."""
        if self._made:
            self._rebind_later(delay_ns)
        else:
            self._delays_ns.append(delay_ns)

    def _rebind_later(self, delay_ns: int) -> None:
        timeline = self._relay.timeline
        timeline.at(timeline.now + delay_ns, lambda _: self.rebind())

    def framer(self, packet: RelayPacket, *, is_forward: bool, is_outside: bool = False) -> UdpFramer:
        """What puts headers before the packet, from its client to the server or the other way round.

        is_outside: the client is where the server sees it now.
        """
        client = self._numbered.get(packet.flow)
        if client is None:
            address = self.listening.transport.address
        else:
            address = client.upstream.transport.address if is_outside else client.address
        ends = (address, self.config.to) if is_forward else (self.config.to, address)
        framer = self._framers.get(ends)
        if framer is None:
            framer = self._framers[ends] = UdpFramer(*ends)
        return framer

    def flow_name(self, packet: RelayPacket) -> str:
        """The client that a packet belongs to."""
        client = self._numbered.get(packet.flow)
        return "gone" if client is None else f"{client.address[0]}:{client.address[1]}"

    def as_json(self) -> dict[str, Json]:
        """Clients, and what the sockets could not take."""
        statistics = [self.listening.statistics()] + [client.upstream.statistics() for client in self._clients.values()]
        return {
            "clients": [
                {"address": f"{address[0]}:{address[1]}", "upstream_port": client.upstream.transport.address[1]}
                for address, client in self._clients.items()
            ],
            "rebindings": self.rebindings,
            "refused_clients": self.refused_clients,
            "kernel_drops": sum(each.get("kernel_drops", 0) for each in statistics),
            "unsendable": sum(each.get("dropped", 0) for each in statistics),
            "unreachable": sum(each.get("unreachable", 0) for each in statistics),
        }

    def close(self) -> None:
        """Close the clients' sockets."""
        for client in self._clients.values():
            self._close(client.upstream)
        self._clients.clear()

    def _take_from_client(self, burst: Burst) -> None:
        source = burst.source
        client = self._clients.get(source)
        if client is None:
            client = self._accept(source)
            if client is None:
                return
        client.used_ns = self._relay.timeline.now
        _put(burst, client.route_forward, client.number, self._overhead_bytes)

    def _accept(self, source: Address) -> Client | None:
        if len(self._clients) >= self.config.clients:
            oldest = min(self._clients.values(), key=lambda client: client.used_ns)
            self._close(oldest.upstream)
            del self._clients[oldest.address], self._numbered[oldest.number]
        client = Client(self._made, source, self._relay, self.listening)
        try:
            client.upstream = self._connect(client)
        except TransportError:
            self.refused_clients += 1
            return None
        if not self._made:
            for delay_ns in self._delays_ns:
                self._rebind_later(delay_ns)
        self._made += 1
        client.to = self.config.to
        client.route_forward = (*self._forward.elements, client.leave_forward)
        client.route_back = (*self._back.elements, client.leave_back)
        self._clients[source] = self._numbered[client.number] = client
        return client

    def _connect(self, client: Client) -> _Socket:
        def take(burst: Burst) -> None:
            # Others than the server have no way through, as a NAT that filters by address and port has it.
            if burst.source == client.to:
                _put(burst, client.route_back, client.number, self._overhead_bytes)

        opened = _Socket(self._relay, self._open(), take)
        self._relay.add(opened)
        return opened

    def _open_socket(self) -> DatagramTransport:
        hosts = self.config.hosts
        host = hosts[self._moves % len(hosts)] if hosts else source_address(self.config.to[0])
        return UdpTransport(host, 0, offload=self.config.offload)

    def _close(self, opened: _Socket) -> None:
        self._relay.remove(opened)
        opened.close()


class Client:
    """One client: where it is, its way both ways, its socket. used_ns: when it last sent something."""

    upstream: _Socket
    to: Address
    route_forward: tuple[Sink, ...]
    route_back: tuple[Sink, ...]

    def __init__(self, number: int, address: Address, relay: Relay, listening: _Socket) -> None:
        self.number = number
        self.address = address
        self.used_ns = 0
        self._timeline = relay.timeline
        self._listening = listening

    def leave_forward(self, packet: RelayPacket) -> None:
        """A packet for the server has left the model."""
        packet.due_ns = self._timeline.now
        self.upstream.post(self.to, packet)

    def leave_back(self, packet: RelayPacket) -> None:
        """A packet for the client has left the model."""
        packet.due_ns = self._timeline.now
        self._listening.post(self.address, packet)


class _Socket:
    """A datagram transport as an end of a relay."""

    def __init__(self, relay: Relay, transport: DatagramTransport, take: Callable[[Burst], None]) -> None:
        self.transport = transport
        self._relay = relay
        self._take = take
        self._outbox = DatagramOutbox(transport, relay.punctuality.departure, relay.now)
        self._is_posted = False
        self._is_closed = False

    def fileno(self) -> int:
        assert isinstance(self.transport, HasFileno)
        return self.transport.fileno()

    def take(self) -> bool:
        relay, receive = self._relay, self.transport.receive
        timeline, arrival = relay.timeline, relay.punctuality.arrival
        for _ in range(BURSTS):
            burst = receive()
            if burst is None:
                return False
            now = relay.now()
            timeline.run(now)
            arrival.record(now - relay.looked_ns, -(-len(burst.view) // burst.segment_bytes))
            self._take(burst)
        return True

    def post(self, destination: Address, packet: RelayPacket) -> None:
        if packet.is_corrupt:
            packet.data = corrupted(packet)
        self._outbox.add(destination, packet)
        if not self._is_posted:
            self._is_posted = True
            self._relay.send(self)

    def flush(self) -> bool:
        if self._is_closed or self._outbox.flush():
            self._is_posted = False
            return True
        return False

    def close(self) -> None:
        self._is_closed = True
        self.transport.close()

    def statistics(self) -> dict[str, int]:
        transport = self.transport
        if not isinstance(transport, UdpTransport) or self._is_closed:
            return {}
        return {**transport.statistics.snapshot(), "kernel_drops": transport.kernel_drops}


def _put(burst: Burst, route: tuple[Sink, ...], flow: int, overhead_bytes: int) -> None:
    data, step, ecn = bytes(burst.view), burst.segment_bytes, burst.ecn
    length = len(data)
    first = route[0]
    for start in range(0, length, step):
        piece = data if length == step else data[start : start + step]
        packet = RelayPacket(piece, len(piece) + overhead_bytes, route, flow, ecn)
        packet.hop = 0
        first(packet)


BURSTS = 8
"""Super-datagrams that one pass reads of one socket, so that no socket holds up what is due."""
IPV4_UDP_BYTES, IPV6_UDP_BYTES = 28, 48
