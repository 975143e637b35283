"""Hosts that send anything, on controllers of every kind, while the target is managed and time passes.

Nothing raises, no buffer, timer or controller is left when all connections are gone, and a host that behaves has what
it should have all the time.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import ADMINISTRATIVE, Command, PortAddress, Subsystem
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import HOST_ID, NQN, SQE_WORDS, connect_data
from tests.stacks.nvme.fabrics_rig import BLOCK, SECOND, FabricsRig, RigQueue, host_nqn
from tests.stacks.nvme.test_fuzz import random_entry
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.opcodes import DISCOVERY_NQN, FabricsType

MANAGEMENT_NQN = "nqn.2026-11.io.baremetal:management"
STATES = [state for state in AnaState if state is not AnaState.PERSISTENT_LOSS]
"""Nothing follows persistent loss, so at the witness's port there is none."""


class Fuzzer:
    """One random walk."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        disk = Subsystem(NQN)
        disk.add_namespace(MemoryStore(16 * BLOCK))
        self.rig = FabricsRig(disk, Subsystem(MANAGEMENT_NQN, kind=ADMINISTRATIVE), ports=2)
        self.free = [port.pool.free_buffers for port in self.rig.ports]
        self.queues: list[RigQueue] = []
        self.witness = self.rig.host("witness")
        self.refused = 0

    def pick(self, count: int) -> int:
        return int(self.rng.random() * count)

    def step(self) -> None:
        if self.rng.random() < 0.15:
            self.open()
        elif self.rng.random() < 0.2:
            try:
                self.manage()
            except LocalError:
                self.refused += 1
        elif self.queues:
            self.send(self.queues[self.pick(len(self.queues))])
        if self.rng.random() < 0.05:
            self.rig.run_for(int(self.rng.random() * 5 * SECOND))
        self.rig.settle()
        self.queues = [queue for queue in self.queues if queue.queue.state.value != "closed"]

    def open(self) -> None:
        queue = RigQueue(self.rig, self.rig.ports[self.pick(len(self.rig.ports))])
        self.queues.append(queue)
        nqn = (NQN, MANAGEMENT_NQN, DISCOVERY_NQN)[self.pick(3)]
        cntlids = [each.cntlid for each in self.rig.target.controllers] or [1]
        qid = self.pick(4) if self.rng.random() < 0.5 else 0
        cntlid = cntlids[self.pick(len(cntlids))] if qid else 0xFFFF
        data = bytearray(
            connect_data(cntlid=cntlid, nqn=nqn, host_nqn=host_nqn("one"), host_id=HOST_ID[:-4] + b" one")
        )
        for _ in range(self.pick(3) if self.rng.random() < 0.3 else 0):
            data[self.pick(len(data))] = self.pick(256)
        entry = random_entry(self.rng, 1)
        if self.rng.random() < 0.9:
            entry.opcode, entry.flags, entry.nsid = 0x7F, 0x40, FabricsType.CONNECT
            entry.cdw10, entry.cdw11, entry.cdw12 = qid << 16, self.pick(16) << 16 | 31, self.pick(3000)
        self._give(queue, entry.encode(), bytes(data))
        if not qid and self.rng.random() < 0.9 and queue.is_connected:
            queue.set_property(0x14, 0x00460001)

    def send(self, queue: RigQueue) -> None:
        entry = random_entry(self.rng, self.pick(1 << 16))
        if self.rng.random() < 0.5:
            entry.opcode, entry.flags = (0x02, 0x06, 0x09, 0x0A, 0x0C, 0x18, 0x7F)[self.pick(7)], 0x40
            entry.cdw10 = (0x70, 0x0C, 0x04, 0x0F, 0x0B, 0x00, 0x01, 0x05)[self.pick(8)] | self.pick(2) << 15
            entry.nsid = self.pick(4)
        self._give(queue, entry.encode(), bytes((0, 4, 512, 4096)[self.pick(4)]))

    def manage(self) -> None:
        subsystem, target, pick = self.rig.target.subsystems[NQN], self.rig.target, self.pick
        mask = (None, [], [host_nqn("one")], [host_nqn("one"), host_nqn("witness")])[pick(4)]
        port = PortAddress(TransportType.TCP, "192.0.2.99", 1 + pick(3))
        actions: list[Callable[[], object]] = [
            lambda: subsystem.add_namespace(MemoryStore(BLOCK), nsid=2 + pick(3), ana_group=2, visible_to=mask),
            lambda: subsystem.remove_namespace(2 + pick(3)),
            lambda: subsystem.set_visible_to(2 + pick(3), mask),
            lambda: subsystem.move_namespace(2 + pick(3), 2 + pick(3)),
            lambda: subsystem.set_ana_state(2 + pick(3), STATES[pick(4)], portid=(None, 1, 2)[pick(3)]),
            lambda: subsystem.set_ana_state(2 + pick(3), AnaState.PERSISTENT_LOSS, portid=2),
            lambda: subsystem.change_ana_state(2 + pick(3), STATES[pick(4)], duration_ns=1 + pick(12 * SECOND)),
            lambda: subsystem.remove_ana_group(2 + pick(3)),
            lambda: subsystem.disconnect_host(host_nqn("one")),
            lambda: target.discovery.add_referral(port),
            lambda: target.discovery.remove_referral(port),
            lambda: target.add_subsystem(Subsystem(f"{NQN}:{pick(3)}")),
            lambda: target.remove_subsystem(f"{NQN}:{pick(3)}"),
            lambda: target.set_serves(self.rig.ports[1], (None, [], [NQN])[pick(3)]),
        ]
        actions[pick(len(actions))]()

    def check_witness(self) -> None:
        assert self.witness.read() == 0
        visible = [
            nsid
            for nsid, each in sorted(self.rig.target.subsystems[NQN].namespaces.items())
            if each.is_visible_to(self.witness.nqn)
        ]
        assert self.witness.nsids() == visible

    def end(self) -> None:
        """Close everything: nothing is left."""
        for queue in [*self.queues, self.witness.io, self.witness.admin]:
            queue.pump()
            queue.queue.closed()
        for queue in self.rig.by_queue:
            queue.closed()
        self.rig.settle()
        self.rig.run_for(30 * SECOND)
        assert self.rig.target.controllers == []
        assert [port.pool.free_buffers for port in self.rig.ports] == self.free
        assert self.rig.target.poll_deadline() is None
        assert self.rig.target.store_requests == []

    def _give(self, queue: RigQueue, entry: bytes, data: bytes) -> None:
        command = Command()
        command.words = SQE_WORDS(entry, 0)
        command.data_bytes = len(data)
        if self.rng.random() < 0.3 and data:
            command.capsule_data = memoryview(data)
        queue.host_data[command.words[0] >> 16] = data
        queue.queue.handle_capsule(command)
        queue.pump()


def run(seed: int, steps: int) -> Fuzzer:
    fuzzer = Fuzzer(seed)
    for index in range(steps):
        fuzzer.step()
        if index % 20 == 0:
            fuzzer.check_witness()
    fuzzer.end()
    return fuzzer


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_target_outlives_its_hosts_whatever_they_send_and_whatever_is_managed(seed: int) -> None:
    fuzzer = run(seed, 600)
    made = [each.controllers_made for each in fuzzer.rig.target.subsystems.values()]
    assert min(made[:3]) > 0, "controllers of every kind were there"
    assert fuzzer.refused > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_a_target_outlives_its_hosts_for_long(seed: int) -> None:
    run(seed, 5000)
