"""What stateless resets look like (RFC 9000 10.3, 10.3.2, 10.3.3)."""

from __future__ import annotations

import random

import pytest

from stacks.quic.paths import build_reset, reset_token

TOKEN = bytes(range(16))


@pytest.mark.parametrize("trigger_bytes", [22, 23, 40, 43, 44, 1200, 65_000])
def test_a_reset_is_shorter_than_what_it_answers_and_ends_with_the_token(trigger_bytes: int) -> None:
    reset = build_reset(random.Random(1), trigger_bytes, TOKEN)
    assert reset is not None
    assert 21 <= len(reset) < trigger_bytes
    assert reset.endswith(TOKEN)
    assert reset[0] & 0xC0 == 0x40  # a short header with the fixed bit


@pytest.mark.parametrize("trigger_bytes", [0, 1, 20, 21])
def test_what_is_too_short_gets_no_answer(trigger_bytes: int) -> None:
    assert build_reset(random.Random(1), trigger_bytes, TOKEN) is None


def test_answers_to_packets_of_43_bytes_or_less_are_one_byte_shorter() -> None:
    for size in range(22, 44):
        assert len(build_reset(random.Random(1), size, TOKEN) or b"") == size - 1


def test_two_servers_that_reset_each_other_come_to_an_end() -> None:
    rng, size, count = random.Random(2), 1500, 0
    while (reset := build_reset(rng, size, TOKEN)) is not None:
        size, count = len(reset), count + 1
    assert count <= 23


def test_the_rest_cannot_be_foreseen() -> None:
    rng = random.Random(3)
    heads = {(build_reset(rng, 100, TOKEN) or b"")[:-16] for _ in range(50)}
    assert len(heads) == 50
    assert {head[0] & 0x3F for head in heads} > {0}


def test_tokens_come_from_key_and_connection_id_alone() -> None:
    assert reset_token(b"k", b"cid") == reset_token(b"k", b"cid")
    assert len({reset_token(b"k", b"cid"), reset_token(b"k", b"cid2"), reset_token(b"j", b"cid")}) == 3
    assert len(reset_token(b"k", b"")) == 16
