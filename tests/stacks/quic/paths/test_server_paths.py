"""A server whose client appears elsewhere (RFC 9000 8.1, 9.3 to 9.6)."""

from __future__ import annotations

import pytest

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import PathChanged, PathFailed
from stacks.quic.paths.validation import ValidationState
from tests.stacks.quic.paths.frames import retired
from tests.stacks.quic.paths.rig import HERE, OTHER_HOST, OTHER_PORT, SECOND_NS, THERE, PathsRig
from wire.quic.frames import PathChallenge, PathResponse

PREFERRED = ("192.0.2.200", 443)


def test_a_rebound_client_is_followed_at_once_and_challenged() -> None:
    rig = PathsRig()
    before = rig.active
    path = rig.arrive(HERE, OTHER_PORT)
    assert rig.active is path
    assert rig.active.peer_cid == before.peer_cid  # 9.5: the same of ours in its packets, so the same of its in ours
    assert rig.active.congestion is before.congestion  # 9.4: the port alone is another
    assert rig.events() == [PathChanged(HERE, OTHER_PORT)]
    challenged = {sent.remote for sent, frames, _ in rig.send() if isinstance(frames[0], PathChallenge)}
    assert challenged == {OTHER_PORT, THERE}  # 9.3.3: the former one as well


def test_another_host_has_congestion_and_mtu_of_its_own() -> None:
    rig = PathsRig()
    before = rig.active
    rig.arrive(HERE, OTHER_HOST)
    assert rig.active.congestion is not before.congestion
    assert rig.active.mtu is not before.mtu
    assert rig.changed == [rig.active]


def test_a_client_that_changed_its_id_is_answered_with_another_one() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001")
    assert rig.active.remote == OTHER_HOST
    assert rig.active.peer_cid == b"peer-002"
    assert rig.ids.current == b"peer-002"


def test_without_a_spare_id_a_moving_client_is_not_followed_until_it_gives_one() -> None:
    rig = PathsRig(spare_ids=0)
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001")
    assert rig.active.remote == THERE
    assert rig.paths.with_frames(0) == []
    rig.give(1)
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001")
    assert rig.active.remote == OTHER_HOST
    assert rig.active.peer_cid == b"peer-001"


def test_a_new_address_gets_three_times_what_came_from_it_until_it_answers() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, size=500)
    assert rig.active.budget_bytes() == 1500
    rig.active.sent_bytes += 1400
    assert rig.active.budget_bytes() == 100
    rig.active.sent_bytes += 1400
    assert rig.active.budget_bytes() == 0
    rig.arrive(HERE, OTHER_HOST, size=1000)
    assert rig.active.budget_bytes() == 1700
    rig.answer(rig.active)
    assert rig.active.budget_bytes() > 1 << 40


def test_bytes_that_cannot_be_opened_count_as_well_once_the_path_is_one() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, size=300, is_opened=False)
    rig.arrive(HERE, OTHER_HOST, size=100)
    assert rig.active.budget_bytes() == 1200


def test_packets_that_cannot_be_opened_make_no_path() -> None:
    rig = PathsRig()
    for port in range(1000):
        rig.arrive(HERE, ("203.0.113.1", port), is_opened=False)
    assert rig.active.remote == THERE
    assert rig.paths.poll_deadline() is None
    assert not rig.paths.is_peer(("203.0.113.1", 999))


def test_a_probe_from_elsewhere_is_answered_there_and_challenged_and_moves_nothing() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001", is_probing=True, challenge=b"12345678")
    assert rig.active.remote == THERE
    ((path, frames, size),) = rig.send()
    assert path.remote == OTHER_HOST
    assert [type(frame) for frame in frames] == [PathResponse, PathChallenge]
    assert frames[0].data == b"12345678"
    assert size == 1200


def test_a_late_packet_from_elsewhere_moves_nothing() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, is_newest=False)
    assert rig.active.remote == THERE


def test_a_validated_move_gets_the_client_a_new_token() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST)
    assert rig.validated == []
    rig.answer(rig.active)
    assert rig.validated == [rig.active]


def test_an_address_that_does_not_answer_is_left_for_the_last_that_did() -> None:
    rig = PathsRig()
    first = rig.active
    rig.arrive(HERE, OTHER_HOST)
    rig.answer(first)  # the true client
    rig.events()
    while rig.active is not first:
        rig.send()
        rig.wait()
    assert rig.now == 3 * 999_000_000  # 8.2.4: three probe timeouts of an unknown path
    assert PathFailed(HERE, OTHER_HOST) in rig.events()
    assert rig.active.congestion is first.congestion


def test_an_attacker_that_goes_on_from_address_to_address_does_not_lose_us_the_client() -> None:
    rig = PathsRig()
    first = rig.active
    for host in range(20):
        rig.arrive(HERE, (f"203.0.113.{host}", 1))
        rig.send()
    rig.wait_for_all()
    assert rig.active is first


