"""Address validation tokens (RFC 9000 8.1.1 to 8.1.4, RFC 9369 5)."""

from __future__ import annotations

import random

import pytest

from stacks.quic.paths import Token, TokenKeeper
from stacks.quic.paths.tokens import NEW_LIFE_NS, REMEMBERED, RETRY_LIFE_NS

CLIENT = ("192.0.2.7", 50_000)
NOW = 1_000_000_000
ORIGINAL, SOURCE = b"original dcid", b"retry scid"


def keeper(key: bytes = b"key") -> TokenKeeper:
    return TokenKeeper(key)


def retry(tokens: TokenKeeper, *, version: int = 1, now: int = NOW) -> bytes:
    return tokens.seal_retry(CLIENT, ORIGINAL, SOURCE, version=version, now=now, rng=random.Random(4))


def new(tokens: TokenKeeper, *, version: int = 1, now: int = NOW, seed: int = 4) -> bytes:
    return tokens.seal_new_token(CLIENT, version=version, now=now, rng=random.Random(seed))


def test_a_retry_token_tells_both_connection_ids() -> None:
    tokens = keeper()
    token = retry(tokens)
    assert tokens.is_retry_token(token)
    assert tokens.open(token, CLIENT, version=1, now=NOW) == Token(True, ORIGINAL, SOURCE)


def test_a_new_token_is_no_retry_token() -> None:
    tokens = keeper()
    token = new(tokens)
    assert not tokens.is_retry_token(token)
    assert tokens.open(token, CLIENT, version=1, now=NOW) == Token(False)


def test_another_process_with_the_key_reads_them_and_one_without_does_not() -> None:
    token = retry(keeper())
    assert keeper().open(token, CLIENT, version=1, now=NOW) is not None
    assert keeper(b"other").open(token, CLIENT, version=1, now=NOW) is None


@pytest.mark.parametrize(
    ("client", "retry_is_good", "new_is_good"),
    [
        (("192.0.2.7", 50_001), False, True),
        (("192.0.2.8", 50_000), False, False),
        (("2001:db8::1", 50_000), False, False),
    ],
)
def test_a_retry_token_is_bound_to_address_and_port_and_a_new_one_to_the_address(
    client: tuple[str, int], retry_is_good: bool, new_is_good: bool
) -> None:
    tokens = keeper()
    assert (tokens.open(retry(tokens), client, version=1, now=NOW) is not None) == retry_is_good
    assert (tokens.open(new(tokens), client, version=1, now=NOW) is not None) == new_is_good


def test_a_token_is_good_in_its_own_version_alone() -> None:
    tokens = keeper()
    assert tokens.open(retry(tokens, version=2), CLIENT, version=1, now=NOW) is None
    assert tokens.open(new(tokens, version=1), CLIENT, version=2, now=NOW) is None
    assert tokens.open(new(tokens, version=2), CLIENT, version=2, now=NOW) is not None


@pytest.mark.parametrize(("make", "life_ns"), [(retry, RETRY_LIFE_NS), (new, NEW_LIFE_NS)])
def test_a_token_has_its_time(make: object, life_ns: int) -> None:
    for late_ns, is_good in ((life_ns, True), (life_ns + 1, False), (-1, False)):
        tokens = keeper()
        token = make(tokens)  # type: ignore[operator]
        assert (tokens.open(token, CLIENT, version=1, now=NOW + late_ns) is not None) == is_good


def test_a_new_token_is_taken_once() -> None:
    tokens = keeper()
    token = new(tokens)
    assert tokens.open(token, CLIENT, version=1, now=NOW) is not None
    assert tokens.open(token, CLIENT, version=1, now=NOW) is None


def test_what_is_remembered_of_used_tokens_is_bounded() -> None:
    tokens = keeper()
    used = [new(tokens, seed=seed) for seed in range(REMEMBERED + 1)]
    for token in used:
        assert tokens.open(token, CLIENT, version=1, now=NOW) is not None
    assert tokens.open(used[-1], CLIENT, version=1, now=NOW) is None
    assert tokens.open(used[0], CLIENT, version=1, now=NOW) is not None  # forgotten: the bound is told in the docstring


def test_no_bit_of_a_token_can_be_changed() -> None:
    token = retry(keeper())
    for index in range(len(token) * 8):
        changed = bytearray(token)
        changed[index // 8] ^= 1 << index % 8
        assert keeper().open(bytes(changed), CLIENT, version=1, now=NOW) is None


def test_no_part_of_a_token_is_one() -> None:
    token = retry(keeper())
    for length in range(len(token)):
        assert keeper().open(token[:length], CLIENT, version=1, now=NOW) is None


def test_tokens_cannot_be_linked_to_the_client_that_they_name() -> None:
    token = retry(keeper())
    for secret in (ORIGINAL, SOURCE, CLIENT[0].encode(), NOW.to_bytes(8, "big")):
        assert secret not in token
