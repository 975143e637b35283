"""How much one key may protect, and how many forgeries are borne (RFC 9001 6.6)."""

from __future__ import annotations

import random

import pytest

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.keys import SUITES
from stacks.quic.keys.phases import EARLY
from tests.stacks.quic.keys.rig import CID, two_ends


def test_limits_are_those_of_the_document() -> None:
    limits = {suite.number: (suite.confidentiality_limit, suite.integrity_limit) for suite in SUITES.values()}
    assert limits == {0x1301: (2**23, 2**52), 0x1302: (2**23, 2**52), 0x1303: (2**62, 2**36)}


def test_keys_change_before_the_confidentiality_limit() -> None:
    one, other = two_ends()
    sealer = one.keys.sealer_for(0, 0)
    sealer.sealed = sealer.limit - EARLY
    assert other.receive(one.send()) == [0]
    assert (one.keys.updates, other.keys.updates) == (1, 1)


def test_no_packet_is_sealed_beyond_the_limit_when_keys_cannot_change() -> None:
    one, _ = two_ends()
    one.keys.is_confirmed = False
    sealer = one.keys.sealer_for(0, 0)
    sealer.sealed = sealer.limit - EARLY
    one.send()  # not yet
    sealer.sealed = sealer.limit - 64  # a burst may have been promised these keys
    with pytest.raises(QuicError) as caught:
        one.send()
    assert caught.value.code == TransportErrorCode.AEAD_LIMIT_REACHED
    assert sealer.sealed < sealer.limit


def test_too_many_forgeries_end_the_connection_whatever_keys_they_were_tried_with() -> None:
    one, other = two_ends(SUITES[0x1303])
    rng = random.Random(3)
    other.keys.failed = SUITES[0x1303].integrity_limit - 10
    forged = [bytes([0x40 | rng.randrange(64)]) + CID + rng.randbytes(40) for _ in range(11)]
    assert other.receive(forged[:5] + one.send() + forged[5:10]) == [None] * 5 + [0] + [None] * 5
    one.keys.update(0)
    assert other.receive(one.send()) == [1]
    with pytest.raises(QuicError) as caught:
        other.receive(forged[10:])
    assert caught.value.code == TransportErrorCode.AEAD_LIMIT_REACHED