def test_packets_of_the_true_client_bring_us_back_at_once() -> None:
    rig = PathsRig()
    first = rig.active
    rig.arrive(HERE, OTHER_HOST)
    assert rig.arrive(HERE, THERE) is first
    assert rig.active is first
    assert first.is_validated
    rig.wait_for_all()
    assert rig.active is first


def test_a_path_of_no_more_use_is_forgotten_and_its_id_retired() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001")
    rig.answer(rig.active)
    assert not rig.ids.has_frames
    rig.wait_for_all()
    assert retired(rig.ids) == [0]
    assert rig.active.remote == OTHER_HOST
    assert not rig.paths.is_peer(THERE)


def test_a_rebound_path_shares_its_id_which_stays_when_the_old_one_is_forgotten() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_PORT)
    rig.answer(rig.active)
    rig.wait_for_all()
    assert not rig.ids.has_frames
    assert rig.ids.is_active(rig.active.peer_cid)


def test_a_small_challenge_is_followed_by_a_full_one() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, size=100)
    (sent,) = (sent for sent in rig.send() if sent[0] is rig.active)
    assert sent[2] == 300
    assert isinstance(sent[1][0], PathChallenge)
    rig.paths.handle_response(rig.active, sent[1][0].data, rig.now)
    assert rig.active.is_validated
    assert rig.active.frames.state == ValidationState.ADDRESS_KNOWN
    (sent,) = (sent for sent in rig.send() if sent[0] is rig.active)
    assert sent[2] == 1200
    assert isinstance(sent[1][0], PathChallenge)
    rig.paths.handle_response(rig.active, sent[1][0].data, rig.now)
    assert rig.active.frames.state == ValidationState.VALIDATED


def test_a_response_that_answers_nothing_is_a_violation() -> None:
    rig = PathsRig()
    with pytest.raises(QuicError) as error:
        rig.paths.handle_response(rig.active, b"whatever", 0)
    assert error.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_a_response_for_a_path_that_is_forgotten_is_no_violation() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST)
    data = [frame.data for path, frames, _ in rig.send() for frame in frames if path is rig.active]
    rig.wait_for_all()
    assert not rig.paths.is_peer(OTHER_HOST)
    rig.paths.handle_response(rig.active, data[0], rig.now)
    assert rig.active.remote == THERE


def test_a_response_may_come_on_another_path_than_its_challenge_went() -> None:
    rig = PathsRig()
    first = rig.active
    rig.arrive(HERE, OTHER_HOST)
    (data,) = (frames[0].data for path, frames, _ in rig.send() if path is rig.active)
    rig.paths.handle_response(first, data, rig.now)
    assert rig.active.frames.state == ValidationState.VALIDATED


def test_nobody_moves_before_the_handshake_is_confirmed() -> None:
    rig = PathsRig()
    rig.paths._is_confirmed = False  # noqa: SLF001 - as it was before
    assert rig.arrive(HERE, OTHER_HOST) is None


def test_retired_ids_are_given_up_on_every_path() -> None:
    rig = PathsRig()
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001", is_probing=True)
    rig.give(6, prior=6)
    assert rig.active.peer_cid == rig.ids.current == b"peer-006"
    assert not rig.paths.is_peer(OTHER_HOST)  # for which none was left
    rig.give(7, prior=6)
    rig.arrive(HERE, OTHER_HOST, cid=b"ours-001")
    assert rig.active.peer_cid == b"peer-007"


def test_our_preferred_address_is_used_when_both_have_shown_that_it_works() -> None:
    """9.6.2: from the old address until the client sends more than probes there, and has answered our challenge."""
    rig = PathsRig()
    path = rig.arrive(PREFERRED, THERE, cid=b"ours-001", is_probing=True, challenge=b"12345678")
    rig.arrive(PREFERRED, THERE, cid=b"ours-001")
    assert rig.active.local == HERE
    assert path is not None
    rig.answer(path)
    assert rig.active is path
    assert rig.active.peer_cid == b"peer-002"


def test_our_preferred_address_is_not_used_where_the_client_only_probes() -> None:
    rig = PathsRig()
    path = rig.arrive(PREFERRED, THERE, cid=b"ours-001", is_probing=True)
    assert path is not None
    rig.answer(path)
    assert rig.active.local == HERE
    rig.arrive(PREFERRED, THERE, cid=b"ours-001")
    assert rig.active is path


def test_a_busy_path_has_no_deadline() -> None:
    rig = PathsRig()
    assert rig.paths.poll_deadline() is None
    rig.arrive(HERE, OTHER_PORT)
    assert rig.paths.poll_deadline() is not None
    rig.now = SECOND_NS // 2
    rig.answer(rig.active)
    rig.wait_for_all()
    assert rig.paths.poll_deadline() is None
