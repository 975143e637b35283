"""Equal packets through slices that are made once: the same bytes, numbers and counts as packet by packet."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.quic.keys import SUITES, OneRttKeys, Opener, PacketViews, Sealer, Suite
from tests.stacks.quic.keys.rig import CID, PTO_NS, VERSION, Packets, payload_of, plain, two_ends

SIZE = 90
COUNT = 12
every_suite = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@every_suite
@pytest.mark.parametrize("number_bytes", [1, 2, 4])
def test_a_run_is_sealed_as_packets_are(suite: Suite, number_bytes: int) -> None:
    secret = b"\x05" * suite.hash.digest_size
    numbers, data = range(0xFFF8, 0xFFF8 + COUNT), [bytes([index]) * SIZE for index in range(COUNT)]
    single = Packets(numbers, data, number_bytes=number_bytes).sealed_by(Sealer(suite, secret, VERSION))
    run = Packets(numbers, data, number_bytes=number_bytes)
    views = views_of(run)
    sealer = Sealer(suite, secret, VERSION)
    sealer.seal_run(views, 0, 5, number=numbers[0], number_bytes=number_bytes)
    sealer.seal_run(views, 5, COUNT - 5, number=numbers[5], number_bytes=number_bytes)
    assert run.each() == single.each()
    assert sealer.sealed == COUNT


@settings(max_examples=150)
@given(st.data(), st.sampled_from([0x1301, 0x1303]), st.integers(0, 1 << 40), st.sampled_from([1, 2, 3, 4]))
def test_a_burst_is_opened_as_packets_are(draw: st.DataObject, number: int, first: int, number_bytes: int) -> None:
    """Whatever is missing, turned round, twice there, of another phase, tampered with or cut short."""
    suite = SUITES[number]
    order = draw.draw(st.lists(st.integers(0, 20), min_size=1, max_size=COUNT))
    phases = draw.draw(st.lists(st.sampled_from([0, 0, 0, 4]), min_size=len(order), max_size=len(order)))
    broken = draw.draw(st.sets(st.integers(0, len(order) - 1), max_size=2))
    cut = draw.draw(st.integers(0, SIZE)) if draw.draw(st.booleans()) else 0
    secret = b"\x05" * suite.hash.digest_size
    sealer = Sealer(suite, secret, VERSION)
    wire = b"".join(
        Packets([first + index], [bytes([index]) * SIZE], number_bytes=number_bytes, first=0x40 | phase)
        .sealed_by(sealer).each()[0]
        for index, phase in zip(order, phases, strict=True)
    )  # fmt: skip
    step = len(wire) // len(order)
    damaged = bytearray(wire)
    for index in broken:
        damaged[index * step + 30] ^= 1
    end = len(wire) - cut
    results = []
    for is_through_views in (False, True):
        keys = OneRttKeys(VERSION)
        keys.install(suite, secret, is_sending=True)
        keys.install(suite, secret, is_sending=False)
        buffer = memoryview(bytearray(damaged))
        if is_through_views:
            views = PacketViews(buffer, step, 1 + len(CID), len(order))
            opened = keys.open_views(views, end, first - 1, 0, PTO_NS)
        else:
            places = [(at, at + 1 + len(CID), min(at + step, end)) for at in range(0, end, step)]
            opened = keys.open_burst(buffer, places, first - 1, 0, PTO_NS)
        results.append((plain(opened), keys.failed, keys.updates))
    assert results[0] == results[1]


def test_old_packets_still_open_after_a_burst_of_new_ones_came_through_views() -> None:
    one, other = two_ends()
    late = one.send(count=2)
    one.keys.update(0)
    new = one.send(count=4)
    assert other.receive(new[:1]) == [2]
    buffer = memoryview(bytearray(b"".join(new[1:])))
    step = len(new[1])
    views = PacketViews(buffer, step, 1 + len(CID), 3)
    opened = plain(other.keys.open_views(views, 3 * step, 2, 0, PTO_NS))
    assert [packet[2] for packet in opened if packet is not None] == [payload_of(number) for number in (3, 4, 5)]
    assert other.receive(late) == [0, 1]
    assert other.keys.updates == 1


def test_what_does_not_come_as_it_was_sent_is_left_as_it_came() -> None:
    """So that it can be opened the other way, by numbers, phases and keys."""
    numbers = [7, 8, 10, 9]
    packets = Packets(numbers, [payload_of(number) for number in (70, 80, 10, 90)]).sealed_by(sealer_of())
    before = packets.each()
    opener = Opener(SUITES[0x1301], b"\x05" * 32, VERSION)
    opened: list[tuple[int, int, memoryview] | None] = []
    assert opener.open_plain(views_of(packets), 4, opened, 6, 4, 0) == 8
    assert [packet[0] for packet in plain(opened) if packet is not None] == [7, 8]
    assert packets.each()[2:] == before[2:]
    assert opener.failed == 0


def test_any_bytes_are_dropped() -> None:
    rng = random.Random(5)
    for _ in range(300):
        buffer = memoryview(bytearray(rng.randbytes(40 * 8)))
        keys = OneRttKeys(VERSION)
        keys.install(SUITES[0x1301], b"\x05" * 32, is_sending=True)
        keys.install(SUITES[0x1301], b"\x05" * 32, is_sending=False)
        end = rng.randrange(1, len(buffer))
        assert keys.open_views(PacketViews(buffer, 40, 9, 8), end, -1, 0, PTO_NS) == [None] * -(-end // 40)
        assert keys.updates == 0


def sealer_of() -> Sealer:
    return Sealer(SUITES[0x1301], b"\x05" * 32, VERSION)


def views_of(packets: Packets) -> PacketViews:
    start, number_offset, _, _, end = packets.places[0]
    return PacketViews(packets.view, end - start, number_offset, len(packets.places))
