"""Sealing and opening bursts: against aioquic, against packets one by one, and against what was tampered with."""

from __future__ import annotations

import pytest
from aioquic.quic.crypto import CryptoPair
from aioquic.tls import CipherSuite
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.quic.configuration import VERSION_1, VERSION_2
from stacks.quic.keys import SUITES, Opener, Sealer, Suite
from stacks.quic.keys.header_protection import AesMasks, ChaChaMasks
from tests.stacks.quic.keys.rig import CID, Packets

suites = st.sampled_from(sorted(SUITES.values(), key=lambda suite: suite.number))
versions = st.sampled_from([VERSION_1, VERSION_2])
payloads = st.lists(st.binary(min_size=3, max_size=1440), min_size=1, max_size=50)
first_numbers = st.integers(0, (1 << 62) - 100)
every_suite = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@settings(max_examples=60)
@given(suites, versions, payloads, first_numbers, st.integers(1, 4), st.booleans())
def test_what_we_seal_is_what_aioquic_makes_of_it(
    suite: Suite, version: int, data: list[bytes], first_number: int, number_bytes: int, is_long: bool
) -> None:
    secret = b"\x07" * suite.hash.digest_size
    numbers = range(first_number, first_number + len(data))
    packets = Packets(numbers, data, number_bytes=number_bytes, first=0xC0 if is_long else 0x58)
    oracle = oracle_of(suite, secret, version)
    expected = [
        oracle.encrypt_packet(bytes(packets.view[start : number_offset + length]), payload, number)
        for (start, number_offset, length, number, _), payload in zip(packets.places, data, strict=True)
    ]
    assert packets.sealed_by(Sealer(suite, secret, version)).each() == expected


@settings(max_examples=60)
@given(suites, versions, payloads, first_numbers, st.integers(1, 4), st.booleans(), st.data())
def test_what_aioquic_seals_opens_in_any_order(
    suite: Suite, version: int, data: list[bytes], first: int, number_bytes: int, is_long: bool, draw: st.DataObject
) -> None:
    secret = b"\x08" * suite.hash.digest_size
    order = draw.draw(st.permutations(range(len(data))))
    packets = Packets(
        [first + index for index in order], [data[index] for index in order],
        number_bytes=number_bytes, first=0xC0 if is_long else 0x58,
    )  # fmt: skip
    oracle = oracle_of(suite, secret, version)
    expected = []
    for (start, number_offset, length, number, end), index in zip(packets.places, order, strict=True):
        header = bytes(packets.view[start : number_offset + length])
        packets.view[start:end] = oracle.encrypt_packet(header, data[index], number)
        expected.append((number, header[0], data[index]))
    opener = Opener(suite, secret, version)
    assert packets.opened_by(opener, first - 1) == expected
    assert opener.failed == 0


@every_suite
def test_a_burst_is_as_its_packets_one_by_one(suite: Suite) -> None:
    secret = b"\x01" * suite.hash.digest_size
    data = [bytes([index]) * (1000 + index) for index in range(44)]
    numbers = range(70_000, 70_044)
    burst = Packets(numbers, data).sealed_by(Sealer(suite, secret, VERSION_1))
    sealer = Sealer(suite, secret, VERSION_1)
    alone = [Packets([number], [payload]).sealed_by(sealer) for number, payload in zip(numbers, data, strict=True)]
    assert burst.each() == [packet.each()[0] for packet in alone]
    assert sealer.sealed == 44
    opener = Opener(suite, secret, VERSION_1)
    largest, opened_alone = 69_999, []
    for packet in alone:
        opened_alone += packet.opened_by(opener, largest)
        largest += 1
    assert burst.opened_by(Opener(suite, secret, VERSION_1), 69_999) == opened_alone
    assert opened_alone == [(number, 0x41, payload) for number, payload in zip(numbers, data, strict=True)]


