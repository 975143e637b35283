"""What the ICRC lets through, where it checks all 32 bits and where it has to guess the Identification (IBTA 7.8.1).

A UDP socket does not tell the IPv4 Identification, which the ICRC covers. The receiver accepts a packet when any of the
2^16 numbers makes its ICRC right; so of 2^32 differences that an error can make, 2^16 pass: one corrupted packet in
65,536, where the same packet behind IPv6, TAP or a raw socket has one chance in 2^32, and none at all for errors that
lie within 32 bits of each other.
"""

from __future__ import annotations

import random

import pytest

from tests.stacks.rdma.hand import ROCE_PORT
from tests.stacks.rdma.rig import HOSTS, HOSTS_V6
from wire.roce.flow_icrc import FlowIcrc

SIZES = [16, 20, 80, 272, 1040, 4112]
"""Bytes of UDP payload: an empty packet, an ACK, 64, 256, 1024 and 4096 bytes of data."""
MASKED = range(32, 40)
"""Bits of the BTH's fifth byte, FECN and BECN, which no ICRC covers."""


def flow_between(hosts: tuple[str, str]) -> FlowIcrc:
    return FlowIcrc((hosts[0], ROCE_PORT), (hosts[1], ROCE_PORT))


def good_packet(flow: FlowIcrc, size: int, seed: int = 1) -> bytearray:
    packet = bytearray(random.Random(seed).randbytes(size))
    packet[4] = 0
    packet[-4:] = flow.icrc(packet).to_bytes(4, "little")
    return packet


def passes(flow: FlowIcrc, packet: bytearray, *, told: bool) -> bool:
    """Whether a receiver takes it. told: whether it knows that the Identification is 0."""
    if told:
        return flow.icrc(packet) == int.from_bytes(packet[-4:], "little")
    return flow.identification_of(packet) is not None


def undetected_flips(hosts: tuple[str, str], size: int, *, told: bool) -> list[int]:
    """The bits of a packet that may flip without anybody noticing."""
    flow = flow_between(hosts)
    packet = good_packet(flow, size)
    found = []
    for bit in range(8 * size):
        packet[bit >> 3] ^= 1 << (bit & 7)
        if passes(flow, packet, told=told):
            found.append(bit)
        packet[bit >> 3] ^= 1 << (bit & 7)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_where_all_32_bits_count_no_single_flip_passes(size: int) -> None:
    assert undetected_flips(HOSTS, size, told=True) == list(MASKED)
    assert undetected_flips(HOSTS_V6, size, told=False) == list(MASKED)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_over_a_udp_socket_no_single_flip_passes_either(size: int) -> None:
    """It could, at one position in 65,536; up to the largest packet there is none."""
    assert undetected_flips(HOSTS, size, told=False) == list(MASKED)


def test_each_identification_has_an_icrc_of_its_own_so_16_bits_remain() -> None:
    flow = flow_between(HOSTS)
    for size in (20, 1040):
        packet = good_packet(flow, size)
        basis = [flow.icrc(packet) ^ flow.icrc(packet, 1 << bit) for bit in range(16)]
        assert rank(basis) == 16


def rank(values: list[int]) -> int:
    """Dimension of what the values span by exclusive or."""
    pivots: dict[int, int] = {}
    for value in values:
        while value and value.bit_length() in pivots:
            value ^= pivots[value.bit_length()]
        if value:
            pivots[value.bit_length()] = value
    return len(pivots)


def accepted(trials: int, *, told: bool) -> int:
    """How many of `trials` packets with 64 random bits somewhere in them are taken."""
    flow, rng, taken = flow_between(HOSTS), random.Random(7), 0
    good = good_packet(flow, 80)
    for _ in range(trials):
        at = 8 + int(rng.random() * 61)
        noise = int(rng.random() * (1 << 32)) << 32 | int(rng.random() * (1 << 32)) or 1
        packet = bytearray(good)
        packet[at : at + 8] = (int.from_bytes(good[at : at + 8], "big") ^ noise).to_bytes(8, "big")
        taken += passes(flow, packet, told=told)
    return taken


@pytest.mark.slow
def test_one_corrupted_packet_in_65_536_passes_where_the_identification_is_hidden() -> None:
    """8 are expected; the bounds are nearly three standard deviations away."""
    assert 1 <= accepted(1 << 19, told=False) <= 16


@pytest.mark.slow
def test_none_of_these_passes_where_it_is_told() -> None:
    assert accepted(1 << 18, told=True) == 0


@pytest.mark.long
def test_over_four_million_corrupted_packets_the_share_is_one_in_65_536() -> None:
    """64 are expected; the bounds are four standard deviations away."""
    assert 32 <= accepted(1 << 22, told=False) <= 96
