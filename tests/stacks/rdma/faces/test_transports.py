"""UC, UD and XRC on real loopback sockets, through both faces, with queue pairs moved by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from stacks.rdma import (
    Access,
    AddressVector,
    Mr,
    Qp,
    QpState,
    QpType,
    RecvWr,
    SendWr,
    WcFlags,
    WcStatus,
    WrOpcode,
    aio,
)
from stacks.rdma.sync import Endpoint, open_device
from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp
from tests.stacks.rdma.faces.addresses import fresh_address
from tests.stacks.rdma.rig import modify

ANY = Access.LOCAL_WRITE | Access.REMOTE_ANY
GROUP = "239.77.1.2"
GRH = 40
QKEY = 0x01234567
"""What `create_qp` gives a datagram queue pair, as rdma_create_qp does."""
SECOND_NS = 10**9


@pytest.fixture
def near() -> Iterator[Endpoint]:
    with open_device(fresh_address(), rng=random.Random(1)) as endpoint:
        yield endpoint


@pytest.fixture
def far(near: Endpoint) -> Iterator[Endpoint]:
    with open_device(fresh_address(), beside=near, rng=random.Random(2)) as endpoint:
        yield endpoint


def to_rts(qp: Qp, address: str, peer: Qp) -> None:
    """From INIT, towards a peer where the type has one."""
    modify(
        qp, QpState.RTR, av=AddressVector(destination=address), path_mtu=4096, dest_qpn=peer.number, rq_psn=7,
        max_dest_rd_atomic=4, min_rnr_timer=5,
    )  # fmt: skip
    modify(qp, QpState.RTS, timeout=10, retry_cnt=7, rnr_retry=7, sq_psn=7, max_qp_rd_atomic=4)


def registered(endpoint: Endpoint | aio.Endpoint, content: bytes | int) -> tuple[bytearray, Mr]:
    memory = bytearray(content)
    return memory, endpoint.pd.reg_mr(memory, ANY)


def test_unreliable_connections_carry_sends_and_writes(near: Endpoint, far: Endpoint) -> None:
    near_qp, far_qp = near.create_qp(qp_type=QpType.UC), far.create_qp(qp_type=QpType.UC)
    to_rts(near_qp, far.address, far_qp)
    to_rts(far_qp, near.address, near_qp)
    content = random.Random(3).randbytes(50_000)
    _, source = registered(near, content)
    target_memory, target = registered(far, 100_000)
    for number in range(2):
        far_qp.post_recv(RecvWr(number, [target.sge(0, 50_000)]))
    near_qp.post_send(SendWr(1, WrOpcode.SEND, [source.sge()]))
    write = SendWr(2, WrOpcode.RDMA_WRITE_WITH_IMM, [source.sge()], imm_data=b"done")
    write.remote_address, write.rkey = target.address + 50_000, target.rkey
    near_qp.post_send(write)
    completions = far.wait_cq(far_qp.recv_cq, timeout_ns=SECOND_NS)
    while len(completions) < 2:
        completions += far.wait_cq(far_qp.recv_cq, timeout_ns=SECOND_NS)
    assert [wc.byte_len for wc in completions] == [50_000, 50_000]
    assert target_memory == content + content
    assert [wc.status for wc in near.wait_cq(near_qp.send_cq)] == [WcStatus.SUCCESS] * 2


def test_datagrams_and_their_answers(near: Endpoint, far: Endpoint) -> None:
    near_qp, far_qp = near.create_qp(qp_type=QpType.UD), far.create_qp(qp_type=QpType.UD)
    for qp in (near_qp, far_qp):
        to_rts(qp, "", qp)
    near_memory, near_mr = registered(near, 1000)
    far_memory, far_mr = registered(far, 1000)
    near_memory[:4] = b"ping"
    near_qp.post_recv(RecvWr(1, [near_mr.sge(100, 100)]))
    far_qp.post_recv(RecvWr(2, [far_mr.sge(100, 100)]))
    ah = near.pd.create_ah(AddressVector(destination=far.address))
    near_qp.post_send(SendWr(3, WrOpcode.SEND, [near_mr.sge(0, 4)], ah=ah, remote_qpn=far_qp.number, remote_qkey=QKEY))
    (wc,) = far.wait_cq(far_qp.recv_cq, timeout_ns=SECOND_NS)
    assert (wc.src_qp, wc.flags, wc.byte_len) == (near_qp.number, WcFlags.GRH, GRH + 4)
    assert far_memory[100 + GRH : 104 + GRH] == b"ping"
    source = ".".join(map(str, far_memory[132:136]))
    back = far.pd.create_ah(AddressVector(destination=source))
    far_qp.post_send(SendWr(4, WrOpcode.SEND, [far_mr.sge(140, 4)], ah=back, remote_qpn=wc.src_qp, remote_qkey=QKEY))
    far.pump()
    received = [wc for wc in near.wait_cq(near_qp.recv_cq, timeout_ns=SECOND_NS) if wc.wr_id == 1]
    while not received:
        received = [wc for wc in near.wait_cq(near_qp.recv_cq, timeout_ns=SECOND_NS) if wc.wr_id == 1]
    assert near_memory[140:144] == b"ping"


def test_xrc_delivers_to_the_queue_that_a_request_names(near: Endpoint, far: Endpoint) -> None:
    xrcd = far.device.open_xrcd()
    cq = far.create_cq(10)
    srq = far.pd.create_srq(max_wr=4, xrcd=xrcd, cq=cq)
    near_qp, far_qp = near.create_qp(qp_type=QpType.XRC_SEND), far.create_qp(qp_type=QpType.XRC_RECV, xrcd=xrcd)
    to_rts(near_qp, far.address, far_qp)
    to_rts(far_qp, near.address, near_qp)
    content = random.Random(4).randbytes(20_000)
    _, source = registered(near, content)
    memory, target = registered(far, 20_000)
    srq.post_recv(RecvWr(1, [target.sge()]))
    near_qp.post_send(SendWr(1, WrOpcode.SEND, [source.sge()], remote_srqn=srq.number))
    (wc,) = far.wait_cq(cq, timeout_ns=SECOND_NS)
    assert (wc.status, wc.byte_len) == (WcStatus.SUCCESS, 20_000)
    assert memory == content
    assert [wc.status for wc in near.wait_cq(near_qp.send_cq, timeout_ns=SECOND_NS)] == [WcStatus.SUCCESS]


def test_a_group_over_ip_multicast_reaches_every_device_of_the_host(near: Endpoint, far: Endpoint) -> None:
    qps = [near.create_qp(qp_type=QpType.UD), far.create_qp(qp_type=QpType.UD), far.create_qp(qp_type=QpType.UD)]
    memories = []
    for number, (endpoint, qp) in enumerate(zip((near, far, far), qps, strict=True)):
        assert isinstance(qp, DatagramQp)
        to_rts(qp, "", qp)
        qp.attach_mcast(GROUP)
        memory, mr = registered(endpoint, 200)
        memory[:5] = b"group"
        memories.append((memory, mr))
        qp.post_recv(RecvWr(number, [mr.sge(100, 100)]))
    ah = near.pd.create_ah(AddressVector(destination=GROUP))
    mr = memories[0][1]
    qps[0].post_send(SendWr(9, WrOpcode.SEND, [mr.sge(0, 5)], ah=ah, remote_qpn=0xFFFFFF, remote_qkey=QKEY))
    near.pump()

    def is_everywhere() -> bool:
        return all(memory[100 + GRH : 105 + GRH] == b"group" for memory, _ in memories)

    assert near.wait_until(is_everywhere, timeout_ns=SECOND_NS)
    assert bytes(memories[2][0][136:140]) == bytes(map(int, GROUP.split(".")))
    for qp in qps:
        assert isinstance(qp, DatagramQp)
        qp.detach_mcast(GROUP)


def test_a_task_that_waits_is_woken_by_a_datagram_to_a_group() -> None:
    async def main() -> None:
        async with aio.open_device(fresh_address()) as near, aio.open_device(fresh_address()) as far:
            near_qp, far_qp = near.create_qp(qp_type=QpType.UD), far.create_qp(qp_type=QpType.UD)
            for qp in (near_qp, far_qp):
                to_rts(qp, "", qp)
            # The driver is waiting for the socket alone by now.
            await trio.testing.wait_all_tasks_blocked()
            assert isinstance(far_qp, DatagramQp)
            far_qp.attach_mcast(GROUP)
            memory, mr = registered(far, 100)
            far_qp.post_recv(RecvWr(1, [mr.sge()]))
            _, source = registered(near, b"group")
            ah = near.pd.create_ah(AddressVector(destination=GROUP))
            wr = SendWr(2, WrOpcode.SEND, [source.sge()], ah=ah, remote_qpn=0xFFFFFF, remote_qkey=QKEY)
            async with trio.open_nursery() as nursery:

                async def send_soon() -> None:
                    await trio.lowlevel.checkpoint()
                    near_qp.post_send(wr)
                    near.wake()

                nursery.start_soon(send_soon)
                with trio.fail_after(1):
                    (wc,) = await far.completions(far_qp.recv_cq)
            assert wc.byte_len == GRH + 5
            assert memory[GRH : GRH + 5] == b"group"
            far_qp.detach_mcast(GROUP)

    trio.run(main)
