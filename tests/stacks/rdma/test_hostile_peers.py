"""What a peer, or anybody who can reach the port, may try: memory stays bounded and shortcuts change nothing."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest

from stacks.rdma import Device
from tests.stacks.rdma.hand import FIRST_PSN, HandRig
from transports.datagram import Address, Burst
from wire.roce import Bth, Opcode
from wire.roce.flow_icrc import FlowIcrc

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
    device.handle_burst(Burst(memoryview(run), 21, ("192.0.2.1", 4791), device.address), 0)
    assert rig.completed() == []
    assert device.counters.rcvd_truncated_pkts == count
