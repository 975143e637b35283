"""What completion queues do besides queueing: resizing, moderation, notification rules, extended entries."""

from __future__ import annotations

import errno

import pytest

from stacks.rdma import (
    CompChannel,
    Cq,
    CqFlags,
    ExtendedWc,
    QpAttributes,
    QpState,
    Wc,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import HOSTS, End, Rig, make_end
from transports.simulation import Network, Simulation


def completion(wr_id: int, *, is_solicited: bool = False) -> Wc:
    return Wc(wr_id, WcStatus.SUCCESS, WcOpcode.RECV, 0, 5, is_solicited=is_solicited)


def lone_end() -> tuple[Simulation, End]:
    """One device at rest, in virtual time."""
    simulation = Simulation(1)
    return simulation, make_end(Network(simulation), HOSTS[0])


def test_resizing_keeps_what_is_queued() -> None:
    """IBTA 11.2.6.3: a depth below what is queued is refused, and nothing is lost."""
    cq = Cq(4)
    for number in range(4):
        cq.push(completion(number))
    with pytest.raises(LocalError, match="4 completions are queued: they do not fit into 3"):
        cq.resize(3)
    cq.resize(6)
    for number in range(4, 6):
        cq.push(completion(number))
    assert [wc.wr_id for wc in cq.poll(3)] == [0, 1, 2]
    cq.resize(3)
    assert [wc.wr_id for wc in cq.poll()] == [3, 4, 5]
    assert cq.depth == 3
    assert not cq.is_broken
    with pytest.raises(LocalError, match="at least 1, not 0"):
        cq.resize(0)


def test_a_broken_queue_is_not_mended_by_resizing() -> None:
    cq = Cq(1)
    cq.push(completion(0))
    cq.push(completion(1))
    with pytest.raises(LocalError, match="overflowed") as caught:
        cq.resize(10)
    assert caught.value.errno == errno.EIO


def test_resizing_under_traffic_loses_no_completion() -> None:
    rig = Rig(cq_depth=64)
    left, right = rig.ends
    for number in range(40):
        right.recv(number)
        left.send(number, WrOpcode.SEND, 0, 8)
        rig.simulation.run_for(3000)
        for end in rig.ends:
            end.cq.resize(max(1, len(end.cq)) + 40)
    rig.run()
    for end in rig.ends:
        assert [wc.wr_id for wc in end.completions] == list(range(40))


def test_asking_for_solicited_ones_takes_nothing_back_from_an_armed_queue() -> None:
    """IBTA 11.4.2.2: the wider of two pending requests holds."""
    channel = CompChannel()
    cq = Cq(10, channel=channel)
    cq.arm()
    cq.arm(solicited_only=True)
    cq.push(completion(1))
    assert channel.poll_event() is cq
    cq.arm(solicited_only=True)
    cq.arm(solicited_only=True)
    cq.push(completion(2))
    assert channel.poll_event() is None
    cq.arm()
    cq.push(completion(3))
    assert channel.poll_event() is cq


def test_events_are_acknowledged_before_a_queue_is_destroyed() -> None:
    channel = CompChannel()
    cq = Cq(10, channel=channel)
    for number in range(2):
        cq.arm()
        cq.push(completion(number))
        assert channel.poll_event() is cq
    with pytest.raises(LocalError, match="2 events of this queue are not acknowledged") as caught:
        cq.destroy()
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(LocalError, match="2 events were taken from the channel, not 3"):
        cq.ack_events(3)
    cq.ack_events(2)
    cq.arm()
    cq.push(completion(9))
    cq.destroy()
    assert channel.poll_event() is None


def test_a_queue_in_use_is_not_destroyed() -> None:
    """IBTA 11.2.6.4."""
    _, end = lone_end()
    with pytest.raises(LocalError, match=f"QP {end.qp.number} completes to this queue") as caught:
        end.cq.destroy()
    assert caught.value.errno == errno.EBUSY
    end.qp.destroy()
    xrcd = end.device.open_xrcd()
    srq = end.pd.create_srq(max_wr=1, xrcd=xrcd, cq=end.cq)
    with pytest.raises(LocalError, match=f"SRQ {srq.number} completes to this queue"):
        end.cq.destroy()
    srq.destroy()
    assert list(end.device.cqs) == [end.cq]
    end.cq.destroy()
    assert list(end.device.cqs) == []


def moderated(*, count: int, period_us: int) -> tuple[Simulation, End, CompChannel]:
    simulation, end = lone_end()
    channel = CompChannel()
    end.cq = end.device.create_cq(100, channel=channel)
    end.cq.moderate(count=count, period_us=period_us)
    end.cq.arm()
    return simulation, end, channel


def push(end: End, number: int) -> None:
    end.cq.push(completion(number))
    end.host.wake()


def test_moderation_by_count_announces_every_so_many() -> None:
    simulation, end, channel = moderated(count=3, period_us=0)
    for number in range(2):
        push(end, number)
    simulation.run_for(10**9)
    assert channel.poll_event() is None
    push(end, 2)
    assert channel.poll_event() is end.cq
    push(end, 3)
    end.cq.arm()
    push(end, 4)
    assert channel.poll_event() is None


def test_moderation_by_time_announces_a_period_after_the_first() -> None:
    simulation, end, channel = moderated(count=0, period_us=50)
    push(end, 0)
    simulation.run_for(30_000)
    push(end, 1)
    simulation.run_for(19_000)
    assert channel.poll_event() is None
    simulation.run_for(2_000)
    assert channel.poll_event() is end.cq
    simulation.run_for(10**9)
    assert channel.poll_event() is None


def test_moderation_ends_with_whichever_comes_first_and_can_be_switched_off() -> None:
    simulation, end, channel = moderated(count=2, period_us=50)
    push(end, 0)
    push(end, 1)
    assert channel.poll_event() is end.cq
    simulation.run_for(100_000)
    end.cq.arm()
    assert channel.poll_event() is None
    end.cq.moderate(count=0, period_us=0)
    push(end, 2)
    assert channel.poll_event() is end.cq
    for wrong in ({"count": 65536, "period_us": 0}, {"count": 0, "period_us": -1}):
        with pytest.raises(LocalError, match="0 to 65535"):
            end.cq.moderate(**wrong)


def extended(rig: Rig, end: End, flags: int) -> None:
    """Give one side an extended queue."""
    end.cq = end.device.create_cq(100, wc_flags=flags)
    end.qp = end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq)


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
def test_an_extended_queue_stamps_each_completion_with_its_time(shortcuts: bool) -> None:
    rig = Rig(shortcuts=shortcuts, connect=False)
    left, right = rig.ends
    for end in rig.ends:
        extended(rig, end, CqFlags.STANDARD | CqFlags.TIMESTAMP)
    rig.connect()
    times = []
    for number in range(3):
        right.recv(number, 0, 8)
        left.send(number, WrOpcode.SEND, 0, 8)
        before = rig.simulation.now
        rig.run(1_000_000)
        times.append((before, rig.simulation.now))
    for end in rig.ends:
        for wc, (before, after) in zip(end.completions, times, strict=True):
            assert isinstance(wc, ExtendedWc)
            assert before < wc.timestamp_ns < after
            assert (wc.qp_num, wc.byte_len) == (end.qp.number, 8)
    assert all(a.timestamp_ns < b.timestamp_ns for a, b in zip(right.completions, left.completions, strict=True))


