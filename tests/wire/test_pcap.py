"""Classic capture files, in both byte orders and units of time."""

from __future__ import annotations

import pytest

from wire.errors import WireError
from wire.pcap import decode_pcap, is_pcap


def file(order: str, magic: int, *packets: bytes) -> bytes:
    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    head = number(magic) + number(2, 2) + number(4, 2) + number(0) * 2 + number(65535) + number(101)
    records = [number(3) + number(7) + number(len(each)) + number(len(each) + 1) + each for each in packets]
    return head + b"".join(records)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("magic", "fraction_ns"), [(0xA1B2C3D4, 7000), (0xA1B23C4D, 7)])
def test_packets_come_with_their_times_lengths_and_link_type(order: str, magic: int, fraction_ns: int) -> None:
    content = file(order, magic, b"one", b"")
    assert is_pcap(content)
    first, second = decode_pcap(content)
    assert (first.timestamp_ns, first.data, first.original_length) == (3_000_000_000 + fraction_ns, b"one", 4)
    assert (first.link_type, second.data) == (101, b"")


@pytest.mark.parametrize("missing", range(1, 20))
def test_a_file_cut_short_is_a_wire_error(missing: int) -> None:
    content = file("little", 0xA1B2C3D4, b"four")
    with pytest.raises(WireError):
        list(decode_pcap(content[:-missing]))


def test_another_file_is_no_classic_capture() -> None:
    assert not is_pcap(b"\x0a\x0d\x0d\x0a")
    with pytest.raises(WireError):
        list(decode_pcap(b"nothing"))
