"""What perftest's two sides tell each other, and the random bytes that fill its buffers."""

from __future__ import annotations

import ctypes
from itertools import islice

import pytest

from interop.peers.glibc_random import find_seed, rand, random_bytes
from interop.peers.perftest_exchange import KEY_BYTES, Keys
from interop.peers.rendezvous import Place
from interop.peers.terms import PeerError

KEYS = (
    b"0000:0001:000013:8615b7:00000c8e:00005562d1a0b000:"
    b"00:00:00:00:00:00:00:00:00:00:ff:ff:c0:00:02:02:00000000:\0"
)


def test_keys_are_the_text_of_version_6() -> None:
    keys = Keys(Place(0x13, 0x8615B7, "192.0.2.2"), reads=1, rkey=0xC8E, address=0x5562D1A0B000)
    assert keys.encode() == KEYS
    assert Keys.decode(KEYS) == keys
    assert len(KEYS) == KEY_BYTES


@pytest.mark.parametrize("data", [b"", KEYS[:-1], b"x" + KEYS[1:], KEYS.replace(b"c0:00:02:02:", b"c0:00:02:02 ")])
def test_other_text_is_no_keys(data: bytes) -> None:
    with pytest.raises(PeerError):
        Keys.decode(data)


def test_first_numbers_after_seed_1_are_the_well_known_ones() -> None:
    assert list(islice(rand(1), 3)) == [1804289383, 846930886, 1681692777]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
                    reason="the C library here is another one")  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1, 1_795_431_998])
def test_numbers_are_those_of_the_c_library(seed: int) -> None:
    library = ctypes.CDLL(None)
    library.srand(seed)
    assert [library.rand() for _ in range(400)] == list(islice(rand(seed), 400))


def test_seed_is_found_from_bytes_anywhere_in_the_buffer() -> None:
    buffer = random_bytes(1234, 5000)
    assert find_seed(buffer[4096:4200], 4096, range(1230, 1240)) == 1234
    with pytest.raises(PeerError):
        find_seed(buffer[:16], 0, range(10))
