"""Mixed traffic over networks from good to bad: nothing lost, doubled or out of order, with shortcuts or without."""

from __future__ import annotations

import hashlib

import pytest

from stacks.rdma import QpState
from tests.stacks.rdma.rig import Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, Traffic
from transports.simulation import Impairments, Packet
from wire.roce import Opcode

BAD = {
    "0 %": Impairments(),
    "1 %": Impairments(loss=0.01, duplication=0.01, reordering=0.01, corruption=0.01, jitter_ns=5_000),
    "10 %": Impairments(loss=0.1, duplication=0.1, reordering=0.1, corruption=0.02, jitter_ns=50_000),
    "10 % lost": Impairments(loss=0.1),
    "half reordered": Impairments(reordering=0.5, duplication=0.3),
}
each_network = pytest.mark.parametrize("network", BAD)
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def drive(traffic: Traffic, operations: int) -> None:
    """`operations` posted by each side, a few at a time, with receives that are sometimes late."""
    posted = 0
    while posted < operations:
        for side in traffic.sides:
            for _ in range(side.draw(6)):
                traffic.post_random(side)
            for _ in range(side.draw(6)):
                side.post_receive()
        posted += 2
        traffic.run(side.draw(200_000))
    traffic.finish()


def make(network: str, seed: int, **options: object) -> Traffic:
    rig = Rig(seed=seed, impairments=BAD[network], memory_bytes=MEMORY_BYTES, min_rnr_timer=8, timeout=7, **options)  # type: ignore[arg-type]
    return Traffic(rig, seed)


def check_counters(traffic: Traffic, network: str) -> None:
    for side in traffic.sides:
        counters = side.end.device.counters
        assert side.end.qp.state is QpState.RTS
        assert (counters.rcvd_icrc_err > 0) == (BAD[network].corruption > 0)
        assert counters.rcvd_opcode_err == counters.rcvd_qpn_err == counters.rcvd_source_err == 0
        assert counters.retry_exceeded_err == 0


@pytest.mark.slow
@each_network
@each_way
def test_mixed_operations_arrive_exactly_once_and_in_order(network: str, shortcuts: bool) -> None:
    traffic = make(network, 1, shortcuts=shortcuts, tells_identification=True)
    drive(traffic, 500)
    check_counters(traffic, network)
    assert sum(side.completed for side in traffic.sides) > 300


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
@each_network
@each_way
def test_mixed_operations_of_many_seeds(network: str, shortcuts: bool, seed: int) -> None:
    traffic = make(network, seed, shortcuts=shortcuts, tells_identification=True, path_mtu=(256, 1024, 4096)[seed % 3])
    drive(traffic, 1000)
    check_counters(traffic, network)


def digest(network: str, seed: int) -> str:
    """A fingerprint of every packet sent and delivered, and when."""
    traffic = make(network, seed, tells_identification=True)
    trace = hashlib.sha256()

    def record(now: int, event: str, packet: Packet) -> None:
        trace.update(f"{now} {event} {packet.source} {packet.index} {packet.identification}".encode() + packet.payload)

    traffic.rig.network.trace = record
    drive(traffic, 40)
    return trace.hexdigest()


@pytest.mark.slow
def test_a_seed_replays_bit_for_bit_and_another_does_not() -> None:
    assert digest("10 %", 3) == digest("10 %", 3)
    assert digest("10 %", 3) != digest("10 %", 4)


ACK_REQUEST = 8
"""Offset of the byte of the BTH that holds AckReq."""


def requests(shortcuts: bool) -> tuple[list[bytes], list[bytes]]:
    """All packets but ACKs of either side, without AckReq and the ICRC, which show how sends are grouped."""
    traffic = make("0 %", 5, shortcuts=shortcuts)
    sent: tuple[list[bytes], list[bytes]] = ([], [])
    first = traffic.sides[0].end.device.address

    def record(_now: int, event: str, packet: Packet) -> None:
        payload = packet.payload
        if event == "sent" and payload[0] != Opcode.RC_ACKNOWLEDGE:
            sent[packet.source != first].append(payload[:ACK_REQUEST] + b"\0" + payload[ACK_REQUEST + 1 : -4])

    traffic.rig.network.trace = record
    for _ in range(60):
        for side in traffic.sides:
            for _ in range(4):
                side.post_receive()
            traffic.post_random(side)
        traffic.run(2_000_000)
    traffic.finish()
    return sent


@pytest.mark.slow
def test_without_loss_the_packets_are_the_same_with_shortcuts_on_and_off() -> None:
    on, off = requests(shortcuts=True), requests(shortcuts=False)
    assert len(on[0]) > 100
    for side in (0, 1):
        assert on[side] == off[side]
