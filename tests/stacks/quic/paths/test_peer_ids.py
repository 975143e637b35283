"""The connection IDs that a peer gives (RFC 9000 5.1.1, 5.1.2, 10.3.1, 19.15, 19.16)."""

from __future__ import annotations

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.paths import PeerConnectionIds
from stacks.quic.paths.stateless_reset import ResetToken
from tests.stacks.quic.paths.frames import packet_of, retired
from wire.quic.frames import NewConnectionId
from wire.quic.parameters import PreferredAddress, TransportParameters

REMOTE = ("192.0.2.1", 443)
LIMIT = 4


def peer_ids(*, first: bytes = b"first...", limit: int = LIMIT, is_client: bool = False) -> PeerConnectionIds:
    return PeerConnectionIds(
        Configuration(active_connection_id_limit=limit), first, REMOTE, is_client=is_client
    )


def new(number: int, *, prior: int = 0, cid: bytes = b"", token: bytes = b"") -> NewConnectionId:
    return NewConnectionId(number, prior, cid or b"cid-%04d" % number, token or b"token-%010d" % number)


def refused(ids: PeerConnectionIds, frame: NewConnectionId) -> int:
    with pytest.raises(QuicError) as error:
        ids.handle_new(frame, 0)
    return error.value.code


def test_a_given_id_is_used_once_and_in_order() -> None:
    ids = peer_ids()
    ids.handle_new(new(1), 0)
    ids.handle_new(new(2), 0)
    assert ids.take_fresh() == b"cid-0001"
    assert ids.take_fresh() == b"cid-0002"
    assert ids.take_fresh() is None


def test_the_same_frame_again_changes_nothing() -> None:
    ids = peer_ids()
    for _ in range(3):
        ids.handle_new(new(1), 0)
    assert ids.take_fresh() == b"cid-0001"
    assert ids.take_fresh() is None
    assert not ids.has_frames


@pytest.mark.parametrize(
    "frame",
    [new(1, cid=b"x" * 21), NewConnectionId(1, 0, b"", bytes(16)), new(3, prior=4)],
    ids=["21 bytes", "no bytes", "retires more than there is"],
)
def test_a_frame_that_makes_no_sense_is_a_frame_encoding_error(frame: NewConnectionId) -> None:
    assert refused(peer_ids(), frame) == TransportErrorCode.FRAME_ENCODING_ERROR


def test_a_peer_without_ids_may_not_give_any() -> None:
    assert refused(peer_ids(first=b""), new(1)) == TransportErrorCode.PROTOCOL_VIOLATION


@pytest.mark.parametrize(
    "frame", [new(1, cid=b"other..."), new(1, token=b"t" * 16), new(2, cid=b"cid-0001")], ids=["cid", "token", "number"]
)
def test_a_number_stands_for_one_id_and_one_token(frame: NewConnectionId) -> None:
    ids = peer_ids()
    ids.handle_new(new(1), 0)
    assert refused(ids, frame) == TransportErrorCode.PROTOCOL_VIOLATION


def test_more_than_the_limit_is_an_error_and_the_first_counts() -> None:
    ids = peer_ids()
    for number in range(1, LIMIT):
        ids.handle_new(new(number), 0)
    assert refused(ids, new(LIMIT)) == TransportErrorCode.CONNECTION_ID_LIMIT_ERROR


def test_what_is_to_be_retired_goes_before_the_limit_is_looked_at() -> None:
    ids = peer_ids()
    for number in range(1, LIMIT):
        ids.handle_new(new(number), 0)
    ids.handle_new(new(LIMIT, prior=1), 0)
    assert retired(ids) == [0]
    assert not ids.is_active(b"first...")


def test_all_below_retire_prior_to_are_retired_and_what_comes_late_at_once() -> None:
    ids = peer_ids()
    ids.handle_new(new(1), 0)
    ids.handle_new(new(3, prior=3), 0)
    assert retired(ids) == [0, 1]
    ids.handle_new(new(2), 0)
    assert retired(ids) == [2]
    assert ids.take_fresh() == b"cid-0003"
    assert ids.take_fresh() is None


def test_a_smaller_retire_prior_to_than_before_means_nothing() -> None:
    ids = peer_ids()
    ids.handle_new(new(3, prior=3), 0)
    retired(ids)
    ids.handle_new(new(4, prior=1), 0)
    assert not ids.has_frames


