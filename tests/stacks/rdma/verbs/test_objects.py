"""Devices, contexts and what hangs from them: names, limits, and the order of closing."""

from __future__ import annotations

import errno
import gc
import subprocess
import sys
import threading

import pytest

import stacks.rdma.verbs.libibverbs_enums as e
import stacks.rdma.verbs.librdmacm_enums as ce
from stacks.rdma import QpState, QpType, WcOpcode, WcStatus, WrOpcode
from stacks.rdma.verbs import (
    CQ,
    GID,
    GRH,
    MR,
    PD,
    QP,
    SRQ,
    Context,
    PyverbsRDMAError,
    PyverbsUserError,
    QPAttr,
    QPInitAttr,
    SrqAttr,
    SrqInitAttr,
    get_device_list,
)
from stacks.rdma.verbs import mem_alloc as mem
from tests.stacks.rdma.verbs.players import fresh_host


def test_devices_are_named_in_order_and_told_apart() -> None:
    devices = get_device_list(fresh_host(3))
    assert [device.name for device in devices] == [b"bm0", b"bm1", b"bm2"]
    assert len({device.guid for device in devices}) == 3


def test_two_contexts_share_a_device_until_the_last_is_closed() -> None:
    host = fresh_host(1)
    one, other = Context(name="bm0", host=host), Context(name="bm0", host=host)
    assert one.device is other.device
    one.close()
    one.close()
    assert other.query_gid(1, 0).ip == host.addresses["bm0"]
    other.close()
    assert not host.is_open


def test_a_device_that_is_not_there_is_a_user_error() -> None:
    with pytest.raises(PyverbsUserError, match="bm0"):
        Context(name="mlx5_0", host=fresh_host(1))


def test_what_is_freed_in_another_thread_does_not_wait_for_who_waits_for_that_thread() -> None:
    host, done = fresh_host(1), list[str]()
    with Context(name="bm0", host=host):
        thread = threading.Thread(target=host.postpone, args=(lambda: done.append("closed"),))
        with host.lock:  # as `release` has, while it ends the thread that makes progress
            thread.start()
            thread.join(timeout=10)
        assert not thread.is_alive()
        assert not done
        host.pump()
        assert done == ["closed"]


def test_an_address_in_use_says_so() -> None:
    host, second = fresh_host(1), fresh_host(1)
    with Context(name="bm0", host=host) as context, pytest.raises(PyverbsRDMAError, match="taken"):
        Context(name=context.address, host=second)


def test_a_port_that_is_not_there_is_an_invalid_argument() -> None:
    with (
        Context(name="bm0", host=fresh_host(1)) as context,
        pytest.raises(PyverbsRDMAError, match="query port") as caught,
    ):
        context.query_port(2)
    assert caught.value.error_code == errno.EINVAL


def test_closing_a_parent_closes_its_children_first() -> None:
    context = Context(name="bm0", host=fresh_host(1))
    pd = PD(context)
    cq = CQ(context, 8)
    srq = SRQ(pd, SrqInitAttr(SrqAttr(max_wr=4)))
    mr = MR(pd, 100, e.IBV_ACCESS_LOCAL_WRITE)
    qp = QP(pd, QPInitAttr(e.IBV_QPT_RC, scq=cq, rcq=cq, srq=srq))
    device = context.device
    context.close()
    assert all(child.is_closed for child in (pd, cq, srq, mr, qp))
    assert not device.qps
    assert not device.srqs


def test_what_nobody_holds_closes_by_itself() -> None:
    host = fresh_host(1)
    context = Context(name="bm0", host=host)
    device = context.device
    cq = CQ(context, 8)
    QP(PD(context), QPInitAttr(e.IBV_QPT_RC, scq=cq, rcq=cq))
    gc.collect()
    assert not device.qps
    del context, cq
    gc.collect()
    assert not host.is_open


def test_a_queue_pair_of_a_type_that_is_not_there_is_not_supported() -> None:
    with Context(name="bm0", host=fresh_host(1)) as context:
        cq = CQ(context, 8)
        with pytest.raises(PyverbsRDMAError) as caught:
            QP(PD(context), QPInitAttr(e.IBV_QPT_RAW_PACKET, scq=cq, rcq=cq))
    assert caught.value.error_code == errno.EOPNOTSUPP


def test_gids_are_addresses() -> None:
    gid = GID("127.0.0.1")
    assert gid.gid == "0000:0000:0000:0000:0000:ffff:7f00:0001"
    assert gid.ip == "127.0.0.1"
    assert GID(gid.gid) == gid
    assert GID("fe80::1").ip == "fe80::1"
    with pytest.raises(PyverbsUserError):
        GID("somewhere")


