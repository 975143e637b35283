"""A client that moves, and a server's preferred address (RFC 9000 9.1, 9.2, 9.5, 9.6)."""

from __future__ import annotations

import pytest

from stacks.quic.events import PathChanged, PathFailed
from stacks.runtime import LocalError
from tests.stacks.quic.paths.frames import retired
from tests.stacks.quic.paths.rig import HERE, OTHER_HOST, THERE, PathsRig
from wire.quic.frames import PathChallenge
from wire.quic.parameters import PreferredAddress

ELSEWHERE = ("192.0.2.77", 600)
PREFERRED = ("198.51.100.200", 443)


def client(**options: object) -> PathsRig:
    return PathsRig(is_client=True, **options)  # type: ignore[arg-type]


def with_preferred(**options: object) -> PathsRig:
    address = PreferredAddress(PREFERRED, ("2001:db8::1", 443), b"peer-001", b"token-0000000001")
    return client(preferred_address=address, **options)


def test_a_move_begins_with_a_challenge_and_nothing_else_goes_there() -> None:
    rig = client()
    rig.paths.migrate(ELSEWHERE, 0)
    assert rig.active.local == HERE
    ((path, frames, size),) = rig.send()
    assert (path.local, path.remote, size) == (ELSEWHERE, THERE, 1200)
    assert path.peer_cid == b"peer-002"
    assert isinstance(frames[0], PathChallenge)


def test_the_answer_ends_the_move_with_everything_new() -> None:
    rig = client()
    before = rig.active
    rig.paths.migrate(ELSEWHERE, 0)
    ((path, frames, _),) = rig.send()
    rig.paths.handle_response(before, frames[0].data, 1)
    assert rig.active is path
    assert rig.active.congestion is not before.congestion
    assert rig.ids.current == b"peer-002"
    assert rig.events() == [PathChanged(ELSEWHERE, THERE)]


def test_the_old_path_still_answers_for_a_while_with_its_old_id() -> None:
    rig = client()
    before = rig.active
    rig.paths.migrate(ELSEWHERE, 0)
    ((_, frames, _),) = rig.send()
    rig.paths.handle_response(before, frames[0].data, 1)
    assert rig.arrive(HERE, THERE, challenge=b"12345678", is_probing=True) is before  # 9.3.3
    ((path, _, _),) = rig.send()
    assert path is before
    assert before.peer_cid == b"peer-000"
    assert not rig.ids.has_frames
    rig.wait_for_all()
    assert retired(rig.ids) == [0]
    assert rig.arrive(HERE, THERE) is None


def test_a_move_that_nobody_answers_changes_nothing_and_is_told() -> None:
    rig = client()
    rig.paths.migrate(ELSEWHERE, 0)
    rig.wait_for_all()
    assert rig.active.local == HERE
    assert rig.events() == [PathFailed(ELSEWHERE, THERE)]
    assert retired(rig.ids) == [2]


def test_another_move_takes_the_place_of_one_that_is_not_over() -> None:
    rig = client()
    rig.paths.migrate(ELSEWHERE, 0)
    rig.send()
    rig.paths.migrate(("192.0.2.78", 1), 0)
    assert retired(rig.ids) == [2]
    ((path, frames, _),) = rig.send()
    rig.paths.handle_response(path, frames[0].data, 1)
    assert rig.active.local == ("192.0.2.78", 1)


@pytest.mark.parametrize(
    ("rig", "local", "text"),
    [
        (client(disable_active_migration=True), ELSEWHERE, "does not allow"),
        (client(spare_ids=0), ELSEWHERE, "no other connection ID"),
        (client(), HERE, "already"),
        (PathsRig(), ELSEWHERE, "only a client"),
    ],
    ids=["forbidden", "no id", "where it is", "server"],
)
def test_a_move_that_may_not_be_is_refused_in_words(rig: PathsRig, local: tuple[str, int], text: str) -> None:
    with pytest.raises(LocalError, match=text):
        rig.paths.migrate(local, 0)


def test_what_an_unknown_server_sends_is_dropped() -> None:
    rig = client()
    assert rig.arrive(HERE, OTHER_HOST) is None
    assert rig.arrive(ELSEWHERE, THERE) is None


def test_the_preferred_address_of_our_family_is_tried_and_used_when_it_answers() -> None:
    rig = with_preferred()
    ((path, frames, _),) = rig.send()
    assert (path.local, path.remote, path.peer_cid) == (HERE, PREFERRED, b"peer-001")
    assert rig.active.remote == THERE
    rig.paths.handle_response(path, frames[0].data, 1)
    assert rig.active is path


def test_a_preferred_address_that_does_not_answer_is_given_up() -> None:
    rig = with_preferred()
    rig.wait_for_all()
    assert rig.active.remote == THERE
    assert retired(rig.ids) == [1]


def test_who_went_to_the_preferred_address_may_move_although_the_first_one_forbids_it() -> None:
    rig = with_preferred(disable_active_migration=True)
    ((path, frames, _),) = rig.send()
    rig.paths.handle_response(path, frames[0].data, 1)
    rig.paths.migrate(ELSEWHERE, 2)
    assert [sent.local for sent, _, _ in rig.send()] == [ELSEWHERE]
