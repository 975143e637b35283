"""Each rule is broken by a capture made for it, and by nothing that keeps it."""

from __future__ import annotations

import pytest

from stacks.rdma.conformance import Rule
from tests.stacks.rdma.conformance.conversation import MTU, Conversation
from wire.roce import Opcode

ONLY, FIRST, MIDDLE, LAST = Opcode.RC_SEND_ONLY, Opcode.RC_SEND_FIRST, Opcode.RC_SEND_MIDDLE, Opcode.RC_SEND_LAST
READ, READ_FIRST = Opcode.RC_READ_REQUEST, Opcode.RC_READ_RESPONSE_FIRST
READ_MIDDLE, READ_LAST = Opcode.RC_READ_RESPONSE_MIDDLE, Opcode.RC_READ_RESPONSE_LAST
READ_ONLY = Opcode.RC_READ_RESPONSE_ONLY


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


def onlies(talk: Conversation, *psns: int) -> None:
    for psn in psns:
        talk.request(ONLY, psn, b"data")


def test_a_clean_exchange_breaks_nothing(talk: Conversation) -> None:
    talk.request(FIRST, 0xFFFFFF, bytes(MTU))
    talk.request(MIDDLE, 0, bytes(MTU))
    talk.request(LAST, 1, b"end")
    onlies(talk, 2)
    talk.ack(2)
    assert talk.check() == []
    assert talk.flows[0].answered_to == 0x11


def test_going_back_to_the_psn_of_the_nak_is_allowed_and_counted(talk: Conversation) -> None:
    onlies(talk, 5, 6, 7)
    talk.nak(6)
    onlies(talk, 8, 6, 7, 8)
    talk.ack(8)
    assert talk.check() == []
    assert (talk.flows[0].counts.retransmitted, talk.flows[0].counts.timeouts) == (3, 0)


def test_a_retransmission_after_a_timeout_is_allowed_and_counted(talk: Conversation) -> None:
    onlies(talk, 5, 6, 6)
    talk.ack(6)
    assert talk.check() == []
    assert talk.flows[0].counts.timeouts == 1


def test_going_back_elsewhere_than_the_nak_says_is_found(talk: Conversation) -> None:
    onlies(talk, 5, 6, 7, 8)
    talk.nak(6)
    onlies(talk, 7, 8)
    talk.ack(8)
    assert talk.check() == [Rule.SENDER]


def test_a_psn_that_is_skipped_is_found_unless_the_capture_is_lossy(talk: Conversation) -> None:
    onlies(talk, 5, 7)
    talk.ack(7)
    assert talk.check() == [Rule.SENDER]
    assert talk.check(is_lossy=True) == []
    assert talk.flows[0].counts.missing == 1


def test_a_second_nak_for_one_gap_is_found(talk: Conversation) -> None:
    onlies(talk, 5, 6, 7)
    talk.nak(6)
    talk.nak(6)
    onlies(talk, 6, 7)
    talk.ack(7)
    assert talk.check() == [Rule.RECEIVER]


def test_a_second_nak_after_the_retransmission_was_lost_too_is_allowed(talk: Conversation) -> None:
    onlies(talk, 5, 6, 7)
    talk.nak(6)
    onlies(talk, 6, 7)
    talk.nak(6)
    onlies(talk, 6, 7)
    talk.ack(7)
    assert talk.check() == []