def test_an_id_that_we_retired_does_not_come_back() -> None:
    ids = peer_ids()
    ids.handle_new(new(1), 0)
    ids.handle_new(new(2), 0)
    ids.retire(b"cid-0001")
    assert retired(ids) == [1]
    ids.handle_new(new(1), 0)
    assert not ids.is_active(b"cid-0001")
    assert ids.take_fresh() == b"cid-0002"


def test_a_lost_retirement_is_said_again_and_an_acknowledged_one_is_not() -> None:
    ids = peer_ids()
    ids.handle_new(new(1, prior=1), 0)
    _, (record,) = packet_of(ids)
    record.lost(1)
    assert retired(ids) == [0]
    record.acked(2)
    record.lost(3)
    assert not ids.has_frames


def test_a_full_packet_leaves_retirements_for_the_next() -> None:
    ids = peer_ids()
    ids.handle_new(new(3, prior=3), 0)
    ids.handle_new(new(1), 0)
    ids.handle_new(new(2), 0)
    frames, _ = packet_of(ids, room=4)
    assert len(frames) == 2
    assert ids.has_frames
    assert len(retired(ids)) == 1


def test_a_peer_that_retires_faster_than_it_is_told_is_stopped() -> None:
    ids = peer_ids()
    code = 0
    for number in range(1, 100):
        try:
            ids.handle_new(new(number, prior=number), 0)
        except QuicError as error:
            code = error.code
            break
    assert code == TransportErrorCode.CONNECTION_ID_LIMIT_ERROR
    assert number >= 2 * LIMIT  # 5.1.2: at least twice the limit has to be borne


def test_a_peer_that_waits_for_each_retirement_may_go_on_for_ever() -> None:
    ids = peer_ids()
    for number in range(1, 5000):
        ids.handle_new(new(number, prior=number), 0)
        _, records = packet_of(ids)
        for record in records:
            record.acked(0)
    assert ids.take_fresh() == b"cid-4999"


def test_what_comes_too_late_is_retired_and_not_used() -> None:
    """Of many that we retired not each is remembered: what lay between them is not wanted any more, and what is active
    stays so.
    """
    ids = peer_ids()
    for number in range(2, 200, 2):
        ids.handle_new(new(number), 0)
        ids.retire(b"cid-%04d" % number)
        _, records = packet_of(ids)
        for record in records:
            record.acked(0)
    ids.handle_new(new(3), 0)
    assert retired(ids) == [3]
    assert not ids.is_active(b"cid-0003")
    assert ids.is_active(b"first...")
    ids.handle_new(new(199), 0)
    assert ids.take_fresh() == b"cid-0199"


def test_reset_tokens_count_from_first_use_to_retirement() -> None:
    ids = peer_ids()
    ids.handle_new(new(1), 0)
    assert ids.poll_reset_token() is None  # 10.3.1: not of IDs that were not used
    ids.take_fresh()
    assert ids.poll_reset_token() == ResetToken(b"token-0000000001", is_addition=True)
    ids.retire(b"cid-0001")
    assert ids.poll_reset_token() == ResetToken(b"token-0000000001", is_addition=False)
    assert ids.poll_reset_token() is None


def test_a_client_knows_the_tokens_of_the_parameters() -> None:
    ids = peer_ids(is_client=True)
    ids.first_packet(b"chosen")
    preferred = PreferredAddress(("192.0.2.9", 443), None, b"cid-0001", b"token-0000000001")
    ids.apply_peer_parameters(TransportParameters(stateless_reset_token=b"t" * 16, preferred_address=preferred))
    assert ids.poll_reset_token() == ResetToken(b"t" * 16, is_addition=True)
    assert ids.poll_reset_token() is None
    ids.handle_new(new(1), 0)  # the same as in the parameters, which have number 1
    ids.mark_used(b"cid-0001")
    assert ids.poll_reset_token() == ResetToken(b"token-0000000001", is_addition=True)
    assert ids.take_fresh() is None


def test_a_client_takes_the_servers_choice_once() -> None:
    ids = peer_ids(is_client=True)
    assert ids.is_source_acceptable(b"anything")
    ids.first_packet(b"chosen")
    assert ids.current == ids.handshake_cid == b"chosen"
    assert ids.is_source_acceptable(b"chosen")
    assert not ids.is_source_acceptable(b"another")


def test_an_empty_id_fits_every_path_and_is_never_retired() -> None:
    ids = peer_ids(first=b"")
    assert ids.take_fresh() == b""
    ids.retire(b"")
    assert not ids.has_frames
    assert ids.is_active(b"")
