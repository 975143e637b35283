"""NVMe over QUIC under trio: UDP sockets, each with a driver to run in a nursery."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from dataclasses import replace

from stacks.nvme.bindings.aio import AsyncEnd, ServerPort, Watch
from stacks.nvme.bindings.quic.carrier import QuicCarrier
from stacks.nvme.bindings.quic.parameters import target_configuration
from stacks.nvme.bindings.quic.sync import RECEIVE_BUDGET_BURSTS, Wrap, carried_initiator
from stacks.nvme.bindings.quic.target import QuicTarget
from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.target import Target
from stacks.quic.configuration import Configuration
from stacks.quic.endpoint import Endpoint
from stacks.runtime import LocalError
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.driver import Driver, Service
from transports.routes import source_address
from transports.udp import UdpTransport


class QuicAsyncEnd(AsyncEnd):
    """A socket to initiate from; arguments as of `sync.QuicEnd`. Run `driver.run` beside whatever uses it."""

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
        udp, clock, watch = UdpTransport(local or source_address(remote), 0, offload=offload), RealClock(), Watch()
        self.transport: DatagramTransport = wrap(udp) if wrap else udp
        initiator, carrier = carried_initiator(self.transport, clock, config=config, quic=quic)
        driver = Driver(carrier, self.transport, clock, [watch], receive_budget=RECEIVE_BUDGET_BURSTS)
        super().__init__(initiator, driver, clock, watch)

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()


class QuicServer(ServerPort):
    """A target's port at an address of this machine. Run `driver.run`; executor: a service that runs the stores.

    portid, serves: see `Target.add_port`; wrap: puts something around the socket. quic: how connections are made; where
    it has no certificate, there is one for this run that nobody has signed.
    TransportError when the address cannot be had.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int,
        *,
        executor: Service,
        portid: int = 0,
        serves: Collection[str] | None = None,
        offload: bool = True,
        wrap: Wrap | None = None,
        config: TcpTargetConfig | None = None,
        quic: Configuration | None = None,
    ) -> None:
        udp, clock, rng, watch = UdpTransport(host, port, offload=offload), RealClock(), random.SystemRandom(), Watch()
        self.port_number = udp.address[1]
        self.transport: DatagramTransport = wrap(udp) if wrap else udp
        try:
            core = QuicTarget(target, host, self.port_number, portid=portid, serves=serves, config=config)
        except LocalError:
            self.transport.close()
            raise
        configuration = target_configuration(
            quic, rng=rng, unix_ns=time.time_ns(), streams_max=core.config.connections_per_host
        )
        configuration = replace(configuration, unix_epoch_ns=time.time_ns() - clock.now())
        carrier = QuicCarrier(Endpoint(udp.address, rng=rng, server=configuration), core)
        driver = Driver(carrier, self.transport, clock, [executor, watch], receive_budget=RECEIVE_BUDGET_BURSTS)
        super().__init__(core, driver, watch, udp=udp)

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()
