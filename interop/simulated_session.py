"""A whole NVMe/RDMA session of our own, target and initiator in virtual time, as a capture for outside judges.

It goes where captures from Linux do not: refusals by the connection manager and by Connect, Compare, IPv6, loss and
duplication, and it is the same for a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig, RdmaTarget
from stacks.nvme.host import (
    DiscoveredSubsystem,
    HostConfig,
    HostController,
    HostNamespace,
    Transfer,
    read_discovery_log,
)
from stacks.nvme.stores import InlineExecutor, MemoryStore
from stacks.nvme.target import Subsystem, Target
from stacks.rdma import Device
from transports.capture import CaptureFile
from transports.framing import UdpFramer
from transports.packets import Packet
from transports.simulation import Impairments, Network, Simulation
from wire.nvme.opcodes import DISCOVERY_NQN

NQN = "nqn.2026-11.io.baremetal:disk"


class SimulatedSession:
    """Two devices on a network whose packets are recorded as they are sent.

    addresses: of the target and of the initiator, numeric; path: the capture to write. path_mtu: bytes of payload.
    """

    def __init__(
        self,
        path: Path,
        addresses: tuple[str, str],
        impairments: Impairments,
        *,
        seed: int = 1,
        path_mtu: int = 4096,
    ) -> None:
        self._simulation = Simulation(seed)
        self._network = Network(self._simulation, impairments)
        self._network.trace = self._record
        self._capture = CaptureFile(path)
        self._rng = random.Random(seed)
        subsystem = Subsystem(NQN)
        subsystem.add_namespace(MemoryStore(1 << 20))
        target = Target([subsystem])
        binding = RdmaTarget(Device(addresses[0], rng=random.Random(seed + 1)), target)
        self._initiator = RdmaInitiator(
            Device(addresses[1], rng=random.Random(seed + 2)), config=RdmaInitiatorConfig(path_mtu=path_mtu)
        )
        self._target_address = addresses[0]
        self._network.attach(binding, binding.device.address, [InlineExecutor(target)])
        self._host = self._network.attach(self._initiator, self._initiator.device.address)

    def run(self) -> None:
        """Discover, connect, do every kind of I/O, be refused twice, and disconnect."""
        self._discover()
        host = self._connect(HostConfig(nqn=NQN))
        self._exercise(host.namespace())
        self._stop(host)
        assert not self._connect(HostConfig(nqn="nqn.2026-11.io.baremetal:nothing")).is_live
        assert not self._connect(HostConfig(nqn=NQN), port=4421).is_live
        self._simulation.run_for(SECOND)
        self._capture.close()

    def _discover(self) -> None:
        host, found, outcomes = (
            self._connect(HostConfig(nqn=DISCOVERY_NQN)),
            list[DiscoveredSubsystem](),
            list[object](),
        )
        host.run(read_discovery_log(host, found), outcomes.append, self._simulation.now)
        self._until(lambda: bool(outcomes))
        assert outcomes == [None], outcomes
        self._stop(host)

    def _exercise(self, disk: HostNamespace) -> None:
        data = bytearray(int(self._rng.random() * 256) for _ in range(16 * disk.block_bytes))
        back = bytearray(len(data))
        self._do(disk.write(0, memoryview(data)))
        self._do(disk.write(20, memoryview(data)[: disk.block_bytes]))
        self._do(disk.flush())
        self._do(disk.read(0, memoryview(back)))
        assert back == data
        self._do(disk.write_zeroes(0, 8))
        self._do(disk.deallocate([(8, 4)]))
        self._do(disk.compare(12, memoryview(data)[12 * disk.block_bytes :]))
        block, other = memoryview(data)[: disk.block_bytes], memoryview(data)[disk.block_bytes : 2 * disk.block_bytes]
        assert self._do(disk.compare(0, block), fails=True)
        assert self._do(disk.compare_and_write(20, other, block), fails=True)
        self._do(disk.compare_and_write(20, block, other))
        self._do(disk.copy(40, [(12, 4), (20, 1)]))
        self._do(disk.verify(40, 5))
        self._do(disk.write_uncorrectable(40, 1))
        assert self._do(disk.verify(40, 5), fails=True)

    def _connect(self, config: HostConfig, *, port: int = 4420) -> HostController:
        host = self._initiator.connect(self._target_address, config, self._simulation.now, port=port)
        self._until(lambda: host.is_live or host.is_closed)
        return host

    def _stop(self, host: HostController) -> None:
        host.stop(self._simulation.now)
        self._until(lambda: host.is_closed and self._initiator.is_quiet)

    def _do(self, transfer: Transfer, *, fails: bool = False) -> int:
        self._until(lambda: transfer.is_done)
        assert bool(transfer.status) is fails, f"status {transfer.status:#x}"
        return transfer.status

    def _until(self, condition: Callable[[], bool]) -> None:
        self._host.wake()
        self._simulation.run_until(condition, timeout_ns=600 * SECOND)

    def _record(self, now: int, what: str, packet: Packet) -> None:
        if what == "sent":
            framer = UdpFramer(packet.source, packet.destination)
            headers = framer.headers(packet.payload, ecn=packet.ecn, identification=packet.identification)
            self._capture.add(now, [headers, packet.payload])


SECOND = 10**9
