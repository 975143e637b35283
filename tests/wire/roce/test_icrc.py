"""The ICRC against packets whose ICRC others computed: scapy's test suite and Linux rxe."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from wire.errors import WireError
from wire.roce import Opcode, icrc, parse_packet, stored_icrc

GRH = "1b4000000000000000000000ffff0f00000200000000000000000000ffff0f000002"
UC_SEND = "2460ffff000000d300cf17104630818be28935d90e9a95505401be885e500000"


@dataclass(frozen=True)
class Vector:
    """A packet from its IP header or GRH to its padding, its ICRC as on the wire, and where its BTH starts."""

    name: str
    packet: str
    icrc: str
    bth: int
    opcode: Opcode

    @property
    def complete(self) -> bytes:
        return bytes.fromhex(self.packet + self.icrc)


# The first five are in scapy test/contrib/roce.uts, the others in tests/captures (Linux 6.1 rxe).
VECTORS = [
    Vector(
        "CNP of a ConnectX-4 Lx",
        "45c2003c718c4000401191610a0011010a001201000012b7002800008100ffff4000011800000000" + "00" * 16,
        "82fd002a", 28, Opcode.CNP,
    ),
    Vector(
        "UC SEND Only over IPv4",
        "45010040047840004011b4d5c0a80007c0a80007c00012b7002caca2" + UC_SEND,
        "78f353f3", 28, Opcode.UC_SEND_ONLY,
    ),
    Vector(
        "UC SEND Only over IPv6",
        "6e21face002c11ff2022000000000000000000000000102320230000000000000000000000001024c00012b7002ce7c5" + UC_SEND,
        "3e5b743b", 48, Opcode.UC_SEND_ONLY,
    ),
    Vector(
        "RoCEv1 RC WRITE Only with three bytes of padding",
        "602000000028" + GRH + "0a70ffff0000010a80a788bc000055d4c0726000000047b3000000050000000001000000",
        "e3d856bb", 40, Opcode.RC_WRITE_ONLY,
    ),
    Vector(
        "RoCEv1 RC ACK",
        "602000000014" + GRH + "1140ffff0000010900a788c000000005",
        "25f0c038", 40, Opcode.RC_ACKNOWLEDGE,
    ),
    Vector(
        "ACK of Linux",
        "450000309855400040118dc90a4d00020a4d0003f07f12b7001c00001100ffff0000001100d2e7d21f000001",
        "02a77e31", 28, Opcode.RC_ACKNOWLEDGE,
    ),
    Vector(
        "READ Request of Linux",
        "4500003c9856400040118dbc0a4d00020a4d0003f07f12b7002800000c00ffff00000011809bd940"
        "0000558218a118000000055e00000040",
        "66e1612a", 28, Opcode.RC_READ_REQUEST,
    ),
    Vector(
        "CmpSwap of Linux",
        "4500004833ca40004011f23c0a4d00030a4d0002c24012b7003400001300ffff000000188011fe0e0000559b500a500000000ae4"
        + "00" * 16,
        "ee672f21", 28, Opcode.RC_COMPARE_SWAP,
    ),
    Vector(
        "Atomic ACK of Linux",
        "4500003899c8400040118c4e0a4d00020a4d0003c21112b7002400001200ffff000000170015c25e1f000001da0ab19b045e8971",
        "6a59ef18", 28, Opcode.RC_ATOMIC_ACKNOWLEDGE,
    ),
    Vector(
        "SEND Only with Invalidate of Linux",
        "450000409be0400040118a2e0a4d00020a4d0003f50a12b7002c00001700ffff0000001c804f9c4f00001096"
        "01000000000000000100000000000000",
        "7265ff63", 28, Opcode.RC_SEND_ONLY_INV,
    ),
]  # fmt: skip

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


@each_vector
def test_published_icrc_is_reproduced(vector: Vector) -> None:
    for packet in (vector.complete, bytearray(vector.complete), memoryview(vector.complete)):
        assert icrc(packet) == stored_icrc(packet) == int.from_bytes(bytes.fromhex(vector.icrc), "little")


@each_vector
def test_vector_parses_and_is_encoded_to_the_same_bytes(vector: Vector) -> None:
    roce = vector.complete[vector.bth :]
    packet = parse_packet(roce)
    assert (packet.info.opcode, packet.icrc) == (vector.opcode, stored_icrc(vector.complete))
    assert packet.encode() == roce
    assert packet.fields()["Bth.opcode"] == vector.opcode


@each_vector
def test_a_truncated_packet_is_a_wire_error(vector: Vector) -> None:
    for size in range(vector.bth + 16):
        with pytest.raises(WireError):
            icrc(vector.complete[:size])


def test_ipv4_options_are_covered_unmasked() -> None:
    packet = bytearray(VECTORS[5].complete)
    packet[0] += 1
    packet[20:20] = b"\x01\x01\x01\x00"
    first = icrc(packet)
    packet[21] ^= 1
    assert icrc(packet) != first


@pytest.mark.parametrize("change", [(0, 0x55), (9, 6), (0, 0x44)], ids=["version 5", "TCP", "IHL 4"])
def test_what_is_no_roce_packet_is_a_wire_error(change: tuple[int, int]) -> None:
    packet = bytearray(VECTORS[5].complete)
    packet[change[0]] = change[1]
    with pytest.raises(WireError):
        icrc(packet)