def test_a_field_that_was_not_chosen_reads_0() -> None:
    rig = Rig(connect=False)
    left, right = rig.ends
    extended(rig, right, CqFlags.IMM)
    left.qp = left.pd.create_qp(send_cq=left.cq, recv_cq=left.cq)
    rig.connect()
    right.recv(5, 0, 8)
    left.send(1, WrOpcode.SEND_WITH_IMM, 0, 8, imm_data=b"abcd")
    rig.run()
    (wc,) = right.completions
    assert (wc.wr_id, wc.imm_data, wc.byte_len, wc.qp_num, wc.timestamp_ns) == (5, b"abcd", 0, 0, 0)
    (plain,) = left.completions
    assert (plain.src_qp, plain.pkey_index, plain.slid, plain.sl, plain.dlid_path_bits) == (0, 0, 0, 0, 0)
    assert (plain.vendor_err, plain.timestamp_ns) == (0, 0)


@pytest.mark.parametrize("flag", [CqFlags.CVLAN, CqFlags.FLOW_TAG, CqFlags.TM_INFO, CqFlags.TIMESTAMP_WALLCLOCK, 4096])
def test_what_no_completion_carries_cannot_be_chosen(flag: int) -> None:
    _, end = lone_end()
    with pytest.raises(LocalError, match=f"nothing for flags {flag:#x}") as caught:
        end.device.create_cq(10, wc_flags=CqFlags.STANDARD | flag)
    assert caught.value.errno == errno.EOPNOTSUPP


def test_a_flush_outside_any_call_is_stamped_with_the_last_time_known() -> None:
    rig = Rig(connect=False)
    extended(rig, rig.right, CqFlags.TIMESTAMP)
    rig.left.qp = rig.left.pd.create_qp(send_cq=rig.left.cq, recv_cq=rig.left.cq)
    rig.connect()
    rig.right.recv(1)
    rig.left.send(1, WrOpcode.RDMA_WRITE, 0, 0)
    rig.run(1_000_000)
    rig.right.qp.modify(QpAttributes(state=QpState.ERR))
    (wc,) = rig.right.cq.poll()
    assert 0 < wc.timestamp_ns <= rig.simulation.now
