"""ECN on a path: when packets are marked, and what of the peer's counts is believed (RFC 9000 13.4.2)."""

from __future__ import annotations

import random

import pytest

from stacks.congestion import Cubic, Prague
from stacks.quic.levels import SPACE_HANDSHAKE
from stacks.quic.recovery import PathCongestion
from stacks.quic.recovery.ecn import EcnState
from tests.stacks.quic.recovery.rig import MS, Rig


def capable() -> Rig:
    """Ten packets were marked, arrived, and were counted."""
    rig = Rig(has_ecn=True)
    rig.send(0, 10)
    rig.ack(50 * MS, (0, 9), ecn=(10, 0, 0))
    assert rig.path.validation.state == EcnState.CAPABLE
    rig.controller.hear()
    return rig


def test_the_first_ten_packets_are_marked_and_then_none_before_an_answer() -> None:
    """A.4: a test, and then the outcome is waited for."""
    rig = Rig(has_ecn=True)
    assert rig.path.ecn == 2
    rig.send(0, 6)
    assert rig.path.may_send(MS)
    assert rig.path.ecn == 2
    rig.send(MS, 6)
    # Packets of one instant may leave as one burst: they have one codepoint.
    assert rig.path.may_send(MS)
    assert rig.path.ecn == 2
    assert rig.path.may_send(2 * MS)
    assert rig.path.ecn == 0
    assert rig.path.validation.state == EcnState.UNKNOWN


def test_an_answer_with_counts_lets_all_packets_be_marked() -> None:
    rig = capable()
    assert rig.path.ecn == 2
    rig.send(60 * MS, 100)
    assert rig.path.may_send(70 * MS)
    assert rig.path.ecn == 2


@pytest.mark.parametrize(
    "counts",
    [
        None,  # no counts for packets that were marked
        (9, 0, 0),  # one is missing: its mark was taken off
        (11, 0, 0),  # more than were sent
        (9, 0, 2),
        (0, 10, 0),  # another codepoint
        (9, 1, 0),
    ],
)
def test_counts_that_cannot_be_end_it(counts: tuple[int, int, int] | None) -> None:
    """13.4.2.1."""
    rig = Rig(has_ecn=True)
    rig.send(0, 10)
    rig.ack(50 * MS, (0, 9), ecn=counts)
    assert rig.path.validation.state == EcnState.FAILED
    assert rig.path.ecn == 0
    assert rig.controller.hear() == ["ack"]


@pytest.mark.parametrize("counts", [None, (10, 0, 0), (12, 0, 0), (9, 0, 4)])
def test_a_path_that_worked_may_stop_to(counts: tuple[int, int, int] | None) -> None:
    rig = capable()
    rig.send(60 * MS, 3)
    rig.ack(100 * MS, (0, 12), ecn=counts)
    assert rig.path.validation.state == EcnState.FAILED


def test_counts_of_lost_acknowledgements_come_with_the_next() -> None:
    rig = capable()
    rig.send(60 * MS, 6)
    # The one for (10, 12) never comes; nor did packet 14, whose mark nobody counts.
    rig.ack(101 * MS, 15, (0, 13), ecn=(15, 0, 0))
    assert rig.path.validation.state == EcnState.CAPABLE


def test_an_acknowledgement_that_came_late_is_not_judged() -> None:
    """13.4.2.1: only those that raise the largest acknowledged, or reordering would end it."""
    rig = capable()
    rig.send(60 * MS, 6)
    rig.ack(100 * MS, 15, (10, 13), (0, 9), ecn=(15, 0, 0))
    rig.ack(101 * MS, (10, 14), (0, 9), ecn=(14, 0, 0))
    assert rig.path.validation.state == EcnState.CAPABLE


