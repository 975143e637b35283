"""Headers that the data path writes and reads by hand are, bit for bit, those of the codecs in wire.roce."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import SendWr, WrOpcode
from stacks.rdma.counters import RdmaCounters
from stacks.rdma.egress import Egress
from stacks.rdma.reliable.responses import aeth_bytes
from stacks.rdma.work import SendWqe
from tests.stacks.rdma.hand import FIRST_PSN, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS
from transports.datagram import Burst
from wire.roce import Aeth, Bth, Ieth, ImmDt, Opcode, Reth, icrc, parse_packet
from wire.roce.flow_icrc import FlowIcrc

HERE, THERE = ("192.0.2.1", 4791), ("192.0.2.2", 4791)
ROUNDS = 300
EDGES = (0, 1, -1)


def draw(rng: random.Random, bits: int) -> int:
    """A number of so many bits, now and then the smallest or the largest."""
    edge = int(rng.random() * 20)
    return EDGES[edge] & (1 << bits) - 1 if edge < len(EDGES) else rng.getrandbits(bits)


def test_the_reth_of_a_write_is_that_of_the_codec() -> None:
    rng = random.Random(1)
    for _ in range(ROUNDS):
        va, rkey, length = draw(rng, 64), draw(rng, 32), draw(rng, 32)
        for opcode in (WrOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM):
            wr = SendWr(1, opcode, remote_address=va, rkey=rkey, imm_data=b"1234")
            assert SendWqe(wr, length, 0, 0, 0).header == Reth(va=va, rkey=rkey, length=length).encode()


def test_immediate_data_and_the_key_to_invalidate_are_those_of_the_codecs() -> None:
    rng = random.Random(2)
    for _ in range(ROUNDS):
        key, imm = draw(rng, 32), rng.randbytes(4)
        wr = SendWr(1, WrOpcode.SEND_WITH_INV, invalidate_rkey=key)
        assert SendWqe(wr, 0, 0, 0, 0).trailer == Ieth(rkey=key).encode()
        for opcode in (WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM):
            assert SendWqe(SendWr(1, opcode, imm_data=imm), 0, 0, 0, 0).trailer == ImmDt(imm=imm).encode()


def test_the_aeth_of_a_response_is_that_of_the_codec_and_wraps_the_msn() -> None:
    rng = random.Random(3)
    for _ in range(ROUNDS):
        syndrome, msn = draw(rng, 8), draw(rng, 40)
        assert aeth_bytes(syndrome, msn) == Aeth(syndrome=syndrome, msn=msn & 0xFFFFFF).encode()


def test_an_acknowledgement_is_what_the_codecs_and_the_icrc_make_of_it() -> None:
    rng = random.Random(4)
    for _ in range(ROUNDS):
        syndrome, psn, msn, dest_qp = draw(rng, 8), draw(rng, 40), draw(rng, 40), draw(rng, 24)
        flow, counters = FlowIcrc(HERE, THERE), RdmaCounters()
        egress = Egress(flow, dest_qp, THERE, 1024, counters, transport=0, segment_limit=64)
        transmit = egress.acknowledge(syndrome, psn, msn=msn)
        bth = Bth(opcode=Opcode.RC_ACKNOWLEDGE, pkey=0xFFFF, dest_qp=dest_qp, psn=psn & 0xFFFFFF)
        body = bth.encode() + Aeth(syndrome=syndrome, msn=msn & 0xFFFFFF).encode()
        assert b"".join(transmit.views) == body + FlowIcrc(HERE, THERE).icrc(body + bytes(4)).to_bytes(4, "little")
        assert (transmit.segment_bytes, transmit.destination, counters.sent_pkts) == (0, THERE, 1)


def test_the_icrc_of_an_acknowledgement_is_that_of_the_whole_ip_packet() -> None:
    egress = Egress(FlowIcrc(HERE, THERE), 77, THERE, 1024, RdmaCounters(), transport=0, segment_limit=64)
    content = b"".join(egress.acknowledge(0x1F, 5, msn=6).views)
    udp = b"".join(number.to_bytes(2, "big") for number in (4791, 4791, 8 + len(content), 0))
    # Version, length, DF, UDP and addresses; what the ICRC masks (TOS, TTL, checksum) is left 0.
    head = bytes([0x45, 0]) + (28 + len(content)).to_bytes(2, "big") + bytes([0, 0, 0x40, 0, 0, 17, 0, 0])
    packet = head + bytes([192, 0, 2, 1]) + bytes([192, 0, 2, 2]) + udp + content
    assert icrc(packet) == int.from_bytes(content[-4:], "little")
    assert parse_packet(memoryview(content)).find(Aeth) == Aeth(syndrome=0x1F, msn=6)


def hear_writes(rig: HandRig, reths: list[Reth], payloads: list[bytes]) -> None:
    """WRITEs of one packet each in one burst, from the next PSN on."""
    packets = []
    for number, (header, payload) in enumerate(zip(reths, payloads, strict=True)):
        body = rig.packet(Opcode.RC_WRITE_ONLY, header, payload=payload, psn=rig.psn)[:-4]
        packets.append(body + rig.flow.icrc(body + bytes(4), number).to_bytes(4, "little"))
        rig.psn += 1
    device = rig.end.device
    device.handle_burst(Burst(memoryview(b"".join(packets)), len(packets[0]), HERE, device.address), 0)
    rig.end.host.wake()


def test_the_reth_that_a_run_of_writes_is_read_by_is_that_of_the_codec() -> None:
    rng = random.Random(5)
    rig = HandRig()
    mr, expected = rig.end.mr, bytearray(len(rig.end.memory))
    for _ in range(ROUNDS // 10):
        size, count = 1 + int(rng.random() * 250), 2 + int(rng.random() * 20)
        offsets = [int(rng.random() * (len(expected) - size)) for _ in range(count)]
        payloads = [rng.randbytes(size) for _ in offsets]
        hear_writes(rig, [Reth(va=mr.address + at, rkey=mr.rkey, length=size) for at in offsets], payloads)
        for at, payload in zip(offsets, payloads, strict=True):
            expected[at : at + size] = payload
        rig.received()
    assert rig.end.memory == expected


@pytest.mark.parametrize("top_bit", [0, 1])
def test_every_bit_of_a_reth_in_a_run_of_writes_is_looked_at(top_bit: int) -> None:
    for bit in range(Reth.SIZE * 8):
        rig = HandRig()
        memory = bytearray(64)
        regions = (rig.end.pd.reg_mr(memory, FULL_ACCESS) for _ in range(100))
        mr = next(region for region in regions if region.rkey >> 31 == top_bit)
        right = Reth(va=mr.address, rkey=mr.rkey, length=4)
        changed = int.from_bytes(right.encode(), "big") ^ 1 << bit
        wrong = Reth.decode(changed.to_bytes(Reth.SIZE, "big"))
        hear_writes(rig, [right, wrong], [b"good", b"evil"])
        is_inside = wrong.rkey == mr.rkey and wrong.length == 4 and 0 <= wrong.va - mr.address <= mr.length - 4
        assert (b"evil" in memory) is is_inside
        assert [psn for syndrome, psn in rig.answers() if syndrome & 0x60] == ([] if is_inside else [FIRST_PSN + 1])
