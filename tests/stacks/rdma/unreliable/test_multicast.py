"""Multicast on one host: every queue pair that is attached gets a copy (IBTA 10.5, 11.3)."""

from __future__ import annotations

import pytest

from stacks.rdma import AddressVector, Qp, QpAttributes, QpState, QpType, RecvWr, SendWr
from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import HOSTS_V6, QKEY, End, Rig
from tests.stacks.rdma.unreliable.test_datagrams import GRH, datagram, send, ud_rig
from transports.errors import TransportError
from wire.ip import Ipv4Header

GROUP, GROUP_V6 = "239.1.2.3", "ff15::42"
EVERYBODY = 0xFFFFFF


def grouped_rig(**options: object) -> Rig:
    """Two UD queue pairs whose devices can join groups of the network."""
    rig = ud_rig(**options)
    for end in rig.ends:
        end.device.groups.membership = end.host.transport
    return rig


def attached(end: End, group: str = GROUP, qp: Qp | None = None) -> DatagramQp:
    """A queue pair of `end` in a group."""
    qp = qp or end.qp
    assert isinstance(qp, DatagramQp)
    qp.attach_mcast(group)
    return qp


def another(end: End, qkey: int = QKEY) -> Qp:
    """One more queue pair in RTS."""
    qp = end.pd.create_qp(QpType.UD, send_cq=end.cq, recv_cq=end.cq)
    qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, qkey=qkey))
    qp.modify(QpAttributes(state=QpState.RTR))
    qp.modify(QpAttributes(state=QpState.RTS, sq_psn=0))
    return qp


def to_group(end: End, wr_id: int, group: str = GROUP, **fields: object) -> SendWr:
    """A request to everybody in a group."""
    ah = end.pd.create_ah(AddressVector(destination=group))
    return datagram(end, end, wr_id, 0, 5, ah=ah, remote_qpn=EVERYBODY, **fields)


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
def test_every_attached_queue_pair_of_every_device_gets_a_copy_and_no_other(shortcuts: bool) -> None:
    """IBTA 10.5.2.1: the sender as well, when it is attached."""
    rig = grouped_rig(shortcuts=shortcuts)
    left, right = rig.ends
    left.memory[:5] = b"hello"
    second, outside = another(right), another(right)
    for qp in (attached(left), attached(right), attached(right, qp=second)):
        assert qp.qp_type is QpType.UD
    for number, (end, qp) in enumerate([(left, left.qp), (right, right.qp), (right, second), (right, outside)]):
        qp.post_recv(RecvWr(number, [end.sge(1000 * (number + 1), 100)]))
    send(rig, to_group(left, 9))
    assert sorted(wc.wr_id for wc in left.completions) == [0, 9]
    assert sorted(wc.wr_id for wc in right.completions) == [1, 2]
    for number, end in ((0, left), (1, right), (2, right)):
        at = 1000 * (number + 1)
        assert end.memory[at + GRH : at + GRH + 5] == b"hello"
        header = Ipv4Header.decode(end.memory, at + 20)
        assert header.destination == bytes([239, 1, 2, 3])
    assert {wc.src_qp for wc in right.completions} == {left.qp.number}


def test_a_group_of_ipv6() -> None:
    rig = grouped_rig(hosts=HOSTS_V6)
    attached(rig.right, GROUP_V6)
    rig.right.recv(1, 0, 100)
    send(rig, to_group(rig.left, 9, GROUP_V6))
    assert [wc.wr_id for wc in rig.right.completions] == [1]


def test_a_wrong_q_key_a_missing_receive_and_another_state_cost_only_their_own_copy() -> None:
    """IBTA 10.5.2.2: each copy is checked as if it had come alone."""
    rig = grouped_rig()
    left, right = rig.ends
    strange, empty, gone = another(right, QKEY ^ 1), another(right), another(right)
    for qp in (right.qp, strange, empty, gone):
        attached(right, qp=qp)
    gone.modify(QpAttributes(state=QpState.ERR))
    for qp in (right.qp, strange):
        qp.post_recv(RecvWr(qp.number, [right.sge(0, 100)]))
    send(rig, to_group(left, 9))
    assert [wc.wr_id for wc in right.completions] == [right.qp.number]
    assert right.device.counters.rcvd_qkey_err == 1
    assert right.device.counters.rcvd_dropped_messages == 1


def test_who_was_detached_gets_nothing_more() -> None:
    rig = grouped_rig()
    qp = attached(rig.right)
    qp.attach_mcast(GROUP)
    qp.detach_mcast(GROUP)
    rig.right.recv(1, 0, 100)
    send(rig, to_group(rig.left, 9))
    assert rig.right.completions == []
    with pytest.raises(LocalError, match="not attached"):
        qp.detach_mcast(GROUP)


def test_a_queue_pair_is_detached_before_it_is_destroyed() -> None:
    """As ibv_destroy_qp has it: EBUSY."""
    rig = grouped_rig()
    qp = attached(rig.right)
    with pytest.raises(LocalError, match="detach"):
        qp.destroy()
    qp.detach_mcast(GROUP)
    qp.destroy()


@pytest.mark.parametrize("group", ["192.0.2.1", GROUP_V6, "everybody"])
def test_what_is_no_group_of_the_devices_family_is_refused(group: str) -> None:
    with pytest.raises(LocalError):
        attached(grouped_rig().left, group)


def test_where_a_group_cannot_be_joined_the_error_says_so_and_nothing_is_attached() -> None:
    class Unwilling:
        """A transport without multicast."""

        def join(self, group: str) -> None:
            raise TransportError(f"cannot join group {group}", errno=19)

        def leave(self, group: str) -> None:
            raise AssertionError(group)

        def group_fileno(self) -> int | None:
            return None

    rig = grouped_rig()
    rig.right.device.groups.membership = Unwilling()
    with pytest.raises(LocalError, match="cannot join") as caught:
        attached(rig.right)
    assert caught.value.errno == 19
    assert rig.right.device.groups.members == {}


def test_a_packet_to_a_group_that_is_not_for_everybody_is_counted_and_dropped() -> None:
    rig = grouped_rig()
    left, right = rig.ends
    attached(right)
    right.recv(1, 0, 100)
    wr = to_group(left, 9)
    wr.remote_qpn = right.qp.number
    send(rig, wr)
    assert right.completions == []
    assert right.device.counters.rcvd_qpn_err == 1