def test_a_nak_for_what_was_acknowledged_is_found(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.ack(6)
    talk.nak(5)
    onlies(talk, 5, 6)
    talk.ack(6)
    assert talk.check() == [Rule.RECEIVER]


def test_acknowledgements_that_fall_are_found(talk: Conversation) -> None:
    onlies(talk, 5, 6, 7)
    talk.ack(7)
    talk.ack(6)
    assert talk.check() == [Rule.RECEIVER]


def test_an_acknowledgement_of_what_was_not_sent_is_found(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.ack(6)
    talk.ack(9)
    assert talk.check() == [Rule.RECEIVER]


def test_traffic_that_nobody_acknowledged_is_found_unless_the_capture_is_cut(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.ack(5)
    assert talk.check() == [Rule.END]
    assert talk.check(is_cut=True) == []


def test_a_nak_that_was_never_followed_is_found(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.nak(5)
    assert talk.check() == [Rule.END]


def test_what_a_disconnect_leaves_unacknowledged_is_no_violation(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.ack(5)
    talk.disconnect()
    assert talk.check() == []


def test_a_fatal_nak_ends_a_connection_in_order(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.nak(5, 2)
    assert talk.check() == []


@pytest.mark.parametrize("second", [FIRST, ONLY])
def test_a_message_that_begins_inside_another_is_found(talk: Conversation, second: Opcode) -> None:
    onlies(talk, 4)
    talk.request(FIRST, 5, bytes(MTU))
    talk.request(second, 6, bytes(MTU))
    talk.ack(6)
    assert talk.check() == [Rule.OPCODE_ORDER]


def test_a_message_that_goes_on_without_a_beginning_is_found(talk: Conversation) -> None:
    onlies(talk, 4)
    talk.request(LAST, 5, b"end")
    talk.ack(5)
    assert talk.check() == [Rule.OPCODE_ORDER]


def test_a_middle_of_another_size_is_found(talk: Conversation) -> None:
    onlies(talk, 4)
    talk.request(FIRST, 5, bytes(MTU))
    talk.request(MIDDLE, 6, bytes(MTU - 4))
    talk.request(LAST, 7, b"end")
    talk.ack(7)
    assert talk.check() == [Rule.OPCODE_ORDER]


def read(talk: Conversation, psn: int, packets: int, *, left_out: int | None = None) -> None:
    for index in range(packets):
        is_last = index == packets - 1
        opcode = READ_FIRST if index == 0 else READ_LAST if is_last else READ_MIDDLE
        if index != left_out:
            talk.answer(opcode, psn + index, bytes(MTU), syndrome=None if opcode is READ_MIDDLE else 0x1F)


def test_a_read_and_its_responses_break_nothing(talk: Conversation) -> None:
    talk.request(READ, 5, read=4 * MTU)
    read(talk, 5, 4)
    onlies(talk, 9)
    talk.ack(9)
    assert talk.check() == []


@pytest.mark.parametrize("opcode", [Opcode.RC_FLUSH, Opcode.RC_ATOMIC_WRITE])
def test_a_flush_or_atomic_write_is_answered_by_an_empty_read_response(talk: Conversation, opcode: Opcode) -> None:
    """Annex A19: by one, which carries no data; another one is an answer to nothing."""
    headers = bytes(20 if opcode is Opcode.RC_FLUSH else 16) + bytes(8 if opcode is Opcode.RC_ATOMIC_WRITE else 0)
    for _ in range(2):
        # The first answer was lost behind the place of capture, so that it is asked for again.
        talk.request(opcode, 7, headers)
        talk.answer(Opcode.RC_READ_RESPONSE_ONLY, 7)
    assert talk.check() == []
    talk.answer(Opcode.RC_READ_RESPONSE_ONLY, 7)
    assert talk.check() == [Rule.READ_RESPONSE]


def test_requests_behind_a_read_tell_how_many_psns_it_takes(talk: Conversation) -> None:
    talk.request(READ, 5, read=4 * MTU)
    onlies(talk, 9)
    read(talk, 5, 4)
    talk.ack(9)
    assert talk.check() == []


def test_the_rest_of_a_read_may_be_asked_for_again(talk: Conversation) -> None:
    talk.request(READ, 5, read=4 * MTU)
    talk.answer(READ_FIRST, 5, bytes(MTU))
    talk.answer(READ_MIDDLE, 6, bytes(MTU), syndrome=None)
    talk.request(READ, 7, read=2 * MTU)
    talk.answer(READ_FIRST, 7, bytes(MTU))
    talk.answer(READ_LAST, 8, bytes(MTU))
    assert talk.check() == []


def test_late_responses_to_a_read_that_was_asked_for_again_are_allowed(talk: Conversation) -> None:
    talk.request(READ, 5, read=2 * MTU)
    talk.answer(READ_FIRST, 5, bytes(MTU))
    talk.request(READ, 5, read=2 * MTU)
    talk.answer(READ_LAST, 6, bytes(MTU))
    read(talk, 5, 2)
    assert talk.check() == []


def test_responses_that_were_lost_before_the_capture_are_no_fault_of_a_lossy_one(talk: Conversation) -> None:
    talk.request(READ, 5, read=4 * MTU)
    read(talk, 5, 4, left_out=1)
    assert talk.check(is_lossy=True) == []


def test_a_read_repeated_with_another_end_is_found(talk: Conversation) -> None:
    talk.request(READ, 5, read=4 * MTU)
    talk.answer(READ_FIRST, 5, bytes(MTU))
    talk.request(READ, 6, read=2 * MTU)
    talk.answer(READ_FIRST, 6, bytes(MTU))
    talk.answer(READ_LAST, 7, bytes(MTU))
    assert Rule.READ_REQUEST in talk.check(is_cut=True)


def test_a_read_response_that_skips_one_is_found(talk: Conversation) -> None:
    talk.request(READ, 5, read=4 * MTU)
    read(talk, 5, 4, left_out=2)
    assert talk.check() == [Rule.READ_RESPONSE]


def test_read_responses_that_nobody_asked_for_again_are_found(talk: Conversation) -> None:
    talk.request(READ, 5, read=16)
    talk.answer(READ_ONLY, 5, bytes(16))
    talk.answer(READ_ONLY, 5, bytes(16))
    assert talk.check() == [Rule.READ_RESPONSE]


def test_a_read_response_under_the_wrong_opcode_is_found(talk: Conversation) -> None:
    talk.request(READ, 5, read=2 * MTU)
    talk.answer(READ_FIRST, 5, bytes(MTU))
    talk.answer(READ_MIDDLE, 6, bytes(MTU), syndrome=None)
    assert talk.check() == [Rule.READ_RESPONSE]


def test_a_cnp_for_a_marked_packet_is_allowed(talk: Conversation) -> None:
    talk.request(ONLY, 5, b"data", ecn=3)
    talk.cnp()
    talk.ack(5)
    assert talk.check() == []


def test_a_cnp_without_a_mark_is_found(talk: Conversation) -> None:
    onlies(talk, 5)
    talk.cnp()
    talk.ack(5)
    assert talk.check() == [Rule.CNP]


def test_cnps_closer_than_their_interval_are_found(talk: Conversation) -> None:
    for psn in (5, 6):
        talk.request(ONLY, psn, b"data", ecn=3)
    talk.cnp()
    talk.cnp()
    talk.ack(6)
    assert talk.check() == []
    assert talk.check(cnp_interval_ns=50_000) == [Rule.CNP]


def test_a_cnp_that_carries_something_is_found(talk: Conversation) -> None:
    talk.request(ONLY, 5, b"data", ecn=3)
    talk.cnp(b"\1" * 16)
    talk.ack(5)
    assert talk.check() == [Rule.CNP]


def test_a_packet_whose_icrc_is_wrong_is_found_and_looked_at_no_further(talk: Conversation) -> None:
    onlies(talk, 5, 6)
    talk.corrupt()
    talk.nak(6)
    onlies(talk, 6)
    talk.ack(6)
    found = talk.check(is_lossy=True)
    assert found == [Rule.ICRC]


def test_an_unreliable_connection_repeats_nothing(talk: Conversation) -> None:
    for psn in (5, 6, 5):
        talk.request(Opcode.UC_SEND_ONLY, psn, b"data")
    assert talk.check() == [Rule.SENDER]
