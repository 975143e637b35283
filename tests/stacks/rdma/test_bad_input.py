"""Packets that no honest peer sends: nothing raises, each is counted, and a second queue pair keeps all it has."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.rdma import AddressVector, QpAttributes, QpState, RecvWr, SendWr, Sge, WrOpcode
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, ROCE_PORT, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, HOSTS
from transports.datagram import Burst, Transmit
from wire.header import Header
from wire.roce import OPCODES, Aeth, AtomicAckEth, AtomicEth, Deth, Ieth, ImmDt, Opcode, Reth, parse_packet
from wire.roce.flow_icrc import FlowIcrc

MUTATIONS, LONG_MUTATIONS = 200, 10_000
RC_OPCODES = [opcode for opcode in Opcode if opcode >> 5 == 0]
HERE = FIRST_PSN
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def headers_of(rig: HandRig, opcode: Opcode) -> list[Header]:
    """Extended headers that an honest packet of this kind would have."""
    info = OPCODES[opcode]
    assert info is not None
    address, key = rig.end.mr.address, rig.end.mr.rkey
    values = {
        Reth: Reth(va=address, rkey=key, length=64),
        AtomicEth: AtomicEth(va=address, rkey=key, swap_add=1),
        Aeth: Aeth(syndrome=ACK),
        AtomicAckEth: AtomicAckEth(original=1),
        ImmDt: ImmDt(imm=b"1234"),
        Ieth: Ieth(rkey=0x80000000),
    }
    return [values.get(kind, kind()) for kind in info.headers]


def example(rig: HandRig, opcode: Opcode, psn: int = HERE) -> bytes:
    """One packet of each kind, with data where it may have some."""
    info = OPCODES[opcode]
    assert info is not None
    size = (64 if info.has_payload else 0) if "ONLY" in opcode.name or "LAST" in opcode.name else MTU
    payload = bytes(size) if info.has_payload else b""
    return rig.packet(opcode, *headers_of(rig, opcode), payload=payload, psn=psn)


class Bystander:
    """A second queue pair of the same device, whose peer is the test too, and which must not notice anything."""

    def __init__(self, rig: HandRig) -> None:
        self.rig = rig
        self.host = "192.0.2.200"
        self.peer = rig.network.open((self.host, ROCE_PORT))
        self.flow = FlowIcrc((self.host, ROCE_PORT), rig.end.device.address)
        self.memory = bytearray(4096)
        end = rig.end
        self.cq = end.device.create_cq(1 << 20)
        self.qp = end.pd.create_qp(send_cq=self.cq, recv_cq=self.cq)
        modify = self.qp.modify
        modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=FULL_ACCESS))
        modify(
            QpAttributes(
                state=QpState.RTR, av=AddressVector(destination=self.host), path_mtu=MTU, dest_qpn=77, rq_psn=0,
                max_dest_rd_atomic=1, min_rnr_timer=1,
            )
        )  # fmt: skip
        modify(QpAttributes(state=QpState.RTS, timeout=0, retry_cnt=7, rnr_retry=7, sq_psn=0, max_qp_rd_atomic=1))
        self.mr = end.pd.reg_mr(self.memory)
        self.count = 0

    def check(self) -> None:
        """A message arrives whole, is acknowledged, and one of its own leaves."""
        rig, number = self.rig, self.count
        self.count += 1
        content = number.to_bytes(4, "big") * 4
        self.qp.post_recv(RecvWr(number, [rig.end.sge(0, 0)]))
        packet = rig.packet(Opcode.RC_SEND_ONLY, psn=number, dest_qp=self.qp.number)[:-4]
        packet += self.flow.icrc(packet + bytes(4)).to_bytes(4, "little")
        self.peer.send(Transmit([packet], len(packet), None, rig.end.device.address))
        self.memory[:16] = content
        self.qp.post_send(SendWr(number, WrOpcode.SEND, [self.sge()]))
        rig.simulation.run_for(30_000)
        assert [(wc.wr_id, wc.status.name, wc.opcode.name) for wc in self.cq.poll()] == [(number, "SUCCESS", "RECV")]
        received = []
        while (burst := self.peer.receive()) is not None:
            size = burst.segment_bytes
            received += [parse_packet(burst.view[at : at + size]) for at in range(0, len(burst.view), size)]
        kinds = {packet.bth.opcode: packet for packet in received}
        assert kinds[Opcode.RC_SEND_ONLY].payload == content
        assert kinds[Opcode.RC_ACKNOWLEDGE].bth.psn == number
        ack = rig.packet(Opcode.RC_ACKNOWLEDGE, Aeth(syndrome=ACK), psn=number, ack=False, dest_qp=self.qp.number)[:-4]
        ack += self.flow.icrc(ack + bytes(4)).to_bytes(4, "little")
        self.peer.send(Transmit([ack], len(ack), None, rig.end.device.address))
        rig.simulation.run_for(30_000)
        assert [(wc.wr_id, wc.status.name, wc.opcode.name) for wc in self.cq.poll()] == [(number, "SUCCESS", "SEND")]

    def sge(self) -> Sge:
        """What it sends."""
        return Sge(self.mr.address, 16, self.mr.lkey)


def busy(rig: HandRig) -> None:
    """Have the queue pair in the middle of things: receives posted, a READ, an atomic and a SEND out."""
    end = rig.end
    for number in range(8):
        end.recv(number, 0, 2 * MTU)
    end.send(20, WrOpcode.RDMA_READ, 4096, 2 * MTU)
    end.send(21, WrOpcode.ATOMIC_FETCH_AND_ADD, 0, 8)
    end.send(22, WrOpcode.SEND, 0, 64)
    rig.received()


def revive(rig: HandRig) -> None:
    """Make a queue pair that was ended live and busy again."""
    if rig.end.qp.state is not QpState.RTS:
        rig.end.qp.modify(QpAttributes(state=QpState.RESET))
        rig.connect(FULL_ACCESS, {"timeout": 0})
        busy(rig)
        while rig.end.device.poll_async_event():
            pass
    rig.end.cq.poll(10_000)


def counted(rig: HandRig) -> int:
    """Everything that arrived: taken, or dropped under a name."""
    counters = rig.end.device.counters.snapshot()
    names = ("rcvd_pkts", *(name for name in counters if name.startswith("rcvd_") and name.endswith(NAMED)))
    return sum(counters[name] for name in set(names))


NAMED = ("truncated_pkts", "icrc_err", "version_err", "pkey_err", "qpn_err", "source_err", "opcode_err")


@each_way
@pytest.mark.parametrize("opcode", RC_OPCODES, ids=lambda opcode: opcode.name)
def test_every_truncation_is_counted_and_never_raises(opcode: Opcode, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    other = Bystander(rig)
    busy(rig)
    packet = example(rig, opcode)
    for length in range(1, len(packet)):
        before = counted(rig)
        rig.put(packet[:length])
        assert counted(rig) == before + 1
        if length >= 12:
            # The same with an ICRC that is right for what is left.
            before = counted(rig)
            rig.put(rig.seal(packet[:length]))
            assert counted(rig) == before + 1
            revive(rig)
    other.check()


def mutate_header(rig: HandRig, rng: random.Random, packet: bytes) -> bytes:
    """Random bytes in the BTH and extended headers, with a good ICRC; the queue pair usually stays the same."""
    changed = bytearray(packet[:-4])
    for _ in range(1 + int(rng.random() * 3)):
        offset = int(rng.random() * min(len(changed), 48))
        if not 4 <= offset < 8 or rng.random() < 0.1:
            changed[offset] = int(rng.random() * 256)
    if rng.random() < 0.5:
        changed[9:12] = (HERE - 2 + int(rng.random() * 8) & 0xFFFFFF).to_bytes(3, "big")
    return rig.seal(bytes(changed))


def mutate_length(rig: HandRig, rng: random.Random, packet: bytes) -> bytes:
    """Longer or shorter, with a good ICRC."""
    end = 12 + int(rng.random() * 40) if rng.random() < 0.5 else len(packet) - 4
    return rig.seal(packet[:end] + bytes(int(rng.random() * 600)))


def mutate_bits(_rig: HandRig, rng: random.Random, packet: bytes) -> bytes:
    """Corruption as a wire makes it."""
    changed = bytearray(packet)
    for _ in range(1 + int(rng.random() * 20)):
        changed[int(rng.random() * len(changed))] ^= 1 << int(rng.random() * 8)
    return bytes(changed)


MUTATORS: list[Callable[[HandRig, random.Random, bytes], bytes]] = [mutate_header, mutate_length, mutate_bits]


def send_mutations(
    mutate: Callable[[HandRig, random.Random, bytes], bytes], opcode: Opcode, count: int, *, shortcuts: bool
) -> None:
    rng = random.Random(f"{mutate.__name__} {opcode}")
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    other = Bystander(rig)
    busy(rig)
    for number in range(count):
        psn = HERE + int(rng.random() * 6) - 2
        before, bystanders = counted(rig), other.qp.number
        packet = mutate(rig, rng, example(rig, opcode, psn))
        if int.from_bytes(packet[5:8], "big") == bystanders:
            continue
        rig.put(packet)
        assert counted(rig) == before + 1
        revive(rig)
        if number % 50 == 0:
            other.check()
    other.check()
    rig.wait(10**9)


@pytest.mark.slow
@each_way
@pytest.mark.parametrize("mutate", MUTATORS)
@pytest.mark.parametrize("opcode", RC_OPCODES, ids=lambda opcode: opcode.name)
def test_mutated_packets_are_counted_and_never_raise(
    opcode: Opcode, mutate: Callable[[HandRig, random.Random, bytes], bytes], shortcuts: bool
) -> None:
    send_mutations(mutate, opcode, MUTATIONS // 6, shortcuts=shortcuts)


@pytest.mark.long
@each_way
@pytest.mark.parametrize("mutate", MUTATORS)
@pytest.mark.parametrize("opcode", RC_OPCODES, ids=lambda opcode: opcode.name)
def test_many_mutated_packets_are_counted_and_never_raise(
    opcode: Opcode, mutate: Callable[[HandRig, random.Random, bytes], bytes], shortcuts: bool
) -> None:
    send_mutations(mutate, opcode, LONG_MUTATIONS // 6, shortcuts=shortcuts)


DROPS = {
    "rcvd_version_err": lambda rig: rig.packet(Opcode.RC_SEND_ONLY, tver=1),
    "rcvd_pkey_err": lambda rig: rig.packet(Opcode.RC_SEND_ONLY, pkey=0x1234),
    "rcvd_qpn_err": lambda rig: rig.packet(Opcode.RC_SEND_ONLY, dest_qp=rig.end.qp.number ^ 0x800000),
    "rcvd_opcode_err": lambda rig: rig.packet(Opcode.UC_SEND_ONLY),
    "rcvd_truncated_pkts": lambda rig: rig.seal(rig.packet(Opcode.RC_SEND_ONLY, pad_count=3)[:-4]),
    "rcvd_icrc_err": lambda rig: rig.packet(Opcode.RC_SEND_ONLY)[:-4] + b"abcd",
    "rcvd_mad_err": lambda rig: rig.packet(Opcode.RC_SEND_ONLY, dest_qp=1),
}


@each_way
@pytest.mark.parametrize("name", DROPS)
def test_what_is_wrong_with_a_packet_names_its_counter(name: str, shortcuts: bool) -> None:
    """IBTA 9.6.1: version, transport of the opcode, P_Key, destination, ICRC."""
    rig = HandRig(shortcuts=shortcuts)
    rig.end.recv(1, 0, 64)
    rig.put(DROPS[name](rig))
    counters = rig.end.device.counters.snapshot()
    assert counters[name] == 1
    assert rig.received() == []
    assert rig.completed() == []
    assert rig.end.qp.state is QpState.RTS


@each_way
def test_the_limited_key_and_both_migration_bits_are_accepted(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    for number, bits in enumerate(({"pkey": 0x7FFF}, {"mig_req": 1}, {"fecn": 1}, {"becn": 1})):
        rig.end.recv(number)
        rig.request(Opcode.RC_SEND_ONLY, **bits)
    assert rig.completed() == [(number, "SUCCESS") for number in range(4)]


def test_a_good_packet_from_a_host_that_is_not_the_peer_is_dropped() -> None:
    rig = HandRig()
    stranger = rig.network.open(("192.0.2.66", ROCE_PORT))
    flow = FlowIcrc(("192.0.2.66", ROCE_PORT), rig.end.device.address)
    packet = rig.packet(Opcode.RC_SEND_ONLY)[:-4]
    packet += flow.icrc(packet + bytes(4)).to_bytes(4, "little")
    for count in (1, 2):
        stranger.send(Transmit([packet] * count, len(packet), None, rig.end.device.address))
    rig.wait(100_000)
    assert rig.end.device.counters.rcvd_source_err == 3
    assert rig.end.qp.state is QpState.RTS


def test_another_source_port_of_the_peer_is_as_good() -> None:
    rig = HandRig()
    rig.end.recv(1)
    peer = rig.network.open((HOSTS[0], 60_000))
    flow = FlowIcrc((HOSTS[0], 60_000), rig.end.device.address)
    packet = rig.packet(Opcode.RC_SEND_ONLY)[:-4]
    packet += flow.icrc(packet + bytes(4)).to_bytes(4, "little")
    peer.send(Transmit([packet], len(packet), None, rig.end.device.address))
    rig.wait(100_000)
    assert rig.completed() == [(1, "SUCCESS")]


@pytest.mark.slow
def test_sources_of_another_family_and_floods_of_them_are_survived() -> None:
    rig = HandRig()
    device = rig.end.device
    packet = memoryview(rig.packet(Opcode.RC_SEND_ONLY))
    device.handle_burst(Burst(packet, len(packet), ("2001:db8::9", ROCE_PORT), device.address), 0)
    assert device.counters.rcvd_source_err == 1
    for number in range(5000):
        device.handle_burst(Burst(packet, len(packet), (HOSTS[0], number), device.address), 0)
    rig.end.recv(1)
    rig.request(Opcode.RC_SEND_ONLY)
    assert rig.completed() == [(1, "SUCCESS")]


@each_way
@pytest.mark.parametrize("bad", [0, 1, 4, 9])
def test_a_bad_packet_in_a_burst_costs_only_itself(bad: int, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    for number in range(10):
        rig.end.recv(number)
    run = [bytearray(rig.packet(Opcode.RC_SEND_ONLY, psn=HERE + number)) for number in range(10)]
    for number, packet in enumerate(run):
        packet[-4:] = rig.flow.icrc(packet, number).to_bytes(4, "little")
    run[bad][-1] ^= 1
    view = memoryview(b"".join(run))
    device = rig.end.device
    device.handle_burst(Burst(view, len(run[0]), (HOSTS[0], ROCE_PORT), device.address, identification=0), 0)
    assert rig.completed() == [(number, "SUCCESS") for number in range(bad)]
    assert device.counters.rcvd_icrc_err == 1
    assert device.counters.rcvd_ahead_pkts == 9 - bad


@each_way
def test_bursts_of_several_queue_pairs_kinds_and_a_short_end_are_taken_apart(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    second = rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=rig.end.cq)
    first, rig.end.qp = rig.end.qp, second
    rig.connect(FULL_ACCESS, {})
    for qp in (first, second):
        for number in range(3):
            qp.post_recv(RecvWr(number, [rig.end.sge(0, 64)]))
    packets = [
        rig.packet(Opcode.RC_SEND_ONLY, psn=HERE, payload=bytes(8), dest_qp=first.number),
        rig.packet(Opcode.RC_SEND_ONLY, psn=HERE, payload=bytes(8), dest_qp=second.number),
        rig.packet(Opcode.RC_SEND_ONLY, psn=HERE + 1, payload=bytes(8), dest_qp=first.number, tver=3),
        rig.packet(Opcode.RC_SEND_ONLY, psn=HERE + 1, payload=bytes(7), dest_qp=first.number),
        rig.packet(Opcode.RC_SEND_ONLY, psn=HERE + 2, payload=bytes(4), dest_qp=first.number),
    ]
    device = rig.end.device
    view = memoryview(b"".join(packets))
    device.handle_burst(Burst(view, len(packets[0]), (HOSTS[0], ROCE_PORT), device.address), 0)
    assert [(wc.wr_id, wc.byte_len, wc.qp_num) for wc in rig.end.cq.poll()] == [
        (0, 8, first.number), (0, 8, second.number), (1, 7, first.number), (2, 4, first.number),
    ]  # fmt: skip
    assert device.counters.rcvd_version_err == 1


def test_a_management_packet_of_the_wrong_kind_is_counted() -> None:
    rig = HandRig()
    mad = bytes(256)
    rig.put(
        rig.packet(Opcode.UD_SEND_ONLY, Deth(qkey=5, source_qp=1), payload=mad, dest_qp=1),
        rig.packet(Opcode.UD_SEND_ONLY, Deth(qkey=0x80010000, source_qp=1), payload=mad[1:], dest_qp=1),
        rig.packet(Opcode.RC_SEND_ONLY, Deth(qkey=0x80010000, source_qp=1), payload=mad, dest_qp=1),
    )
    assert rig.end.device.counters.rcvd_mad_err == 3
    assert rig.end.device.counters.rcvd_pkts == 3
