"""Checksums against published check values and plain restatements."""

from __future__ import annotations

import importlib
import struct
import sys
import zlib
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.checksum import crc32, crc32c, crc32c_plain, internet_checksum

# RFC 3720 B.4 and the customary check value.
CRC32C = [
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
]


@pytest.mark.parametrize(("data", "check"), CRC32C)
def test_crc32c_has_its_published_values(data: bytes, check: int) -> None:
    assert crc32c(data) == crc32c_plain(data) == check


@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_crcs_can_be_continued_and_take_any_buffer(data: bytes, cut: int) -> None:
    for crc, oracle in ((crc32, zlib.crc32), (crc32c, crc32c_plain)):
        assert crc(data) == oracle(data) == crc(bytearray(data)) == crc(memoryview(bytearray(data)))
        assert crc(data[cut:], crc(data[:cut])) == oracle(data)


def _without(missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it is where these wheels are not installed."""
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    spec = importlib.util.find_spec("wire.checksum")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("missing", [("isal.isal_zlib",), ("crc32c",), ("crc32c", "google_crc32c")])
def test_without_a_wheel_the_next_one_computes_the_same(
    missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = _without(missing, monkeypatch)
    data = memoryview(bytearray(range(200)))
    assert (module.crc32(data, 7), module.crc32c(data, 7)) == (crc32(data, 7), crc32c(data, 7))


def _plain_internet_checksum(data: bytes, initial: int) -> int:
    """RFC 1071 1 as written: add 16-bit words, fold the carries, complement."""
    words: list[int] = [word for (word,) in struct.iter_unpack(">H", data + bytes(len(data) % 2))]
    total = initial + sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(data=st.binary(max_size=60) | st.integers(0, 20).map(bytes), initial=st.integers(0, 1 << 20))
def test_internet_checksum_is_the_folded_sum(data: bytes, initial: int) -> None:
    assert internet_checksum(data, initial) == _plain_internet_checksum(data, initial)


def test_internet_checksum_of_the_example_in_rfc_1071() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


def test_crc32_has_its_customary_check_value() -> None:
    assert crc32(b"123456789") == 0xCBF43926
