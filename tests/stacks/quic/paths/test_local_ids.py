"""The connection IDs that we give (RFC 9000 5.1.1, 5.1.2, 10.3.2, 19.15, 19.16)."""

from __future__ import annotations

import random

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.paths import IdChange, LocalConnectionIds, reset_token
from tests.stacks.quic.paths.frames import given, packet_of
from wire.quic.parameters import TransportParameters

KEY = b"static key"


def local_ids(*, limit: int = 4, length: int = 8, first: bytes = b"ours0000") -> LocalConnectionIds:
    ids = LocalConnectionIds(
        Configuration(connection_id_bytes=length), first, rng=random.Random(1), reset_key=KEY
    )
    ids.apply_peer_parameters(TransportParameters(active_connection_id_limit=limit))
    return ids


def changes(ids: LocalConnectionIds) -> list[IdChange]:
    found = []
    while (change := ids.poll_change()) is not None:
        found.append(change)
    return found


def refused(ids: LocalConnectionIds, number: int, used: bytes = b"") -> int:
    with pytest.raises(QuicError) as error:
        ids.handle_retire(number, used, 0)
    return error.value.code


@pytest.mark.parametrize("limit", [2, 3, 4])
def test_the_peer_gets_as_many_as_it_keeps_numbered_one_by_one(limit: int) -> None:
    ids = local_ids(limit=limit)
    ids.issue()
    frames = given(ids)
    assert [frame.sequence_number for frame in frames] == list(range(1, limit))
    assert len({frame.connection_id for frame in frames}) == limit - 1
    assert not given(ids)


def test_each_has_the_token_that_a_restarted_process_would_compute() -> None:
    ids = local_ids()
    ids.issue()
    for frame in given(ids):
        assert frame.stateless_reset_token == reset_token(KEY, frame.connection_id)


def test_the_endpoint_hears_of_each_before_the_peer_may_use_it() -> None:
    ids = local_ids()
    assert changes(ids) == [IdChange(b"ours0000", is_addition=True)]
    ids.issue()
    assert {change.connection_id for change in changes(ids)} == {frame.connection_id for frame in given(ids)}


def test_a_retired_one_is_replaced_by_the_next_number() -> None:
    ids = local_ids(limit=3)
    ids.issue()
    frames = given(ids)
    changes(ids)
    ids.handle_retire(1, b"ours0000", 0)
    (replacement,) = given(ids)
    assert replacement.sequence_number == 3
    assert changes(ids) == [
        IdChange(frames[0].connection_id, is_addition=False),
        IdChange(replacement.connection_id, is_addition=True),
    ]
    ids.handle_retire(1, b"ours0000", 0)  # again, since its acknowledgement was lost
    assert not ids.has_frames


def test_retiring_what_was_never_sent_is_a_violation() -> None:
    ids = local_ids()
    ids.issue()
    assert refused(ids, 1) == TransportErrorCode.PROTOCOL_VIOLATION  # it waits to be sent
    given(ids)
    assert refused(ids, 4) == TransportErrorCode.PROTOCOL_VIOLATION
    ids.handle_retire(1, b"", 0)


def test_a_packet_may_not_retire_the_id_that_it_carries() -> None:
    ids = local_ids()
    ids.issue()
    frames = given(ids)
    assert refused(ids, 2, frames[1].connection_id) == TransportErrorCode.PROTOCOL_VIOLATION
    assert ids.is_ours(frames[1].connection_id)


def test_an_end_without_ids_gives_none_and_has_none_retired() -> None:
    ids = local_ids(length=0, first=b"")
    ids.issue()
    assert not ids.has_frames
    assert refused(ids, 0) == TransportErrorCode.PROTOCOL_VIOLATION


def test_a_lost_one_is_given_again_with_the_same_number_and_id() -> None:
    ids = local_ids(limit=2)
    ids.issue()
    (frame,), (record,) = packet_of(ids)
    record.lost(1)
    (again,), _ = packet_of(ids)
    assert again.encode() == frame.encode()
    ids.handle_retire(1, b"", 0)
    given(ids)
    record.lost(2)
    assert not ids.has_frames  # it is retired: nobody wants it any more


def test_a_packet_without_room_leaves_them_for_the_next() -> None:
    ids = local_ids()
    ids.issue()
    assert len(packet_of(ids, room=60)[0]) == 2
    assert [frame.sequence_number for frame in given(ids)] == [3]


def test_the_preferred_addresses_id_has_number_one() -> None:
    ids = local_ids(limit=3)
    connection_id, token = ids.issue_preferred()
    assert token == reset_token(KEY, connection_id)
    ids.issue()
    assert [frame.sequence_number for frame in given(ids)] == [2]
    ids.handle_retire(1, b"ours0000", 0)  # the client may do without it


def test_all_can_be_replaced_at_once_and_not_again_before_they_are_retired() -> None:
    ids = local_ids(limit=3)
    ids.issue()
    given(ids)
    ids.replace_all()
    frames = given(ids)
    assert [(frame.sequence_number, frame.retire_prior_to) for frame in frames] == [(3, 3), (4, 3), (5, 3)]
    ids.replace_all()
    assert not ids.has_frames
    assert ids.is_ours(b"ours0000")  # 5.1.2: until the peer has retired it
    for number in range(3):
        ids.handle_retire(number, frames[0].connection_id, 0)
    assert not ids.has_frames
    assert not ids.is_ours(b"ours0000")
    ids.replace_all()
    assert [frame.retire_prior_to for frame in given(ids)] == [6, 6, 6]


def test_the_clients_first_choice_is_ours_to_the_end() -> None:
    ids = local_ids()
    ids.add_original(b"original")
    assert ids.is_ours(b"original")
    assert b"original" in ids.all()
