"""The acknowledgement of the laboratory header against its definition, on any ranges, short and random input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.lab import ACK, DATA, MAX_RANGES, LabAck, LabAckHead, LabData, lab_kind
from wire.lab_definition import LAB_ACK

u64 = st.integers(0, (1 << 64) - 1)
ranges = st.lists(st.tuples(u64, u64), max_size=MAX_RANGES)


def ack(pairs: list[tuple[int, int]]) -> LabAck:
    return LabAck(LabAckHead(flow=7, ce_packets=3, delay_ns=1000), pairs)


@given(pairs=ranges)
def test_encoding_equals_the_definition(pairs: list[tuple[int, int]]) -> None:
    head = {"flow": 7, "ce_packets": 3, "delay_ns": 1000, "range_count": len(pairs)}
    expected = LAB_ACK.build({"head": head, "ranges": [{"first": first, "last": last} for first, last in pairs]})
    assert ack(pairs).encode() == expected


@given(pairs=ranges, before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_decoding_undoes_encoding_at_any_offset(pairs: list[tuple[int, int]], before: bytes, after: bytes) -> None:
    whole = ack(pairs).encode()
    decoded = LabAck.decode(before + whole + after, len(before))
    assert (decoded.head, decoded.ranges) == (LabAckHead.decode(whole), pairs)


@given(raw=st.binary(min_size=24, max_size=600))
def test_decoding_random_bytes_equals_the_definition_or_is_a_wire_error(raw: bytes) -> None:
    count = raw[20]
    if len(raw) < 24 + 16 * count:
        with pytest.raises(WireError):
            LabAck.decode(raw)
        return
    parsed = LAB_ACK.parse(raw)
    assert LabAck.decode(raw).ranges == [(each.first, each.last) for each in parsed.ranges]


def test_every_truncation_is_a_wire_error() -> None:
    whole = ack([(1, 2), (5, 9)]).encode()
    for size in range(len(whole)):
        with pytest.raises(WireError):
            LabAck.decode(whole[:size])


@pytest.mark.parametrize("pairs", [[(-1, 2)], [(0, 1 << 64)], [(0, 0)] * (MAX_RANGES + 1)])
def test_what_does_not_fit_is_a_wire_error(pairs: list[tuple[int, int]]) -> None:
    with pytest.raises(WireError):
        ack(pairs).encode()


def test_the_kind_is_told_from_the_first_bytes() -> None:
    data, answer = LabData(number=1).encode(), ack([]).encode()
    assert (lab_kind(data), lab_kind(memoryview(answer))) == (DATA, ACK)
    assert lab_kind(data[:10]) == lab_kind(b"") == lab_kind(bytes(40)) == 0
    other_version = bytearray(data)
    other_version[2] += 1
    assert lab_kind(other_version) == 0