@every_suite
def test_each_byte_of_a_packet_is_protected(suite: Suite) -> None:
    """A bit turned in any byte: the packet does not open, nor does it hinder those around it."""
    secret = b"\x02" * suite.hash.digest_size
    size = len(Packets([0], [b"abc"]).buffer)
    for at in range(size):
        packets = Packets([0, 1, 2], [b"abc", b"def", b"ghi"]).sealed_by(Sealer(suite, secret, VERSION_1))
        packets.buffer[size + at] ^= 0x10
        opener = Opener(suite, secret, VERSION_1)
        first, second, third = packets.opened_by(opener, -1)
        assert (first, third) == ((0, 0x41, b"abc"), (2, 0x41, b"ghi"))
        assert second is None
        assert opener.failed == 1


def test_a_packet_that_cannot_be_opened_keeps_its_last_bytes() -> None:
    """A stateless reset is told by them (RFC 9000 10.3.1)."""
    reset = bytearray(bytes(range(0x40, 0x60)) + b"\xee" * 16)
    opener = Opener(SUITES[0x1301], b"\x02" * 32, VERSION_1)
    assert opener.open_burst(memoryview(reset), [(0, 9, len(reset))], -1) == [None]
    assert reset[-16:] == b"\xee" * 16


@pytest.mark.parametrize("size", range(1 + len(CID), 1 + len(CID) + 20))
def test_a_packet_too_short_for_a_sample_is_dropped_and_is_no_forgery(size: int) -> None:
    """RFC 9001 5.4.2; whether it stands at the end of the buffer or before others."""
    whole = Packets([5, 6], [b"abc", b"def"]).sealed_by(Sealer(SUITES[0x1301], b"\x02" * 32, VERSION_1))
    before, behind = whole.each()
    buffer = memoryview(bytearray(bytes([0x41]) * size + before + behind + bytes([0x41]) * size))
    one, other = size + len(before), size + len(before) + len(behind)
    places = [(0, 9, size), (size, size + 9, one), (one, one + 9, other), (other, other + 9, other + size)]
    opener = Opener(SUITES[0x1301], b"\x02" * 32, VERSION_1)
    numbers = [None if packet is None else packet[0] for packet in opener.open_burst(buffer, places, 4)]
    assert numbers == [None, 5, 6, None]
    assert opener.failed == 0


def test_the_least_packet_has_four_bytes_of_number_and_payload() -> None:
    for number_bytes in (1, 2, 3, 4):
        packets = Packets([9], [b"x" * (4 - number_bytes)], number_bytes=number_bytes)
        packets.sealed_by(Sealer(SUITES[0x1302], b"\x02" * 48, VERSION_1))
        assert packets.opened_by(Opener(SUITES[0x1302], b"\x02" * 48, VERSION_1), 8) == [
            (9, 0x40 | number_bytes - 1, b"x" * (4 - number_bytes))
        ]


@given(st.sampled_from([AesMasks, ChaChaMasks]), st.lists(st.binary(min_size=16, max_size=16), max_size=200))
def test_masks_of_a_burst_are_those_of_each_sample(masks: type[AesMasks | ChaChaMasks], samples: list[bytes]) -> None:
    together = masks(b"k" * 32)(b"".join(samples))
    assert list(together) == [mask for sample in samples for mask in masks(b"k" * 32)(sample)]


@given(st.binary(max_size=3000), st.integers(1, 60), st.integers(-1, 1 << 40))
def test_any_bytes_are_dropped(data: bytes, segment: int, largest: int) -> None:
    buffer = memoryview(bytearray(data))
    places = [(at, min(at + 9, len(data)), min(at + segment, len(data))) for at in range(0, len(data), segment)]
    opener = Opener(SUITES[0x1301], b"\x02" * 32, VERSION_1)
    assert opener.open_burst(buffer, places, largest) == [None] * len(places)


def oracle_of(suite: Suite, secret: bytes, version: int) -> CryptoPair:
    pair = CryptoPair()
    pair.send.setup(cipher_suite=CipherSuite(suite.number), secret=secret, version=version)
    return pair
