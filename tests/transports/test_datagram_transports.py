"""The datagram contract, applied to every transport of that shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transports.datagram_contract import DatagramContract, Rig, WaitingContract
from transports.capture import CapturingTransport
from transports.clock import VirtualClock
from transports.errors import TransportError
from transports.memory import MemoryNetwork
from transports.several import SeveralTransports
from transports.simulation import Impairments, Network, SimulatedTransport, Simulation
from transports.udp import UdpTransport


class TestUdpOnIpv4(WaitingContract):
    offload = True
    addresses = "127.0.0.81", "127.0.0.82"

    @contextlib.contextmanager
    def rig(self) -> Iterator[Rig]:
        near, far = (UdpTransport(address, 0, offload=self.offload) for address in self.addresses)
        rig = Rig(near, far, (self.addresses[1], 9))
        try:
            yield rig
        finally:
            rig.close()


class TestUdpOnIpv4WithoutOffload(TestUdpOnIpv4):
    offload = False


def has_ipv6() -> bool:
    try:
        UdpTransport("::1", 0).close()
    except (TransportError, OSError):
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
class TestUdpOnIpv6(TestUdpOnIpv4):
    addresses = "::1", "::1"


class TestUdpOnIpv6WithoutOffload(TestUdpOnIpv6):
    offload = False


class TestSeveralSockets(TestUdpOnIpv4):
    @contextlib.contextmanager
    def rig(self) -> Iterator[Rig]:
        near, far = (SeveralTransports(UdpTransport(address, 0)) for address in self.addresses)
        for several in (near, far):
            several.add(UdpTransport("127.0.0.83", 0))
        rig = Rig(near, far, (self.addresses[1], 9))
        try:
            yield rig
        finally:
            rig.close()


class TestMemory(WaitingContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[Rig]:
        network = MemoryNetwork(1, clock=VirtualClock())
        near, far = network.open(("10.0.0.1", 4791)), network.open(("10.0.0.2", 4791))
        yield Rig(near, far, ("10.0.0.3", 4791))


class TestMemoryWithoutMerging(WaitingContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[Rig]:
        network = MemoryNetwork(1, clock=VirtualClock(), merges=False)
        near, far = network.open(("10.0.0.1", 4791)), network.open(("10.0.0.2", 4791))
        yield Rig(near, far, ("10.0.0.3", 4791))


class SimulatedRig(Rig):
    """Moves packets by hand, so that no host's core takes them away."""

    def __init__(self, simulation: Simulation, near: SimulatedTransport, far: SimulatedTransport) -> None:
        super().__init__(near, far, ("10.0.0.3", 4791))
        self._simulation = simulation

    def settle(self) -> None:
        for _ in range(1000):
            if not self._simulation.step():
                return


class TestSimulated(DatagramContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[Rig]:
        simulation = Simulation(1)
        network = Network(simulation, Impairments(delay_ns=1000))
        near, far = (network.open((address, 4791)) for address in ("10.0.0.1", "10.0.0.2"))
        yield SimulatedRig(simulation, near, far)


class TestCapturedUdp(WaitingContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.path = Path(tmp_path_factory.mktemp("capture")) / "near.pcapng"

    @contextlib.contextmanager
    def rig(self) -> Iterator[Rig]:
        near = CapturingTransport(UdpTransport("127.0.0.81", 0), self.path, VirtualClock())
        rig = Rig(near, UdpTransport("127.0.0.82", 0), ("127.0.0.82", 9))
        try:
            yield rig
        finally:
            rig.close()
