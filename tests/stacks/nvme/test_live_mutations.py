"""Damaged packets sent to a live target: every truncation and many mutations of each kind of packet that a host sends.

Half of the mutations carry a correct ICRC, so that they get past the checksum and into the state machines. The host
they pretend to come from may lose its connection over them; the target keeps serving another one, and loses nothing.
Every packet must be counted exactly once, under the one name that it has whatever the queue pairs do, if it has one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.host import HostConfig, HostNamespace
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET
from transports.datagram import Transmit
from transports.packets import Packet
from wire.roce import Bth, Opcode
from wire.roce.flow_icrc import FlowIcrc

WITNESS = "192.0.2.8"
TARGET_ADDRESS, INITIATOR_ADDRESS = (TARGET, 4791), (INITIATOR, 4791)
KEPT = bytes(range(256)) * 16 * 8
SAMPLES_MAX = 3
ATTRIBUTE_AT = 12 + 8 + 16
"""Where a MAD's attribute is: behind BTH, DETH and 16 bytes of its own header."""


class Attack:
    """A target with a victim, whose packets are damaged, and a witness, who must not notice."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rig = RdmaRig(
            MemoryStore(1 << 20), seed=seed, initiator=RdmaInitiatorConfig(path_mtu=1024, invalidates=True)
        )
        self.flow = FlowIcrc(INITIATOR_ADDRESS, TARGET_ADDRESS)
        self.samples: dict[tuple[int, int], list[bytes]] = {}
        self.injected = 0
        self.expected: Counter[str] = Counter()
        self.arrived = 0
        self.is_recording = True
        self.rig.network.hook = self._record
        self.rig.network.trace = self._count
        self.witness_core = RdmaInitiator(self.rig.device(WITNESS, seed + 7))
        self.witness_host = self.rig.network.attach(self.witness_core, self.witness_core.device.address)
        host = self.witness_core.connect(TARGET, HostConfig(nqn=NQN, keep_alive_ms=0), self.rig.simulation.now)
        self._run(lambda: host.is_live)
        self.witness: HostNamespace = host.namespace()
        self._do(self.witness, 200, KEPT)

    def record(self) -> None:
        """Have the victim do something of everything, and stop in good order."""
        for _ in range(2):
            namespace = self.rig.namespace()
            self._do(namespace, 0, bytes(4096))
            self._do(namespace, 0, bytes(4096 * 10))
            self.rig.do(namespace.read(0, memoryview(bytearray(4096 * 3))))
            self.rig.do(namespace.flush())
            self.rig.do(namespace.deallocate([(0, 4)]))
            host = self.rig.initiator.hosts[-1]
            host.stop(self.rig.simulation.now)
            self._run(lambda closing=host: closing.is_closed and self.rig.initiator.is_quiet)  # type: ignore[misc]
            self.rig.initiator.forget(host)
            self.rig.run_for(SECOND)
        self.is_recording = False

    def attack(self, damage: Callable[[bytes, int], list[bytes]]) -> None:
        """While a victim is connected, send damaged packets of each kind to its queue pairs, and to others.

        damage: given a packet and how many there are of its kind, what to send.
        """
        for kind, samples in sorted(self.samples.items()):
            host = self.rig.connect(HostConfig(nqn=NQN, keep_alive_ms=0))
            numbers = list(self.rig.rdma_target.device.qps)
            for sample in samples:
                for packet in damage(sample, len(samples)):
                    self._inject(self._aimed(packet, kind, numbers))
            self.rig.run_for(SECOND // 50)
            self._check_witness()
            if not host.is_closed:
                host.stop(self.rig.simulation.now)
            self.rig.run_for(SECOND)

    def settle(self) -> None:
        """What was attacked ends, and a fresh host finds everything in order."""
        namespace = self.rig.namespace()
        assert self.rig.read(namespace, 200, 8) == KEPT
        self._check_witness()

    def mutated(self, count: int) -> Callable[[bytes, int], list[bytes]]:
        """`count` mutations of each kind of packet, at least."""

        def damage(packet: bytes, samples: int) -> list[bytes]:
            return [self._mutate(packet) for _ in range(-(-count // samples))]

        return damage

    def truncated(self, packet: bytes, _samples: int) -> list[bytes]:
        """Every truncation that is a packet at all, with an ICRC that is right for what is left."""
        return [self._sealed(packet[:length]) for length in range(1, len(packet))]

    def _mutate(self, packet: bytes) -> bytes:
        damaged = bytearray(packet)
        for _ in range(1 + int(self.rng.random() * 3)):
            # Headers are where it hurts.
            reach = min(len(damaged), 64) if self.rng.random() < 0.8 else len(damaged)
            damaged[int(self.rng.random() * reach)] = int(self.rng.random() * 256)
        return self._sealed(bytes(damaged)) if self.rng.random() < 0.5 else bytes(damaged)

    def _sealed(self, packet: bytes) -> bytes:
        if len(packet) < 16:
            return packet
        return packet[:-4] + self.flow.icrc(packet).to_bytes(4, "little")

    def _aimed(self, packet: bytes, kind: tuple[int, int], numbers: list[int]) -> bytes:
        # Recorded packets name queue pairs that are gone; most are sent to ones that live.
        if kind[0] == Opcode.UD_SEND_ONLY or len(packet) < 16 or not numbers or self.rng.random() < 0.1:
            return packet
        is_sealed = self.flow.icrc(packet).to_bytes(4, "little") == packet[-4:]
        number = numbers[int(self.rng.random() * len(numbers))]
        qp = self.rig.rdma_target.device.qps.get(number)
        if qp is None or qp.remote_host != INITIATOR:
            return packet
        aimed = packet[:5] + number.to_bytes(3, "big") + packet[8:]
        return self._sealed(aimed) if is_sealed else aimed

    def _inject(self, payload: bytes) -> None:
        self.rig.network.send(Transmit((payload,), 0, None, TARGET_ADDRESS), INITIATOR_ADDRESS)
        self.injected += 1
        self.expected[counter_of(payload, self.flow)] += 1
        if self.injected % 50 == 0:
            self.rig.run_for(SECOND // 1000)

    def _record(self, packet: Packet) -> list[Packet]:
        if packet.source == INITIATOR_ADDRESS and self.is_recording:
            opcode = packet.payload[0]
            attribute = int.from_bytes(packet.payload[ATTRIBUTE_AT : ATTRIBUTE_AT + 2], "big")
            samples = self.samples.setdefault((opcode, attribute if opcode == Opcode.UD_SEND_ONLY else 0), [])
            if len(samples) < SAMPLES_MAX and packet.payload not in samples:
                samples.append(packet.payload)
        return [packet]

    def _count(self, _now: int, what: str, packet: Packet) -> None:
        self.arrived += what == "delivered" and packet.destination == TARGET_ADDRESS

    def _check_witness(self) -> None:
        into = bytearray(len(KEPT))
        transfer = self.witness.read(200, memoryview(into))
        self._run(lambda: transfer.is_done)
        assert transfer.status == 0
        assert into == KEPT

    def _do(self, namespace: HostNamespace, block: int, data: bytes) -> None:
        transfer = namespace.write(block, memoryview(bytearray(data)))
        self._run(lambda: transfer.is_done)
        assert transfer.status == 0

    def _run(self, condition: Callable[[], bool]) -> None:
        self.witness_host.wake()
        self.rig.run_until(condition)


def run(seed: int, mutations: int) -> Attack:
    attack = Attack(seed)
    attack.record()
    attack.attack(attack.truncated)
    attack.attack(attack.mutated(mutations))
    attack.settle()
    counters = attack.rig.rdma_target.device.counters.snapshot()
    assert {name: counters[name] for name in DEFINITE} == {name: attack.expected[name] for name in DEFINITE}
    assert sum(counters[name] for name in ("rcvd_pkts", *DEFINITE, *DEPENDING)) == attack.arrived
    return attack


def counter_of(packet: bytes, flow: FlowIcrc) -> str:
    """The counter of a packet that no receiver may take; empty when it depends on the receiver's queue pairs."""
    if len(packet) < SMALLEST or len(packet) % 4:
        return "rcvd_truncated_pkts"
    if flow.identification_of(memoryview(packet)) is None:
        return "rcvd_icrc_err"
    bth = Bth.decode(packet)
    if bth.tver:
        return "rcvd_version_err"
    if bth.pkey & 0x7FFF != 0x7FFF:
        return "rcvd_pkey_err"
    return "rcvd_truncated_pkts" if len(packet) - bth.pad_count < SMALLEST else ""


SMALLEST = 12 + 4
DEFINITE = ("rcvd_truncated_pkts", "rcvd_icrc_err", "rcvd_version_err", "rcvd_pkey_err")
DEPENDING = ("rcvd_qpn_err", "rcvd_source_err", "rcvd_opcode_err")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_live_target_survives_damaged_packets_of_every_kind(seed: int) -> None:
    attack = run(seed, mutations=200)
    kinds = {opcode for opcode, _ in attack.samples}
    assert {
        Opcode.RC_SEND_ONLY,
        Opcode.RC_SEND_FIRST,
        Opcode.RC_READ_RESPONSE_FIRST,
        Opcode.RC_READ_RESPONSE_MIDDLE,
        Opcode.RC_ACKNOWLEDGE,
        Opcode.UD_SEND_ONLY,
    } <= kinds
    counters = attack.rig.rdma_target.device.counters
    assert min(attack.expected[name] for name in DEFINITE) > 10
    assert counters.rcvd_opcode_err + counters.rcvd_qpn_err > 10


@pytest.mark.long
def test_a_live_target_survives_ten_thousand_damaged_packets_of_every_kind() -> None:
    run(3, mutations=10_000)
