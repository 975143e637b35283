"""Two scripted paths to one subsystem, and how long their hosts wait."""

from __future__ import annotations

from stacks.nvme.host import HostNamespace, Multipath, PathPolicy, ReconnectPolicy, Transfer
from stacks.nvme.host.ana import OPTIMIZED
from tests.stacks.nvme.scripted import ANA_EVENT, BLOCK, ScriptedConnector, ScriptedController

QUIET = {"keep_alive_ms": 0}
PATIENT = ReconnectPolicy(reconnect_delay=10, ctrl_loss_tmo=600)


class Two:
    """Two paths to one subsystem, a and b."""

    def __init__(self, policy: PathPolicy = PathPolicy.NUMA, *, ana: bool = False, **patience: float) -> None:
        states = {1: OPTIMIZED} if ana else None
        self.a = ScriptedController(ana=dict(states) if states else None)
        self.b = ScriptedController(ana=dict(states) if states else None)
        self.connector = ScriptedConnector(a=self.a, b=self.b)
        self.multipath = Multipath(policy=policy)
        reconnect = ReconnectPolicy(**{"reconnect_delay": 10, "ctrl_loss_tmo": 600, **patience})  # type: ignore[arg-type]
        self.to_a = self.connector.add(self.multipath, "a", policy=reconnect, **QUIET)
        self.to_b = self.connector.add(self.multipath, "b", policy=reconnect, **QUIET)
        assert self.to_a.is_live
        assert self.to_b.is_live

    @property
    def namespace(self) -> HostNamespace:
        return self.multipath.namespace(1)

    def read(self, block: int = 0) -> Transfer:
        transfer = self.namespace.read(block, memoryview(bytearray(BLOCK)))
        self.connector.run()
        return transfer

    def write(self, block: int = 0) -> Transfer:
        transfer = self.namespace.write(block, memoryview(bytes(BLOCK)))
        self.connector.run()
        return transfer

    @property
    def held(self) -> tuple[int, int]:
        return len(self.a.held), len(self.b.held)

    def ana(self, a: int, b: int) -> None:
        self.a.ana, self.b.ana = {1: a}, {1: b}
        for address in ("a", "b"):
            self.connector.event(address, ANA_EVENT)
