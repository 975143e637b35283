"""Key updates (RFC 9001 6): who may, when, and which keys a packet means."""

from __future__ import annotations

import random

import pytest
from aioquic.quic.crypto import CryptoPair
from aioquic.tls import CipherSuite

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.keys import SUITES, Suite, next_secret
from stacks.runtime.errors import LocalError
from tests.stacks.quic.keys.rig import CID, PTO_NS, VERSION, End, payload_of, two_ends


def test_a_peer_follows_an_update_and_both_go_on() -> None:
    one, other = two_ends()
    assert other.receive(one.send(count=3)) == [0, 1, 2]
    one.keys.update(0)
    assert (one.keys.phase_bit, other.keys.phase_bit) == (4, 0)
    assert other.receive(one.send()) == [3]
    assert other.keys.phase_bit == 4
    assert one.receive(other.send()) == [0]
    assert (one.keys.updates, other.keys.updates) == (1, 1)


def test_many_updates_from_both_sides_in_turn() -> None:
    one, other = two_ends()
    for turn in range(20):
        mover, follower = (one, other) if turn % 3 else (other, one)
        mover.keys.update(turn)
        assert follower.receive(mover.send(count=2)) == [mover.next_number - 2, mover.next_number - 1]
        answer = follower.send()
        assert mover.receive(answer) == [follower.next_number - 1]
        mover.keys.acked(mover.next_number - 1, follower.next_number - 1)
        assert follower.receive(mover.send()) == [mover.next_number - 1]
        follower.keys.acked(follower.next_number - 1, mover.next_number - 1)
        assert one.keys.updates == other.keys.updates == turn + 1
        assert one.keys.phase_bit == other.keys.phase_bit == (turn + 1) % 2 * 4


def test_both_ends_update_at_the_same_time() -> None:
    one, other = two_ends()
    crossing = one.send(), other.send()
    one.keys.update(0)
    other.keys.update(0)
    assert other.receive(crossing[0] + one.send()) == [0, 1]
    assert one.receive(crossing[1] + other.send()) == [0, 1]
    assert (one.keys.updates, other.keys.updates) == (1, 1)


def test_no_update_before_the_handshake_is_confirmed() -> None:
    one, _ = two_ends()
    one.keys.is_confirmed = False
    assert not one.keys.can_update
    with pytest.raises(LocalError, match="confirmed"):
        one.keys.update(0)


def test_no_second_update_before_a_packet_of_this_phase_was_acknowledged() -> None:
    one, other = two_ends()
    one.keys.update(0)
    assert not one.keys.can_update
    other.receive(one.send(count=2))
    one.receive(other.send())
    assert not one.keys.can_update
    with pytest.raises(LocalError, match="followed"):
        one.keys.update(0)
    one.keys.acked(0, 0)
    assert one.keys.can_update
    one.keys.update(0)
    assert not one.keys.can_update


def test_late_packets_of_the_phase_before_open_for_three_probe_timeouts() -> None:
    one, other = two_ends()
    late = one.send(count=4)
    other.receive(one.send())
    one.keys.update(0)
    assert other.receive(one.send(), now=1000) == [5]
    assert other.receive(late[:2], now=1000 + 3 * PTO_NS - 1) == [0, 1]
    assert other.receive(late[2:], now=1000 + 3 * PTO_NS) == [None, None]
    assert other.keys.updates == 1


def test_old_keys_stay_until_the_peer_was_heard_with_new_ones() -> None:
    """6.1, MUST: however long the peer takes to follow."""
    one, other = two_ends()
    one.keys.update(0)
    assert one.receive(other.send(count=2), now=1000 * PTO_NS) == [0, 1]
    late = other.send()
    other.receive(one.send())
    assert one.receive(other.send(), now=2000 * PTO_NS) == [3]
    assert one.receive(late, now=2003 * PTO_NS - 1) == [2]


def test_old_and_new_packets_mixed_in_one_burst() -> None:
    one, other = two_ends()
    old = one.send(count=10)
    other.receive(old[:1])
    one.keys.update(0)
    new = one.send(count=10)
    packets = list(enumerate(old + new))[1:]
    random.Random(4).shuffle(packets)
    assert other.receive([packet for _, packet in packets]) == [number for number, _ in packets]
    assert (other.keys.updates, other.keys.failed) == (1, 0)


def test_forged_packets_of_either_phase_change_nothing() -> None:
    one, other = two_ends()
    rng = random.Random(7)
    forged = [bytes([0x40 | rng.randrange(64)]) + CID + rng.randbytes(40) for _ in range(200)]
    burst = [packet for pair in zip(forged, one.send(count=200), strict=True) for packet in pair]
    assert other.receive(burst) == [number for index in range(200) for number in (None, index)]
    assert (other.keys.updates, other.keys.failed) == (0, 200)


def test_forged_packets_while_old_keys_are_kept_change_nothing() -> None:
    one, other = two_ends()
    other.receive(one.send())
    one.keys.update(0)
    other.receive(one.send())
    rng = random.Random(8)
    forged = [bytes([0x40 | rng.randrange(64)]) + CID + rng.randbytes(40) for _ in range(200)]
    assert other.receive(forged) == [None] * 200
    assert (other.keys.updates, other.keys.failed) == (1, 200)
    assert other.receive(one.send()) == [2]


