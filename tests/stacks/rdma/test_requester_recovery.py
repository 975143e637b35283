"""What a requester does when its packets are lost, refused or acknowledged late (IBTA 9.7.5, 9.9.2)."""

from __future__ import annotations

import pytest

from stacks.rdma import QpState, WrOpcode
from stacks.rdma.enums import RNR_TIMER_NS, ack_timeout_ns
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, SEQUENCE, HandRig, posted, psns
from wire.seqnum import psn_add

HERE = FIRST_PSN
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def test_one_acknowledgement_completes_everything_before_it_across_the_wrap() -> None:
    rig = HandRig()
    assert psns(posted(rig, 4)) == [0, 1, 2, 3]
    rig.acknowledge(psn_add(HERE, 2))
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS"), (3, "SUCCESS")]
    rig.acknowledge(psn_add(HERE, 1))
    rig.acknowledge(psn_add(HERE, 2))
    assert rig.completed() == []
    rig.acknowledge(psn_add(HERE, 3))
    assert rig.completed() == [(4, "SUCCESS")]


def test_an_acknowledgement_of_what_was_never_sent_is_dropped() -> None:
    rig = HandRig()
    posted(rig, 2)
    rig.acknowledge(HERE + 2)
    rig.acknowledge(HERE + 0x500000)
    rig.acknowledge(HERE + 2, SEQUENCE)
    assert rig.completed() == []
    assert rig.received() == []
    assert rig.end.device.counters.duplicate_response == 3
    rig.acknowledge(HERE + 1)
    assert len(rig.completed()) == 2


