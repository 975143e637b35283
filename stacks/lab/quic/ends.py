"""Both ends of a QUIC flow: a client that sends, and a server that receives; cores, for any kind of time.

A flow begins with its handshake. Its bytes go over one stream; windows of flow control are never what limits.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from stacks.congestion import Controller, ControllerFactory, Delivery, Flow, controller_factory
from stacks.congestion.guarded import GuardedController
from stacks.lab.counts import FlowCounts
from stacks.lab.experiment.values import FlowConfig
from stacks.lab.network.line import Way
from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import StreamReadable
from stacks.quic.tls import make_self_signed
from transports.datagram import Address

IP_UDP_BYTES = 28
"""Of IPv4 and UDP, beside a datagram."""
LEAST_PACKET_BYTES = 1200 + IP_UDP_BYTES
"""Smaller packets are none of QUIC's (RFC 9000 14.1)."""


class QuicSource:
    """The sending end. core: its endpoint. factory: of its controller; way: what is known of the path.

    packet_bytes: of the largest IP packet. seed: of everything that is drawn.
    """

    def __init__(
        self, factory: ControllerFactory, way: Way, address: Address, *, packet_bytes: int, seed: int
    ) -> None:
        self.core = Endpoint(address, rng=random.Random(seed))
        self._configuration = replace(
            _common(packet_bytes),
            controller=informed(factory, way),
            # As with model flows: packets say that they can be marked where the controller makes use of it.
            has_ecn=probe_controller(factory, packet_bytes).ecn != 0,
            server_name="lab",
            is_verifying=False,
        )
        self._connection: Connection | None = None
        self._stream = 0
        self._unwritten_bytes = 0
        self._is_ending = False

    @property
    def controller(self) -> Controller | None:
        """None before it begins."""
        return None if self._connection is None else self._connection.path.congestion.controller

    def begin(self, remote: Address, now: int) -> None:
        """Send the first packet of the handshake when asked for transmits."""
        self._connection = self.core.connect(remote, self._configuration, now)
        self._stream = self._connection.open_stream(is_unidirectional=True)

    def write(self, length_bytes: int, *, is_all: bool = False) -> None:
        """The application has so many more bytes; is_all: and no more will come."""
        self._unwritten_bytes += length_bytes
        self._is_ending = is_all
        self.feed()

    def stop(self) -> None:
        """The application has no more; what the stream has is still sent."""
        self._unwritten_bytes = 0

    def pump(self, now: int) -> bool:
        """As of `transports.pump.Service`: supply the stream, and close the connection when all has arrived."""
        connection = self._connection
        if connection is None:
            return False
        if self._is_ending and not self._unwritten_bytes and connection.streams.is_sent(self._stream):
            connection.close(now=now)
        while connection.poll_event() is not None:
            pass
        return self.feed()

    def feed(self) -> bool:
        """Supply the stream, which is wanted after each burst that left; whether it got more."""
        connection = self._connection
        if not self._unwritten_bytes or connection is None or connection.state >= ConnectionState.CLOSING:
            return False
        has_fed = False
        while self._unwritten_bytes and connection.streams.unsent_bytes(self._stream) < UNSENT_BYTES:
            chunk = CHUNK[: self._unwritten_bytes]
            self._unwritten_bytes -= len(chunk)
            is_fin = self._is_ending and not self._unwritten_bytes
            connection.write(self._stream, chunk, is_fin=is_fin)
            has_fed = True
        return has_fed

    def sample(self) -> Sequence[int]:
        """Window, pacing rate, RTT, in flight, lost packets: -1 for what is not there."""
        connection = self._connection
        if connection is None:
            return -1, -1, -1, 0, 0
        congestion = connection.path.congestion
        window_bytes, rate_bps = congestion.controller.window_bytes, congestion.controller.rate_bps
        return (
            -1 if window_bytes is None else window_bytes,
            -1 if rate_bps is None else rate_bps,
            congestion.rtt.latest_ns or -1,
            congestion.delivery.inflight_bytes,
            connection.recovery.lost_packets,
        )

    def counts(self) -> FlowCounts:
        """What it came to, so far: nothing is known of packets that were sent again, since QUIC repeats frames."""
        if self._connection is None:
            return FlowCounts(retransmitted_packets=-1)
        recovery = self._connection.recovery
        return FlowCounts(
            self._connection.counters.datagrams_sent,
            recovery.lost_packets,
            -1,
            recovery.probes,
            recovery.spurious_losses,
            recovery.ce_packets,
        )

    def bound(self, inflight_max_bytes: int) -> None:
        """A controller of the user's own may have so much in flight at most."""
        controller = self.controller
        if isinstance(controller, GuardedController):
            controller.inflight_max_bytes = min(controller.inflight_max_bytes, inflight_max_bytes)


class QuicTarget:
    """The receiving end. core: its endpoint. goodput_bytes: what came in order, so far."""

    def __init__(self, config: FlowConfig, address: Address, *, packet_bytes: int, seed: int) -> None:
        chain, key = _certificate()
        configuration = replace(
            _common(packet_bytes), certificate_chain=chain, private_key=key, ack_every=config.ack_packets
        )
        self.core = Endpoint(address, rng=random.Random(seed), server=configuration)
        self.goodput_bytes = 0

    def pump(self, now: int) -> bool:  # noqa: ARG002 - a `transports.pump.Service`
        """Take what has arrived; whether anything has."""
        core, before = self.core, self.goodput_bytes
        while core.poll_accepted() is not None:
            pass
        while (connection := core.poll_active()) is not None:
            while (event := connection.poll_event()) is not None:
                if isinstance(event, StreamReadable):
                    while data := connection.read(event.stream_id):
                        self.goodput_bytes += len(data)
        return self.goodput_bytes != before


def probe_controller(controller: str | ControllerFactory, packet_bytes: int) -> Controller:
    """One that is made to be looked at."""
    factory = controller_factory(controller) if isinstance(controller, str) else controller
    flow = Flow(
        line_rate_bps=10**9,
        packet_bytes=packet_bytes,
        rng=random.Random(0),
        delivery=Delivery(10 * packet_bytes),
        base_rtt_ns=1_000_000,
    )
    return factory(flow)


def quic_seed(seed: int, number: int, side: int) -> int:
    """Of one end of a flow."""
    return (((seed << 24) + number) << 1) + side


def _common(packet_bytes: int) -> Configuration:
    return Configuration(
        alpn=("lab",),
        max_probe_bytes=packet_bytes - IP_UDP_BYTES,
        connection_window_bytes=WINDOW_BYTES,
        stream_window_bytes=WINDOW_BYTES,
        max_idle_timeout_ns=QUIC_IDLE_NS,
        unix_epoch_ns=EPOCH_NS,
    )


def informed(factory: ControllerFactory, way: Way) -> ControllerFactory:
    """The controller is told of the way what a model's is."""

    def make(flow: Flow) -> Controller:
        line_rate_bps = way.rate_bps or flow.line_rate_bps
        return factory(replace(flow, line_rate_bps=line_rate_bps, base_rtt_ns=way.rtt_ns))

    return make




@cache
def _certificate() -> tuple[bytes, bytes]:
    return make_self_signed(["lab"], random.Random(0), unix_ns=EPOCH_NS)


CHUNK = memoryview(bytes(1 << 16))
UNSENT_BYTES = 1 << 17
"""So much of what was written is in the stream unsent, or a flow would go on long after its end."""
WINDOW_BYTES = 1 << 40
QUIC_IDLE_NS = 3_600_000_000_000
EPOCH_NS = 1_767_225_600_000_000_000
"""Unix time when a run begins, for certificates: 2026-01-01."""