def test_a_grh_in_a_receive_buffer_tells_who_sent() -> None:
    ipv4 = bytes(20) + bytes.fromhex("4500003c000040004011000001020304") + bytes((5, 6, 7, 8))
    grh = GRH.parse(ipv4)
    assert (grh.sgid.ip, grh.dgid.ip, grh.hop_limit) == ("1.2.3.4", "5.6.7.8", 64)
    ipv6 = bytes.fromhex("6c000000001c1140") + GID("fe80::1").__bytes__() + GID("fe80::2").__bytes__()
    grh = GRH.parse(ipv6)
    assert (grh.sgid.ip, grh.dgid.ip, grh.hop_limit, grh.traffic_class) == ("fe80::1", "fe80::2", 64, 0xC0)


@pytest.mark.parametrize(
    ("prefix", "ours"), [("IBV_QPT_", QpType), ("IBV_QPS_", QpState), ("IBV_WR_", WrOpcode), ("IBV_WC_", WcOpcode)]
)
def test_c_names_have_the_numbers_of_ours(prefix: str, ours: type[QpType | QpState | WrOpcode | WcOpcode]) -> None:
    for member in ours:
        if hasattr(e, prefix + member.name):
            assert getattr(e, prefix + member.name) == member
    assert all(getattr(e, f"IBV_WC_{status.name}") == status for status in WcStatus)


def test_enums_are_classes_too() -> None:
    assert e.ibv_qp_type.IBV_QPT_UD is e.IBV_QPT_UD  # type: ignore[attr-defined]  # a class, made from a table
    assert ce.RDMA_PS_TCP == 0x106
    with pytest.raises(AttributeError):
        e.IBV_NO_SUCH_THING  # noqa: B018  # reading it is the point


def test_memory_by_address() -> None:
    address = mem.posix_memalign(100, 64)
    assert address % 64 == 0
    mem.write(address, "abc", 3)
    mem.writebe32(address, 0x01020304, 1)
    mem.writebe64(address, 0x05, 1)
    assert mem.read(address, 16) == b"abc\0\1\2\3\4" + bytes(7) + b"\5"
    assert mem.read32(address, 1) == int.from_bytes(b"\1\2\3\4", "little")
    assert mem.read64(address, 1) == 5 << 56
    mem.free(address)


def test_a_region_over_memory_of_the_program() -> None:
    address = mem.malloc(64)
    mem.write(address, "mine", 4)
    with Context(name="bm0", host=fresh_host(1)) as context:
        pd = PD(context)
        assert MR(pd, 64, e.IBV_ACCESS_LOCAL_WRITE, address).read(4) == b"mine"
        buffer = bytearray(b"own")
        with MR(pd, access=e.IBV_ACCESS_LOCAL_WRITE, buffer=buffer) as mr:
            mr.write("OWN", 3)
            assert mr.length == 3
        assert buffer == b"OWN"
        with pytest.raises(PyverbsRDMAError, match="Failed to register a MR"):
            MR(pd, 64, e.IBV_ACCESS_REMOTE_WRITE)


@pytest.mark.parametrize("name", ["max_send_wr", "max_recv_wr", "max_send_sge", "max_recv_sge"])
def test_a_queue_pair_larger_than_the_device_allows(name: str) -> None:
    with Context(name="bm0", host=fresh_host(1)) as context:
        cq = CQ(context, 8)
        attr = QPInitAttr(e.IBV_QPT_RC, scq=cq, rcq=cq)
        setattr(attr, name, 1 << 30)
        with pytest.raises(PyverbsRDMAError, match=name) as caught:
            QP(PD(context), attr)
    assert caught.value.error_code == errno.EINVAL


def test_a_queue_pair_tells_what_it_is() -> None:
    with Context(name="bm0", host=fresh_host(1)) as context:
        cq = CQ(context, 8)
        qp = QP(PD(context), QPInitAttr(e.IBV_QPT_UD, scq=cq, rcq=cq), QPAttr(qkey=0x123, sq_psn=0x45))
        attr, init = qp.query(e.IBV_QP_STATE)
        assert (attr.qp_state, attr.qkey, attr.sq_psn) == (e.IBV_QPS_RTS, 0x123, 0x45)
        assert (init.qp_type, init.cap.max_recv_wr) == (e.IBV_QPT_UD, 10)
        with pytest.raises(PyverbsRDMAError, match="cannot go"):
            qp.modify(QPAttr(qp_state=e.IBV_QPS_INIT), e.IBV_QP_STATE)


@pytest.mark.slow
def test_a_child_process_leaves_its_parents_devices_alone() -> None:
    addresses = ",".join(fresh_host(2).addresses.values())
    script = f"""
import os, time
os.environ["BAREMETAL_DEVICES"] = "{addresses}"
from stacks.rdma.verbs import Context
context = Context(name="bm0")
ours, theirs = os.pipe()
child = os.fork()
if not child:
    context.close()
    os.write(theirs, b"." if Context(name="bm1").address else b"")
    time.sleep(60)
os.read(ours, 1)
context.close()
Context(name="bm0").close()
os.kill(child, 9)
os.waitpid(child, 0)
print("opened again")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "opened again\n", done.stderr
