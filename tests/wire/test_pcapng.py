"""pcapng against its Construct definition: both byte orders, every resolution, every truncation and random bytes."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.pcapng import (
    BLOCK_LIMIT_BYTES,
    INTERFACE_LIMIT,
    LINK_TYPE_ETHERNET,
    PacketReader,
    decode_packets,
    enhanced_packet,
    interface_description,
    section_header,
)
from wire.pcapng_definition import block

SECTION, INTERFACE, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 3, 6
HEAD_BYTES = {SECTION: 16, INTERFACE: 8, SIMPLE: 4, ENHANCED: 20}
BLOCKS = {"little": block("little"), "big": block("big")}
PREFACE = section_header("test") + interface_description("rdma0")
WHOLE = PREFACE + enhanced_packet(1, [b"abcde"]) + enhanced_packet(2, [b"f", b"gh"])

orders = st.sampled_from(["little", "big"])
frames = st.binary(max_size=70)


def built(order: str, kind: int, **body: Any) -> bytes:
    """A block that Construct built."""
    options = sum(4 + -(-len(option["value"]) // 4) * 4 for option in body.get("options", ()))
    length = 12 + HEAD_BYTES.get(kind, 0) + -(-len(body.get("data", b"")) // 4) * 4 + options
    data: bytes = BLOCKS[order].build({"kind": kind, "length": length, "body": body, "length_again": length})
    return data


def preface(order: str, *options: tuple[int, bytes], link_type: int = 1, snap_length: int = 0) -> bytes:
    listed = [{"code": code, "value": value} for code, value in options]
    return built(order, SECTION, minor=0, section_length=2**64 - 1, options=[]) + built(
        order, INTERFACE, link_type=link_type, snap_length=snap_length, options=listed
    )


def packet(order: str, ticks: int, data: bytes, **more: Any) -> bytes:
    fields = {"interface": 0, "captured_length": len(data), "original_length": len(data), "options": [], **more}
    return built(order, ENHANCED, timestamp_high=ticks >> 32, timestamp_low=ticks & 0xFFFFFFFF, data=data, **fields)


@given(timestamp_ns=st.integers(0, 2**64 - 1), views=st.lists(frames, max_size=4), extra=st.integers(0, 100))
def test_written_packet_is_what_construct_parses(timestamp_ns: int, views: list[bytes], extra: int) -> None:
    data = b"".join(views)
    parsed = BLOCKS["little"].parse(enhanced_packet(timestamp_ns, views, original_length=len(data) + extra))
    assert (parsed.kind, parsed.body.data, parsed.body.captured_length) == (ENHANCED, data, len(data))
    assert parsed.body.timestamp_high << 32 | parsed.body.timestamp_low == timestamp_ns
    assert parsed.body.original_length == len(data) + extra


def test_written_preface_is_what_construct_parses() -> None:
    section = BLOCKS["little"].parse(PREFACE)
    assert (section.body.minor, section.body.section_length) == (0, 2**64 - 1)
    assert [(option.code, option.value) for option in section.body.options] == [(4, b"test"), (0, b"")]
    interface = BLOCKS["little"].parse(PREFACE[section.length :])
    assert interface.body.link_type == LINK_TYPE_ETHERNET
    assert [(option.code, option.value) for option in interface.body.options] == [(2, b"rdma0"), (9, b"\x09"), (0, b"")]


@given(order=orders, data=frames, ticks=st.integers(0, 2**63), link_type=st.integers(0, 0xFFFF))
def test_packet_built_by_construct_is_read_in_either_order(order: str, data: bytes, ticks: int, link_type: int) -> None:
    [found] = decode_packets(preface(order, (9, b"\x09"), link_type=link_type) + packet(order, ticks, data))
    assert (found.data, found.timestamp_ns, found.link_type) == (data, ticks, link_type)
    assert (found.original_length, found.interface) == (len(data), 0)


@pytest.mark.parametrize(
    ("options", "ticks", "timestamp_ns"),
    [
        ([], 1_500_000, 1_500_000_000),
        ([(9, b"\x03")], 1500, 1_500_000_000),
        ([(9, b"\x8a")], 1536, 1_500_000_000),
        ([(9, b"\x0c")], 1_500_000_000_000, 1_500_000_000),
        ([(9, b"\x09"), (14, (-1).to_bytes(8, "little", signed=True))], 1_500_000_000, 500_000_000),
        ([(1, b"a comment"), (9, b"\x00"), (0, b""), (9, b"\x09")], 2, 2_000_000_000),
    ],
)
def test_resolution_and_offset_of_the_interface_are_applied(
    options: list[tuple[int, bytes]], ticks: int, timestamp_ns: int
) -> None:
    [found] = decode_packets(preface("little", *options) + packet("little", ticks, b"x"))
    assert found.timestamp_ns == timestamp_ns


@given(order=orders, data=frames, snap_length=st.integers(0, 80))
def test_simple_packet_ends_at_the_snap_length(order: str, data: bytes, snap_length: int) -> None:
    kept = data[:snap_length] if snap_length else data
    padded = kept + bytes(-len(kept) % 4)
    simple = built(order, SIMPLE, original_length=len(data), data=padded)
    [found] = decode_packets(preface(order, snap_length=snap_length) + simple)
    assert (found.data, found.original_length, found.timestamp_ns) == (kept, len(data), 0)


def test_second_section_may_have_the_other_order_and_forgets_interfaces() -> None:
    two = preface("little") + packet("little", 1, b"a") + preface("big", link_type=7) + packet("big", 2, b"b")
    assert [(found.data, found.link_type) for found in decode_packets(two)] == [(b"a", 1), (b"b", 7)]
    with pytest.raises(WireError, match="no interface 0"):
        list(decode_packets(PREFACE + section_header() + enhanced_packet(0, [b"x"])))


def test_blocks_without_packets_are_skipped() -> None:
    statistics = b"\5\0\0\0\x10\0\0\0abcd\x10\0\0\0"
    assert [found.data for found in decode_packets(PREFACE + statistics + enhanced_packet(3, [b"x"]))] == [b"x"]


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_a_file_may_come_in_any_pieces(cuts: list[int]) -> None:
    reader, found = PacketReader(), []
    edges = [0, *sorted(cuts), len(WHOLE)]
    for start, end in pairwise(edges):
        found += [packet.data for packet in reader.feed(WHOLE[start:end])]
    reader.close()
    assert found == [b"abcde", b"fgh"]


def test_every_truncation_yields_the_whole_packets_then_an_error() -> None:
    whole_blocks = {0, len(section_header("test")), len(PREFACE), len(PREFACE) + 40, len(WHOLE)}
    for size in range(len(WHOLE)):
        if size in whole_blocks:
            list(decode_packets(WHOLE[:size]))
            continue
        with pytest.raises(WireError):
            list(decode_packets(WHOLE[:size]))


def test_random_bytes_and_flipped_bits_raise_nothing_but_wire_error() -> None:
    rng = Random(2)
    for _ in range(2000):
        data = bytearray(WHOLE) if rng.random() < 0.8 else bytearray(int(rng.random() * 256) for _ in range(80))
        for _ in range(3):
            data[int(rng.random() * len(data))] = int(rng.random() * 256)
        try:
            assert len(list(decode_packets(data))) <= 2
        except WireError as error:
            assert error.format == "Pcapng"  # noqa: PT017


def replaced(offset: int, value: int) -> bytes:
    return WHOLE[:offset] + value.to_bytes(4, "little") + WHOLE[offset + 4 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x7fELF" + bytes(40), "does not start with a section header"),
        (replaced(8, 0x12345678), "no byte-order magic"),
        (replaced(len(PREFACE) + 4, 8), "block length 8"),
        (replaced(len(PREFACE) + 4, 42), "block length 42"),
        (replaced(len(PREFACE) + 4, BLOCK_LIMIT_BYTES + 4), "block length"),
        (replaced(len(PREFACE) + 8, 1), "no interface 1"),
        (replaced(len(PREFACE) + 20, 9), "packet runs past the block"),
        (replaced(len(PREFACE) + 36, 44), "the two block lengths differ"),
        (PREFACE + b"\x06\0\0\0\x10\0\0\0\0\0\0\0\x10\0\0\0", "block too short"),
        (PREFACE + b"\x03\0\0\0\x10\0\0\0\x01\0\0\0\x10\0\0\0", "packet runs past the block"),
        (section_header() + b"\1\0\0\0\x18\0\0\0\1\0\0\0\0\0\0\0\x09\0\x05\0\x18\0\0\0", "option runs past the block"),
        (section_header() + interface_description() * (INTERFACE_LIMIT + 1), "interfaces"),
    ],
)
def test_malformed_file_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        list(decode_packets(data))


@pytest.mark.parametrize("timestamp_ns", [-1, 1 << 64])
def test_timestamp_out_of_range_is_refused(timestamp_ns: int) -> None:
    with pytest.raises(WireError):
        enhanced_packet(timestamp_ns, [b"x"])
