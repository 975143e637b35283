"""NVMe over QUIC without an event loop: a UDP socket, and a pump to turn by hand."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

from stacks.nvme.bindings.quic.carrier import QuicCarrier
from stacks.nvme.bindings.quic.initiator import QuicInitiator
from stacks.nvme.bindings.quic.parameters import initiator_configuration
from stacks.nvme.bindings.sync import End
from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.quic.configuration import Configuration
from stacks.quic.endpoint import Endpoint
from transports.clock import Clock, RealClock
from transports.datagram import DatagramTransport
from transports.pump import Pump
from transports.routes import source_address
from transports.udp import UdpTransport

Wrap = Callable[[DatagramTransport], DatagramTransport]
"""Puts something around a socket, which is closed with it."""


class QuicEnd(End):
    """A socket to initiate from; it reaches targets that `remote` can be reached beside.

    local: which of our addresses to use; empty for the one towards `remote`. config: how to move data.
    quic: how connections are made; None for the defaults, which do not verify the target's certificate.
    """

    def __init__(
        self,
        remote: str,
        *,
        local: str = "",
        offload: bool = True,
        wrap: Wrap | None = None,
        config: TcpInitiatorConfig | None = None,
        quic: Configuration | None = None,
    ) -> None:
        udp, clock = UdpTransport(local or source_address(remote), 0, offload=offload), RealClock()
        self.transport: DatagramTransport = wrap(udp) if wrap else udp
        initiator, carrier = carried_initiator(self.transport, clock, config=config, quic=quic)
        super().__init__(initiator, Pump(carrier, self.transport, clock, receive_budget=RECEIVE_BUDGET_BURSTS), clock)

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()


def carried_initiator(
    transport: DatagramTransport, clock: Clock, *, config: TcpInitiatorConfig | None, quic: Configuration | None
) -> tuple[QuicInitiator, QuicCarrier]:
    """An initiator and what carries it over a socket."""
    configuration = replace(initiator_configuration(quic), unix_epoch_ns=time.time_ns() - clock.now())
    initiator, endpoint = QuicInitiator(config=config), Endpoint(transport.address, rng=random.SystemRandom())
    return initiator, QuicCarrier(endpoint, initiator, client=configuration)


RECEIVE_BUDGET_BURSTS = 4
"""Acknowledgements leave after a pass: many bursts in one would have the peer wait for them."""