def test_each_space_has_counts_of_its_own() -> None:
    rig = Rig(has_ecn=True)
    rig.send(0, 3, space=SPACE_HANDSHAKE)
    rig.ack(50 * MS, (0, 2), space=SPACE_HANDSHAKE, ecn=(3, 0, 0))
    rig.send(50 * MS, 2)
    rig.ack(100 * MS, (0, 1), ecn=(2, 0, 0))
    assert rig.path.validation.state == EcnState.CAPABLE


def test_a_path_on_which_all_marked_packets_vanish_is_tried_without() -> None:
    """13.4.2: a network may drop what is marked."""
    rig = Rig(has_ecn=True)
    rig.send(0, 10)
    assert rig.path.may_send(MS)
    rig.send(MS, 4)
    rig.ack(50 * MS, (10, 13))
    assert rig.path.validation.state == EcnState.FAILED
    assert rig.path.ecn == 0


def test_another_path_is_tested_by_itself() -> None:
    rig = capable()
    new = PathCongestion(rig.configuration, random.Random(2), now=60 * MS)
    rig.recovery.change_path(new)
    assert new.validation.state == EcnState.TESTING
    rig.send(60 * MS, 4, path=new)
    rig.ack(100 * MS, (0, 13), ecn=(14, 0, 0))
    assert new.validation.state == EcnState.CAPABLE
    rig.send(110 * MS, 4, path=new)
    rig.ack(150 * MS, (0, 17), ecn=(14, 0, 0))
    assert (new.validation.state, rig.path.validation.state) == (EcnState.FAILED, EcnState.CAPABLE)


def test_a_mark_is_a_congestion_event_once_a_round() -> None:
    """RFC 9002 7.1, 7.3.2, B.7."""
    rig = capable()
    rig.send(60 * MS, 10)
    rig.ack(100 * MS, (0, 14), ecn=(13, 0, 2))
    assert rig.controller.hear() == ["mark", "ack"]
    assert rig.controller.acks[-1].ce_packets == 2
    rig.ack(101 * MS, (0, 19), ecn=(16, 0, 4))
    assert rig.controller.hear() == ["ack"]
    assert rig.controller.acks[-1].ce_packets == 2
    rig.send(110 * MS, 2)
    rig.ack(150 * MS, (0, 21), ecn=(17, 0, 5))
    assert rig.controller.hear() == ["recovered", "mark", "ack"]


def test_marks_shrink_the_window_of_a_classic_controller() -> None:
    """B.7: as a loss does."""
    rig = Rig(has_ecn=True, controller=Cubic)
    rig.send(0, 10)
    before = rig.path.controller.window_bytes
    rig.ack(50 * MS, (0, 9), ecn=(9, 0, 1))
    after = rig.path.controller.window_bytes
    assert before is not None
    assert after is not None
    assert after < before


def test_prague_sends_ect_1_and_hears_of_each_mark_without_a_recovery() -> None:
    """RFC 9331 4.1 to 4.3: the response is to the share of marks, and the stack begins no recovery."""
    rig = Rig(has_ecn=True, controller=Prague)
    assert rig.path.ecn == 1
    rig.send(0, 10)
    rig.ack(50 * MS, (0, 9), ecn=(0, 10, 0))
    assert rig.path.validation.state == EcnState.CAPABLE
    assert rig.path.ecn == 1
    controller = rig.path.controller
    assert isinstance(controller, Prague)
    assert controller.state == "slow start"
    rig.send(60 * MS, 10)
    rig.ack(110 * MS, (0, 19), ecn=(0, 17, 3))
    assert not rig.path.is_recovering
    assert controller.state != "slow start"


def test_who_does_not_want_marks_sends_none() -> None:
    rig = Rig(has_ecn=False)
    assert rig.path.ecn == 0
    rig.send(0, 10)
    rig.ack(50 * MS, (0, 9), ecn=(0, 0, 3))  # nor does it believe in any
    assert rig.controller.hear() == ["ack"]
    assert rig.controller.acks[-1].ce_packets == 0
