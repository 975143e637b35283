"""A target and an initiator over QUIC in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

from stacks.nvme.bindings.quic import (
    QuicCarrier,
    QuicInitiator,
    QuicTarget,
    initiator_configuration,
    target_configuration,
)
from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from stacks.quic.configuration import Configuration
from stacks.quic.endpoint import Endpoint
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET, Association
from transports.pump import Service
from transports.simulation import Impairments, Network, Simulation
from transports.simulation.network import Host

EPOCH_NS = 1_767_225_600 * SECOND
"""2026-01-01, when certificates are judged in virtual time."""


class QuicRig(Association):
    """Both ends, and the ways to run them."""

    def __init__(
        self,
        *stores: Store,
        seed: int = 1,
        impairments: Impairments | None = None,
        initiator: TcpInitiatorConfig | None = None,
        target: TcpTargetConfig | None = None,
        executor: Callable[[Target], Service] = InlineExecutor,
        streams_max: int = 64,
        base: Configuration | None = None,
        client: Configuration | None = None,
    ) -> None:
        self.simulation = Simulation(seed)
        self.network = Network(self.simulation, impairments)
        self.subsystem = Subsystem(NQN)
        for store in stores or (MemoryStore(1 << 20),):
            self.subsystem.add_namespace(store)
        self.target = Target([self.subsystem])
        self.executor = executor(self.target)
        base = base or Configuration(unix_epoch_ns=EPOCH_NS, is_verifying=False)
        self._server = target_configuration(
            base, rng=random.Random(0), unix_ns=EPOCH_NS, streams_max=streams_max
        )
        self._seed = seed
        self.quic_target = QuicTarget(self.target, TARGET, config=target)
        self.target_carrier, self.target_host = self.serve(self.quic_target)
        self.initiator = QuicInitiator(config=initiator)
        endpoint = Endpoint((INITIATOR, 49152), rng=random.Random(seed + 1))
        self.carrier = QuicCarrier(endpoint, self.initiator, client=initiator_configuration(client or base))
        self.initiator_host = self.network.attach(self.carrier, endpoint.address)

    def serve(self, core: QuicTarget, port: int = 4420) -> tuple[QuicCarrier, Host]:
        """Attach a target's port."""
        endpoint = Endpoint((TARGET, port), rng=random.Random(self._seed + port), server=self._server)
        carrier = QuicCarrier(endpoint, core)
        return carrier, self.network.attach(carrier, endpoint.address, [self.executor])
