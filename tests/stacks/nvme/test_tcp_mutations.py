"""Damaged PDUs sent to a live target and to a live initiator: no exception, the right end, and others lose nothing."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.host import HostConfig, HostNamespace, Transfer
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_mutations import Mutator, every_field, with_field
from tests.stacks.nvme.tcp_raw import MILLISECOND, RawHost, Relay, in_capsule, outside, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from tests.wire.nvme.tcp_pdus import Pdu, pdus
from wire.nvme.kinds import TcpPduKind
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.status import StatusCode
from wire.nvme.tcp_codec import TcpHostData, TcpInitializeRequest, TcpTerminate

KEPT = bytes(range(256)) * 16 * 8
KEPT_AT = 200
SHELVES = ((8 << 10, 64), (128 << 10, 16), (1 << 20, 8))
BUFFERS = 64 + 16 + 8
HOSTS_MAX = 60
"""Of one world: each is woken whenever anything happens."""


class Attack:
    """A target with a witness, who must not notice anything, and hosts that send what they should not."""

    def __init__(self, seed: int, *, digests: int, shortcuts: bool = True) -> None:
        self.rng = random.Random(seed)
        self.digests = digests
        self.shortcuts = shortcuts
        self.terminations = 0
        self.rig = TcpRig(
            MemoryStore(1 << 20),
            seed=seed,
            target=TcpTargetConfig(
                shelves=SHELVES,
                host_data_bytes=8192,
                pending_per_host=1000,
                pending_max=1000,
                shortcuts=shortcuts,
            ),
        )
        self.witness: HostNamespace = self.rig.namespace(keep_alive_ms=0)
        self._do(self.witness.write(KEPT_AT, memoryview(KEPT)))
        self.hosts: list[RawHost] = []
        self.number = 0

    def renewed(self) -> Attack:
        """This, or another one when there are many hosts already."""
        if len(self.hosts) < HOSTS_MAX:
            return self
        self.settle()
        again = Attack(self.rng.getrandbits(30), digests=self.digests, shortcuts=self.shortcuts)
        again.terminations = self.terminations + self.rig.tcp_target.counters.terminations_sent
        return again

    def fresh(self) -> RawHost:
        """A connection without a word."""
        self.number += 1
        host = RawHost(self.rig, f"192.1.{self.number >> 8}.{self.number & 0xFF}")
        self.hosts.append(host)
        return host

    def connected(self) -> RawHost:
        """A host's I/O queue; with its admin queue."""
        self.number += 1
        admin, io = raw_io(self.rig, f"192.2.{self.number >> 8}.{self.number & 0xFF}", digests=self.digests)
        self.hosts += [admin, io]
        return io

    def session(self, host: RawHost) -> list[bytes]:
        """What a host says: commands with and without data, data that was asked for, and its end."""
        host.send(host.capsule(IoOpcode.WRITE, sgl=outside(16384), nsid=1, cdw12=3))
        [request] = host.take()
        pieces = [
            host.sealed(
                TcpHostData(
                    flags=4 * (at > 0), cid=host.cid, ttag=request.field("ttag"), offset=at, length=8192
                ),
                b"d" * 8192,
            )
            for at in (0, 8192)
        ]
        return [
            *pieces,
            host.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1),
            host.capsule(IoOpcode.WRITE, sgl=in_capsule(4096), data=b"w" * 4096, nsid=1, cdw10=9),
            host.capsule(IoOpcode.FLUSH, nsid=1),
            host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1),
            host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1, cdw10=1),
            TcpTerminate(fes=1, plen=32).encode() + bytes(8),
        ]

    def send(self, host: RawHost, stream: bytes) -> None:
        """Send in pieces of any size."""
        while stream:
            cut = 1 + int(self.rng.random() * len(stream) * 1.5)
            host.core.output.append(stream[:cut])
            host.run(MILLISECOND // 10)
            stream = stream[cut:]
        host.run()

    def check(self) -> None:
        """The witness reads what it wrote, and each attacker has got nothing that cannot be."""
        into = bytearray(len(KEPT))
        self._do(self.witness.read(KEPT_AT, memoryview(into)))
        assert into == KEPT
        for host in self.hosts:
            check_stream(host)

    def settle(self) -> None:
        """When the attackers are gone, so is everything they had."""
        for host in self.hosts:
            host.close()
        self.rig.run_for(15 * SECOND)
        self.check()
        assert self.rig.tcp_target.queue_count == 2
        assert self.rig.target_host.streams.connection_count == 2
        assert self.rig.tcp_target.port.pool.free_buffers == BUFFERS
        assert len(self.rig.target.controllers) == 1

    def _do(self, transfer: Transfer) -> None:
        self.rig.finish(transfer)
        assert transfer.status == 0


def check_stream(host: RawHost) -> None:
    """What a target said is PDUs from end to end, right to the last digest; after a TermReq there is nothing."""
    found = host.pdus
    assert sum(each.plen for each in found) == len(host.core.received)
    for each in found:
        assert each.is_header_intact
        assert each.is_data_intact
    kinds = [each.kind for each in found]
    assert TcpPduKind.CONTROLLER_TERMINATE not in kinds[:-1]
    if host.termination is not None:
        assert 1 <= host.termination.fes <= 6
        assert host.is_closed


@pytest.mark.slow
@pytest.mark.parametrize("digests", [0, 3])
@pytest.mark.parametrize("seals", [True, False])
def test_each_field_of_an_icreq_may_have_any_value(digests: int, seals: bool) -> None:
    attack = Attack(1, digests=digests)
    raw = TcpInitializeRequest(digests=digests).encode()
    for name, value in every_field(raw):
        attack = attack.renewed()
        host = attack.fresh()
        attack.send(host, with_field(raw, name, value, seals=seals))
        # Every field that the specification gives a range is judged.
        is_judged = name in ("kind", "hlen", "plen") or (name == "pfv") or (name == "hpda" and int(value) > 31)
        assert (host.termination is not None) == is_judged or host.pdus == [], (name, value)
    attack.check()
    attack.settle()


KINDS_OF_SESSION = {"H2CData": 0, "read": 2, "write": 3, "flush": 4, "termination": -1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_SESSION)
@pytest.mark.parametrize("digests", [0, 3])
def test_each_field_of_each_pdu_may_have_any_value(kind: str, digests: int) -> None:
    attack = Attack(2, digests=digests)
    host = attack.connected()
    fields = list(every_field(attack.session(host)[KINDS_OF_SESSION[kind]]))
    # Entry fields are the core's to judge; a few are enough here.
    fields = [
        each
        for number, each in enumerate(fields)
        if not each[0].startswith("sqe_") or (kind == "read" and not number % 4)
    ]
    for name, value in fields:
        for seals in (True, False) if digests else (True,):
            attack = attack.renewed()
            host = attack.connected()
            raw = attack.session(host)[KINDS_OF_SESSION[kind]]
            attack.send(host, with_field(raw, name, value, seals=seals))
            check_stream(host)
            if not seals and name != "plen" and kind != "termination":
                assert host.is_closed, (name, value)
            host.close()
    attack.check()
    attack.settle()


@pytest.mark.slow
@pytest.mark.parametrize("digests", [0, 3])
def test_every_truncation_is_waited_for_and_no_more(digests: int) -> None:
    attack = Attack(3, digests=digests)
    raw = attack.session(attack.connected())[3]
    host = attack.connected()
    for length in [*range(0, 90, 7), len(raw) - 5, len(raw) - 1]:
        host = attack.connected()
        whole = attack.session(host)[3]
        attack.send(host, whole[:length])
        assert host.take() == []
        attack.send(host, whole[length:])
        assert [each.kind for each in host.take()] == [TcpPduKind.COMPLETION]
        attack.send(host, whole[:length])
        host.close()
    attack.settle()


def run(seed: int, sessions: int, *, digests: int, shortcuts: bool = True) -> Attack:
    attack = Attack(seed, digests=digests, shortcuts=shortcuts)
    mutator = Mutator(random.Random(seed))
    for number in range(sessions):
        attack = attack.renewed()
        if attack.rng.random() < 0.15:
            host = attack.fresh()
            request = TcpInitializeRequest(digests=digests).encode()
            stream = mutator.damaged([request, host.capsule(AdminOpcode.IDENTIFY)])
        else:
            host = attack.connected()
            stream = mutator.damaged(attack.session(host))
        attack.send(host, stream)
        if attack.rng.random() < 0.7:
            host.close()
        if number % 10 == 9:
            attack.check()
    attack.settle()
    return attack


@pytest.mark.slow
@pytest.mark.parametrize("digests", [0, 1, 2, 3])
@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_live_target_survives_damaged_sessions(digests: int, shortcuts: bool) -> None:
    attack = run(10 + digests, 60, digests=digests, shortcuts=shortcuts)
    assert attack.terminations + attack.rig.tcp_target.counters.terminations_sent > 15


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_a_live_target_survives_many_damaged_sessions(seed: int) -> None:
    run(seed, 250, digests=seed % 4, shortcuts=bool(seed // 4 % 2))


# The other way: a controller that says what it should not


class Liar:
    """An initiator with two associations: one through a relay that damages what the target says, one without."""

    def __init__(self, seed: int, *, digests: int, shortcuts: bool = True) -> None:
        self.rng = random.Random(seed)
        self.mutator = Mutator(self.rng)
        self.digests = digests
        self.rig = TcpRig(
            MemoryStore(1 << 20),
            seed=seed,
            initiator=TcpInitiatorConfig(digests=digests, shortcuts=shortcuts),
            target=TcpTargetConfig(shelves=SHELVES, host_data_bytes=8192),
        )
        self.rate = 0.0
        self.damage_count = 0
        self.witness = self.rig.namespace(keep_alive_ms=0)
        self._do(self.witness.write(KEPT_AT, memoryview(KEPT)))
        self.relay = Relay(self.rig, change=self._change)

    def _change(self, _: int, each: Pdu) -> bytes:
        if self.rng.random() >= self.rate:
            return each.raw
        self.damage_count += 1
        return self.mutator.one(each.raw)

    def round(self) -> None:
        """Connect and do I/O while PDUs are damaged; whatever becomes of that, the other association goes on."""
        self.rate = 0.03 if self.rng.random() < 0.7 else 0.2
        config = HostConfig(nqn=NQN, keep_alive_ms=0, command_timeout_ns=SECOND)
        host = self.rig.initiator.connect(self.relay.address, config, self.rig.simulation.now)
        self.rig.run_until(lambda: host.is_live or host.is_closed)
        if host.is_live and host.namespaces:
            self._use(next(iter(host.namespaces.values())))
        self.rate = 0.0
        into = bytearray(len(KEPT))
        self._do(self.witness.read(KEPT_AT, memoryview(into)))
        assert into == KEPT
        if not host.is_closed:
            host.stop(self.rig.simulation.now)
        self.rig.run_until(lambda: host.is_closed)
        self.rig.run_for(3 * SECOND)
        self.rig.initiator.forget(host)
        for near, far in self.relay.end.pairs:
            near.is_over = far.is_over = True
        self.relay.host.wake()
        self.rig.run_for(SECOND // 10)

    def _use(self, namespace: HostNamespace) -> None:
        done: dict[int, bytes] = {}
        buffers = []
        started: list[Transfer] = []
        if namespace.block_bytes != 4096 or namespace.block_count != 256:
            # What Identify said was damaged on its way.
            return

        def start(number: int, *, writes: bool) -> None:
            memory = bytearray(KEPT[: 8192 * (1 + number % 3)] if writes else 8192 * (1 + number % 3))
            buffers.append(memory)

            def finished(transfer: Transfer) -> None:
                assert number not in done
                done[number] = bytes(memory)
                if not writes and not transfer.status and self.is_watertight:
                    assert memory == KEPT[: len(memory)]
                # The program has its memory back, and nothing touches it any more.
                memory[:] = b"?" * len(memory)

            if writes:
                started.append(namespace.write(100, memoryview(memory), done=finished))
            else:
                started.append(namespace.read(KEPT_AT, memoryview(memory), done=finished))

        for number in range(24):
            start(number, writes=number % 4 == 3)
        self.rig.finish(*started)
        self.rig.run_for(SECOND // 10)
        assert len(done) == 24
        assert all(set(memory) == {ord("?")} for memory in buffers)

    @property
    def is_watertight(self) -> bool:
        """Whether no damage can pass as data: with both digests, but the mutator seals headers at times."""
        return False

    def _do(self, transfer: Transfer) -> None:
        self.rig.finish(transfer)
        assert transfer.status == 0, StatusCode(transfer.status)


class FlippingLiar(Liar):
    """Damages by flipped bits alone, which two digests must not let through."""

    def _change(self, _: int, each: Pdu) -> bytes:
        if self.rng.random() >= self.rate or each.kind <= TcpPduKind.CONTROLLER_TERMINATE:
            return each.raw
        self.damage_count += 1
        raw = bytearray(each.raw)
        for _ in range(1 + self.mutator.pick(3)):
            raw[self.mutator.pick(len(raw))] ^= 1 << self.mutator.pick(8)
        return bytes(raw)

    @property
    def is_watertight(self) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("digests", [0, 3])
@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_live_initiator_survives_damaged_controllers(digests: int, shortcuts: bool) -> None:
    liar = Liar(20 + digests, digests=digests, shortcuts=shortcuts)
    for _ in range(30):
        liar.round()
    assert liar.damage_count > 20


@pytest.mark.slow
def test_two_digests_let_no_flipped_bit_through() -> None:
    liar = FlippingLiar(5, digests=3)
    for _ in range(30):
        liar.round()
    assert liar.damage_count > 20
    assert liar.rig.initiator.data_digest_errors > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 230))
def test_a_live_initiator_survives_many_damaged_controllers(seed: int) -> None:
    liar = (FlippingLiar if seed % 3 == 0 else Liar)(seed, digests=3 if seed % 3 == 0 else seed % 4)
    for _ in range(150):
        liar.round()


def test_the_mutator_damages_every_kind() -> None:
    mutator = Mutator(random.Random(1))
    raw = TcpInitializeRequest().encode()
    assert len({mutator.one(raw) for _ in range(100)}) > 60
    assert next(iter(pdus(raw))).raw == raw
