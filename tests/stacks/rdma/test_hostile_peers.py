"""What a peer, or anybody who can reach the port, may try: memory stays bounded and shortcuts change nothing."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest

from stacks.rdma import Device, QpState
from stacks.rdma.enums import Nak
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, HandRig
from transports.datagram import Address, Burst
from wire.roce import AtomicEth, Bth, Opcode, Reth
from wire.roce.flow_icrc import FlowIcrc

PEER = ("192.0.2.1", 4791)
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def bytes_kept(work: Callable[[int], None]) -> int:
    """How much more memory is kept after `work(1)` than after `work(0)`."""
    tracemalloc.start()
    try:
        work(0)
        before, _ = tracemalloc.get_traced_memory()
        work(1)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def put(device: Device, packet: bytes | memoryview, source: Address) -> None:
    device.handle_burst(Burst(memoryview(packet), len(packet), source, device.address), 0)


# The ICRC's constants


@pytest.mark.slow
def test_junk_of_every_size_from_many_ports_leaves_nothing_behind() -> None:
    device = Device("192.0.2.9", rng=random.Random(1))
    junk = memoryview(random.Random(2).randbytes(8000))

    def flood(number: int) -> None:
        for port in range(1000 + 1000 * number, 2000 + 1000 * number):
            put(device, junk[port : port + 16], ("198.51.100.7", port))
        for port in range(2):
            for size in range(16 + 1600 * number, 1616 + 1600 * number, 4):
                put(device, junk[:size], ("198.51.100.7", port))

    assert bytes_kept(flood) < 50_000
    assert device.counters.rcvd_icrc_err == 2 * (1000 + 2 * 400)


@pytest.mark.slow
def test_good_packets_of_every_size_in_one_flow_leave_little_behind() -> None:
    device = Device("192.0.2.9", rng=random.Random(1))
    source = ("198.51.100.7", 4791)
    flow = FlowIcrc(source, device.address)

    def flood(number: int) -> None:
        for size in range(16 + 2048 * number, 2064 + 2048 * number, 4):
            body = Bth(opcode=4, pkey=0xFFFF, dest_qp=77).encode() + bytes(size - 12)
            put(device, body[:-4] + flow.icrc(body).to_bytes(4, "little"), source)

    assert bytes_kept(flood) < 20_000
    assert device.counters.rcvd_qpn_err == 2 * 512


@pytest.mark.slow
def test_good_packets_from_very_many_ports_keep_a_bounded_number_of_flows() -> None:
    device = Device("192.0.2.9", rng=random.Random(1))
    body = Bth(opcode=4, pkey=0xFFFF, dest_qp=77).encode() + bytes(4)

    def flood(number: int) -> None:
        for port in range(1000 + 1100 * number, 2100 + 1100 * number):
            source = ("198.51.100.7", port)
            put(device, body[:-4] + FlowIcrc(source, device.address).icrc(body).to_bytes(4, "little"), source)

    assert bytes_kept(flood) < 200_000
    assert device.counters.rcvd_qpn_err == 2 * 1100


# Lengths


@each_way
@pytest.mark.parametrize("count", [1, 3])
def test_a_packet_whose_length_is_no_multiple_of_four_is_not_delivered(shortcuts: bool, count: int) -> None:
    rig = HandRig(shortcuts=shortcuts)
    for number in range(count):
        rig.end.recv(number, 0, 100)
    head = [
        Bth(opcode=Opcode.RC_SEND_ONLY, ack_req=1, psn=FIRST_PSN + n & 0xFFFFFF, pkey=0xFFFF, dest_qp=rig.end.qp.number)
        for n in range(count)
    ]
    packets = [header.encode() + b"hello" for header in head]
    run = b"".join(
        packet + rig.flow.icrc(packet + bytes(4), n).to_bytes(4, "little") for n, packet in enumerate(packets)
    )
    device = rig.end.device
    device.handle_burst(Burst(memoryview(run), 21, PEER, device.address), 0)
    assert rig.completed() == []
    assert device.counters.rcvd_truncated_pkts == count


# READs


def read_requests(rig: HandRig, count: int, pages: int = 4) -> None:
    """READs of `pages` packets each, which the device has no time to answer."""
    for number in range(count):
        header = Reth(va=rig.end.mr.address, rkey=rig.end.mr.rkey, length=pages * MTU)
        put(rig.end.device, rig.packet(Opcode.RC_READ_REQUEST, header, psn=FIRST_PSN + pages * number), PEER)


@pytest.mark.parametrize("limit", [1, 4])
def test_more_reads_at_once_than_negotiated_are_an_invalid_request(limit: int) -> None:
    rig = HandRig(max_dest_rd_atomic=limit)
    read_requests(rig, limit)
    assert rig.end.qp.state is QpState.RTS
    assert len(rig.received()) == limit * 4
    rig = HandRig(max_dest_rd_atomic=limit)
    read_requests(rig, limit + 1)
    assert rig.end.qp.state is QpState.ERR
    assert rig.answers() == [(NAK | Nak.INVALID_REQUEST, FIRST_PSN + 4 * limit & 0xFFFFFF)]


def test_an_atomic_beyond_what_was_negotiated_is_an_invalid_request() -> None:
    rig = HandRig(max_dest_rd_atomic=2)
    read_requests(rig, 2)
    before = bytes(rig.end.memory)
    header = AtomicEth(va=rig.end.mr.address, rkey=rig.end.mr.rkey, swap_add=1)
    put(rig.end.device, rig.packet(Opcode.RC_FETCH_ADD, header, psn=FIRST_PSN + 8), PEER)
    assert rig.end.qp.state is QpState.ERR
    assert rig.end.memory == before


def test_parts_of_a_read_asked_for_again_and_again_do_not_queue_up() -> None:
    rig = HandRig(max_dest_rd_atomic=1)
    read_requests(rig, 1, pages=100)
    assert len(rig.received()) == 100
    mr = rig.end.mr
    for number in range(100):
        header = Reth(va=mr.address + number * MTU, rkey=mr.rkey, length=1)
        put(rig.end.device, rig.packet(Opcode.RC_READ_REQUEST, header, psn=FIRST_PSN + number), PEER)
    assert [packet.bth.psn for packet in rig.received()] == [FIRST_PSN]
    assert rig.end.qp.state is QpState.RTS


# Gaps


@each_way
def test_a_gap_that_moves_before_its_nak_leaves_is_reported_once(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    for number in range(4):
        rig.end.recv(number)
    # The second and third are swapped, so the third is dropped; the fourth then lies behind the same gap.
    for number, ack in ((0, False), (2, False), (1, False)):
        put(rig.end.device, rig.packet(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + number, ack=ack), PEER)
    assert rig.answers() == [(NAK, 0)]
    rig.request(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + 3)
    assert rig.answers() == []
    rig.request(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + 2)
    rig.request(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + 4)
    assert rig.answers() == [(ACK, 0), (NAK, 1)]


def test_a_gap_whose_nak_gave_way_to_an_acknowledgement_is_reported_again() -> None:
    rig = HandRig()
    for number in range(4):
        rig.end.recv(number)
    for number in (0, 2, 1):
        put(rig.end.device, rig.packet(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + number), PEER)
    assert rig.answers() == [(ACK, FIRST_PSN + 1)]
    rig.request(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + 3)
    assert rig.answers() == [(NAK, 0)]