def test_a_newer_packet_with_older_keys_is_an_error() -> None:
    """6.4: keys never go back."""
    one, other = two_ends()
    twin, _ = two_ends()
    other.receive(one.send())
    one.keys.update(0)
    other.receive(one.send())
    twin.next_number = 5
    assert_key_update_error(other, twin.send())


def test_an_older_packet_with_newer_keys_is_an_error() -> None:
    one, other = two_ends()
    ahead, _ = two_ends()
    ahead.keys.update(0)
    ahead.next_number = 1
    early = ahead.send()
    one.send(count=2)
    assert other.receive(one.send()) == [2]
    assert_key_update_error(other, early)


def test_a_second_update_before_we_answered_the_first_is_an_error() -> None:
    """6.2: the peer cannot have seen an acknowledgment with the new keys."""
    _, silent = two_ends()
    one, other = two_ends()
    for updates in range(2):
        one.keys.update(0)
        other.receive(packets := one.send())
        one.receive(other.send())
        one.keys.acked(updates, updates)
        if not updates:
            assert silent.receive(packets) == [0]
    assert_key_update_error(silent, packets)


def test_a_second_update_after_acknowledgments_that_are_never_acknowledged_is_allowed() -> None:
    """An end that only receives sends nothing that the peer has to acknowledge."""
    one, other = two_ends()
    for updates in range(1, 5):
        one.keys.update(0)
        assert other.receive(one.send(), now=updates * 10 * PTO_NS) == [updates - 1]
        assert one.receive(other.send()) == [updates - 1]
        one.keys.acked(updates - 1, updates - 1)
        assert other.keys.updates == updates


def test_an_acknowledgment_of_new_keys_that_came_with_old_ones_is_an_error() -> None:
    """6.2: the peer saw the update and did not follow."""
    one, other = two_ends()
    one.keys.update(0)
    one.send()
    assert one.receive(other.send()) == [0]
    with pytest.raises(QuicError) as caught:
        one.keys.acked(0, 0)
    assert caught.value.code == TransportErrorCode.KEY_UPDATE_ERROR


def test_an_acknowledgment_of_old_keys_may_come_with_old_ones() -> None:
    one, other = two_ends()
    one.send(count=3)
    one.keys.update(0)
    one.send()
    one.receive(other.send())
    one.keys.acked(2, 0)
    assert not one.keys.can_update


def test_keys_change_by_themselves_after_as_many_packets_as_wanted() -> None:
    one, other = two_ends(update_after=10)
    for turn in range(100):
        other.receive(one.send(turn * PTO_NS), turn * PTO_NS)
        one.receive(other.send(turn * PTO_NS), turn * PTO_NS)
        one.keys.acked(one.next_number - 1, other.next_number - 1)
        other.keys.acked(other.next_number - 1, one.next_number - 1)
    assert one.keys.updates == other.keys.updates == 9


def test_keys_that_change_by_themselves_wait_until_old_packets_are_gone() -> None:
    """6.5, SHOULD: three probe timeouts after the last change."""
    one, other = two_ends(update_after=10)
    for turn in range(100):
        other.receive(one.send(turn * PTO_NS // 20), turn * PTO_NS // 20)
        one.receive(other.send(turn * PTO_NS // 20), turn * PTO_NS // 20)
        one.keys.acked(one.next_number - 1, other.next_number - 1)
        other.keys.acked(other.next_number - 1, one.next_number - 1)
    assert one.keys.updates == other.keys.updates == 2  # at 10 and at 10 + 60


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_header_protection_and_labels_of_updates_are_as_aioquic_has_them(suite: Suite) -> None:
    one, _ = two_ends(suite)
    oracle = CryptoPair()
    secrets = (bytes([value]) * suite.hash.digest_size for value in (2, 1))
    for context, secret in zip((oracle.send, oracle.recv), secrets, strict=True):
        context.setup(cipher_suite=CipherSuite(suite.number), secret=secret, version=VERSION)
    for number in range(6):
        if number in {1, 4}:
            one.keys.update(0)
        (packet,) = one.send()
        header, payload, got = oracle.decrypt_packet(packet, 1 + len(CID), number)
        assert (got, payload, header[0] & 4) == (number, payload_of(number), one.keys.phase_bit)
        if number in {2, 5}:
            oracle.update_key()
        header = bytes([0x41 | oracle.key_phase << 2]) + CID + number.to_bytes(2, "big")
        assert one.receive([oracle.encrypt_packet(header, payload_of(number), number)]) == [number]
        one.keys.acked(number, number)
    assert one.keys.updates == 4


def test_the_next_secret_is_of_the_version() -> None:
    suite = SUITES[0x1301]
    assert next_secret(suite, b"s" * 32, 1) != next_secret(suite, b"s" * 32, 0x6B3343CF)


def assert_key_update_error(end: End, packets: list[bytes]) -> None:
    with pytest.raises(QuicError) as caught:
        end.receive(packets)
    assert caught.value.code == TransportErrorCode.KEY_UPDATE_ERROR