@each_way
def test_a_sequence_nak_sends_again_from_its_psn_and_its_repetition_does_not(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    posted(rig, 4)
    rig.acknowledge(HERE + 1, SEQUENCE)
    assert psns(rig.received()) == [1, 2, 3]
    rig.acknowledge(HERE + 1, SEQUENCE)
    assert rig.received() == []
    assert rig.completed() == [(1, "SUCCESS")]
    rig.acknowledge(psn_add(HERE, 3))
    assert rig.completed() == [(2, "SUCCESS"), (3, "SUCCESS"), (4, "SUCCESS")]
    assert rig.end.device.counters.rcvd_seq_err == 1


def test_silence_is_answered_with_retries_and_then_with_retry_exceeded() -> None:
    rig = HandRig(timeout=8, retry_cnt=3)
    posted(rig, 2)
    for _ in range(3):
        assert rig.received() == []
        rig.wait(ack_timeout_ns(8))
        assert psns(rig.received()) == [0, 1]
    rig.wait(ack_timeout_ns(8))
    assert rig.completed() == [(1, "RETRY_EXC_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR
    assert rig.end.device.counters.retry_exceeded_err == 1
    assert rig.end.device.counters.completer_retry_err == 3
    assert rig.end.device.poll_deadline() is None


def test_progress_refills_the_retries() -> None:
    rig = HandRig(timeout=8, retry_cnt=1)
    posted(rig, 3)
    for number in range(3):
        rig.wait(ack_timeout_ns(8))
        assert rig.received()
        rig.acknowledge(psn_add(HERE, number))
    assert [status for _, status in rig.completed()] == ["SUCCESS"] * 3


def test_a_timeout_of_zero_waits_for_ever() -> None:
    rig = HandRig(timeout=0)
    posted(rig, 1)
    rig.wait(10**13)
    assert rig.received() == []
    assert rig.completed() == []


def test_sequence_naks_use_up_the_retries_when_nothing_gets_through() -> None:
    rig = HandRig(timeout=8, retry_cnt=0)
    posted(rig, 1)
    rig.acknowledge(HERE, SEQUENCE)
    assert rig.completed() == [(1, "RETRY_EXC_ERR")]


@pytest.mark.parametrize(
    ("syndrome", "status"),
    [
        (NAK | 1, "REM_INV_REQ_ERR"),
        (NAK | 2, "REM_ACCESS_ERR"),
        (NAK | 3, "REM_OP_ERR"),
        (NAK | 9, "BAD_RESP_ERR"),
        (0x40, "BAD_RESP_ERR"),
    ],
)
def test_a_nak_ends_its_request_and_flushes_the_rest_in_order(syndrome: int, status: str) -> None:
    rig = HandRig()
    rig.end.recv(9)
    for number in range(1, 5):
        rig.end.send(number, WrOpcode.SEND, 0, 4, flags=0)
    rig.received()
    rig.acknowledge(HERE + 1, syndrome)
    assert rig.completed() == [(2, status), (3, "WR_FLUSH_ERR"), (4, "WR_FLUSH_ERR"), (9, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR


@pytest.mark.parametrize("code", [1, 14, 31])
def test_an_rnr_nak_is_waited_out_for_the_time_that_it_names(code: int) -> None:
    rig = HandRig(timeout=0)
    posted(rig, 3)
    rig.acknowledge(HERE + 1, RNR_NAK | code)
    started = rig.simulation.now - 100_000 + 10_000
    assert rig.completed() == [(1, "SUCCESS")]
    if RNR_TIMER_NS[code] > 200_000:
        rig.wait(started + RNR_TIMER_NS[code] - rig.simulation.now - 1)
        assert rig.peer.receive() is None
    rig.wait(100_000)
    assert psns(rig.received()) == [1, 2]


def test_rnr_naks_use_up_their_own_retries() -> None:
    rig = HandRig(rnr_retry=2, retry_cnt=0, timeout=0)
    posted(rig, 1)
    for _ in range(2):
        rig.acknowledge(HERE, RNR_NAK | 1)
        assert psns(rig.received()) == [0]
    rig.acknowledge(HERE, RNR_NAK | 1)
    assert rig.completed() == [(1, "RNR_RETRY_EXC_ERR")]
    assert rig.end.device.counters.retry_rnr_exceeded_err == 1


def test_an_rnr_retry_of_seven_never_ends() -> None:
    rig = HandRig(rnr_retry=7, timeout=0)
    posted(rig, 1)
    for _ in range(50):
        rig.acknowledge(HERE, RNR_NAK | 1)
        assert psns(rig.received()) == [0]


def test_an_acknowledgement_or_nak_during_an_rnr_wait_does_not_stop_the_queue() -> None:
    # A duplicate of the refused packet may have found a receive: its ACK overtakes the wait.
    for syndrome in (ACK, SEQUENCE):
        rig = HandRig(timeout=0)
        posted(rig, 2)
        rig.acknowledge(HERE, RNR_NAK | 16)
        rig.acknowledge(HERE, syndrome)
        rig.wait(RNR_TIMER_NS[16])
        assert psns(rig.received())[-1:] == [1]
        rig.acknowledge(HERE + 1)
        assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


@pytest.mark.parametrize("overtake", [False, True])
def test_an_acknowledgement_after_a_rewind_skips_what_it_covers(overtake: bool) -> None:
    rig = HandRig(timeout=0)
    for number in range(1, 4):
        rig.end.send(number, WrOpcode.SEND, 0, 2 * MTU)
    assert len(rig.received()) == 6
    rig.acknowledge(HERE, RNR_NAK | 16)
    rig.acknowledge(psn_add(HERE, 2 if overtake else 3))
    rig.wait(RNR_TIMER_NS[16])
    assert psns(rig.received()) == ([3, 4, 5] if overtake else [4, 5])
    rig.acknowledge(psn_add(HERE, 5))
    assert [status for _, status in rig.completed()] == ["SUCCESS"] * 3


@pytest.mark.parametrize("syndrome", [0x41, 0x42, 0x5F])
def test_a_reserved_syndrome_is_a_bad_response_and_no_nak(syndrome: int) -> None:
    """AETH (IBTA 9.7.5.2): bits 6 and 5 are 10 in what is reserved, whatever the code below them."""
    rig = HandRig()
    posted(rig, 1)
    rig.acknowledge(FIRST_PSN, syndrome)
    assert rig.completed() == [(1, "BAD_RESP_ERR")]
