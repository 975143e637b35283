"""Extended reliable connections: everything of RC, delivered to the queue that a packet names (IBTA annex A14)."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import AsyncEventType, FaultPlan, QpState, QpType, RecvWr, SendFlags, Srq, WcStatus, WrOpcode
from stacks.rdma.faults import parse_rule
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import FIRST_PSN, MTU, HandRig, reth
from tests.stacks.rdma.rig import HOSTS, HOSTS_V6, End, Rig
from transports.simulation import Impairments
from wire.header import Header
from wire.roce import Aeth, Opcode, XrcEth, parse_packet

NAK_INVALID, NAK_ACCESS, RNR = 0x61, 0x62, 0x20
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


class XrcRig(Rig):
    """The left side sends, the right side is a target with two shared receive queues in its domain."""

    def __init__(self, **options: object) -> None:
        super().__init__(connect=False, **options)  # type: ignore[arg-type]
        left, right = self.ends
        left.qp = left.pd.create_qp(QpType.XRC_SEND, send_cq=left.cq, recv_cq=left.cq)
        self.xrcd = right.device.open_xrcd()
        self.cqs = [right.device.create_cq(1000) for _ in range(2)]
        self.srqs = [right.pd.create_srq(max_wr=1000, max_sge=4, xrcd=self.xrcd, cq=cq) for cq in self.cqs]
        right.qp = right.pd.create_qp(QpType.XRC_RECV, send_cq=right.cq, recv_cq=right.cq, xrcd=self.xrcd)
        self.connect()

    def receive(self, srq: Srq, wr_id: int, offset: int, length: int) -> None:
        """Post a receive to one of the queues."""
        srq.post_recv(RecvWr(wr_id, [self.right.sge(offset, length)]))

    def received(self, number: int) -> list[tuple[int, WcStatus, int]]:
        """What completed on the CQ of one of the queues."""
        return [(wc.wr_id, wc.status, wc.byte_len) for wc in self.cqs[number].poll(1000)]


def far(end: End, offset: int = 0) -> dict[str, int]:
    """The peer's memory, as requests name it."""
    return {"remote_address": end.mr.address + offset, "rkey": end.mr.rkey}


@each_way
@pytest.mark.parametrize("path_mtu", [256, 1024, 4096])
@pytest.mark.parametrize("hosts", [HOSTS, HOSTS_V6], ids=["IPv4", "IPv6"])
def test_every_operation_works_and_sends_go_where_they_say(
    shortcuts: bool, path_mtu: int, hosts: tuple[str, str]
) -> None:
    rig = XrcRig(shortcuts=shortcuts, path_mtu=path_mtu, hosts=hosts)
    left, right = rig.ends
    left.memory[:20_000] = random.Random(1).randbytes(20_000)
    for number, size in enumerate((0, 1, 256, 1000, 20_000)):
        srq = rig.srqs[number % 2]
        rig.receive(srq, number, 1 << 18, size)
        left.send(number, WrOpcode.SEND_WITH_IMM, 0, size, imm_data=b"imm!", remote_srqn=srq.number)
        rig.run(10_000_000)
        assert rig.received(number % 2) == [(number, WcStatus.SUCCESS, size)]
        assert right.memory[1 << 18 : (1 << 18) + size] == left.memory[:size]
        name = {"remote_srqn": srq.number}
        left.send(10, WrOpcode.RDMA_WRITE, 0, size, **far(right, 1 << 19), **name)
        rig.receive(srq, 20 + number, 0, 0)
        left.send(11, WrOpcode.RDMA_WRITE_WITH_IMM, 0, size, imm_data=b"done", **far(right, 1 << 19), **name)
        left.send(12, WrOpcode.RDMA_READ, 1 << 18, size, **far(right, 1 << 19), **name)
        rig.run(10_000_000)
        assert rig.received(number % 2) == [(20 + number, WcStatus.SUCCESS, size)]
        assert right.memory[1 << 19 : (1 << 19) + size] == left.memory[:size]
        assert left.memory[1 << 18 : (1 << 18) + size] == left.memory[:size]
    right.memory[:8] = (40).to_bytes(8, "little")
    left.send(13, WrOpcode.ATOMIC_FETCH_AND_ADD, 64, 8, compare_add=2, remote_srqn=srq.number, **far(right))
    left.send(14, WrOpcode.ATOMIC_CMP_AND_SWP, 72, 8, compare_add=42, swap=7, remote_srqn=srq.number, **far(right))
    rig.run(10_000_000)
    assert right.memory[:8] == (7).to_bytes(8, "little")
    assert (left.memory[64], left.memory[72]) == (40, 42)
    assert {wc.status for wc in left.completions} == {WcStatus.SUCCESS}
    assert right.completions == []


def test_requests_carry_an_xrceth_each_and_responses_none() -> None:
    rig = XrcRig(path_mtu=256)
    seen: list[tuple[Opcode, int | None]] = []

    def trace(_time_ns: int, what: str, packet: object) -> None:
        if what == "sent":
            roce = parse_packet(packet.payload)  # type: ignore[attr-defined]
            xrceth = roce.find(XrcEth)
            seen.append((Opcode(roce.bth.opcode), None if xrceth is None else xrceth.srq))

    rig.network.trace = trace
    number = rig.srqs[0].number
    rig.receive(rig.srqs[0], 1, 0, 1000)
    rig.left.send(1, WrOpcode.SEND, 0, 700, remote_srqn=number)
    rig.left.send(2, WrOpcode.RDMA_READ, 0, 300, remote_srqn=number, **far(rig.right))
    rig.run(10_000_000)
    requests = [(opcode, srq) for opcode, srq in seen if srq is not None]
    assert requests == [
        (Opcode.XRC_SEND_FIRST, number),
        (Opcode.XRC_SEND_MIDDLE, number),
        (Opcode.XRC_SEND_LAST, number),
        (Opcode.XRC_READ_REQUEST, number),
    ]
    answers = [opcode for opcode, srq in seen if srq is None]
    assert answers[-2:] == [Opcode.XRC_READ_RESPONSE_FIRST, Opcode.XRC_READ_RESPONSE_LAST]
    assert set(answers[:-2]) <= {Opcode.XRC_ACKNOWLEDGE}


@each_way
@pytest.mark.parametrize("seed", range(4))
def test_loss_reordering_duplication_and_corruption_change_nothing(shortcuts: bool, seed: int) -> None:
    impairments = Impairments(loss=0.02, duplication=0.02, corruption=0.02, reordering=0.02)
    rig = XrcRig(
        shortcuts=shortcuts, seed=seed, impairments=impairments, tells_identification=True, path_mtu=256, timeout=8
    )
    left = rig.left
    left.memory[: 1 << 16] = random.Random(seed).randbytes(1 << 16)
    rng = random.Random(seed)
    sizes = [int(rng.random() * 2000) for _ in range(60)]
    for number, size in enumerate(sizes):
        srq = rig.srqs[number % 2]
        rig.receive(srq, number, (1 << 18) + number * 2048, 2048)
        left.send(number, WrOpcode.SEND, number * 512, size, remote_srqn=srq.number)
    rig.run_until_completed(left, len(sizes))
    for which in range(2):
        expected = [(n, WcStatus.SUCCESS, size) for n, size in enumerate(sizes) if n % 2 == which]
        assert rig.received(which) == expected
    for number, size in enumerate(sizes):
        at = (1 << 18) + number * 2048
        assert rig.right.memory[at : at + size] == left.memory[number * 512 : number * 512 + size]


def test_an_empty_queue_makes_the_initiator_wait() -> None:
    rig = XrcRig()
    srq = rig.srqs[0]
    rig.left.send(1, WrOpcode.SEND, 0, 16, remote_srqn=srq.number)
    rig.run(1_000_000)
    assert rig.left.completions == []
    rig.receive(srq, 5, 0, 16)
    rig.run(1_000_000_000)
    assert [wc.status for wc in rig.left.completions] == [WcStatus.SUCCESS]
    assert rig.left.device.counters.rcvd_rnr_err > 0


def test_neither_end_does_the_others_part() -> None:
    rig = XrcRig()
    left, right = rig.ends
    with pytest.raises(LocalError, match="SRQ"):
        left.recv(1)
    with pytest.raises(LocalError, match="SRQ"):
        right.recv(1)
    with pytest.raises(LocalError, match="XRC_RECV"):
        right.send(1, WrOpcode.SEND, 0, 4)
    with pytest.raises(LocalError, match="24 bits"):
        left.send(1, WrOpcode.SEND, 0, 4, remote_srqn=1 << 24)


def test_domains_are_given_to_targets_and_to_nothing_else() -> None:
    rig = XrcRig()
    right = rig.right
    cqs = {"send_cq": right.cq, "recv_cq": right.cq}
    with pytest.raises(LocalError, match="domain"):
        right.pd.create_qp(QpType.XRC_RECV, **cqs)
    with pytest.raises(LocalError, match="only XRC_RECV"):
        right.pd.create_qp(QpType.XRC_SEND, xrcd=rig.xrcd, **cqs)
    srq = right.pd.create_srq(max_wr=1)
    with pytest.raises(LocalError, match="takes no SRQ"):
        right.pd.create_qp(QpType.XRC_SEND, srq=srq, **cqs)
    with pytest.raises(LocalError, match="1 queue pairs"):
        rig.xrcd.close()
    right.qp.destroy()
    for each in rig.srqs:
        each.destroy()
    rig.xrcd.close()


@each_way
def test_a_read_that_comes_again_is_answered_from_the_domain_that_granted_it(shortcuts: bool) -> None:
    """A target works in the protection domain of the SRQ that a request names (A14.2.4), a repeated one too."""
    rig = XrcRig(shortcuts=shortcuts, timeout=8, tells_identification=True)
    left, right = rig.ends
    elsewhere = right.device.alloc_pd()
    other = elsewhere.create_srq(max_wr=10, xrcd=rig.xrcd, cq=rig.cqs[1])
    other.post_recv(RecvWr(7, [elsewhere.reg_mr(bytearray(64)).sge()]))
    left.device.attach(FaultPlan((parse_rule("drop:direction=rx,opcode=read-response,nth=1"),)))
    right.memory[:16] = b"read me once more"[:16]
    left.send(1, WrOpcode.RDMA_READ, 64, 16, remote_srqn=rig.srqs[0].number, **far(right))
    left.send(2, WrOpcode.SEND, 0, 16, remote_srqn=other.number)
    rig.run_until_completed(left, 2)
    assert [(wc.wr_id, wc.status) for wc in left.completions] == [(1, WcStatus.SUCCESS), (2, WcStatus.SUCCESS)]
    assert left.memory[64:80] == right.memory[:16]


class Target(HandRig):
    """A target in RTS whose initiator is the test."""

    def __init__(self) -> None:
        super().__init__()
        end = self.end
        self.xrcd = end.device.open_xrcd()
        self.srq = end.pd.create_srq(max_wr=10, xrcd=self.xrcd, cq=end.cq)
        end.qp = end.pd.create_qp(QpType.XRC_RECV, send_cq=end.cq, recv_cq=end.cq, xrcd=self.xrcd)
        self.connect(15, {})

    def ask(self, opcode: int, *headers: Header, payload: bytes = b"", srq: int | None = None) -> None:
        """Send the next request, to the queue of the target or another."""
        self.request(opcode, XrcEth(srq=self.srq.number if srq is None else srq), *headers, payload=payload)

    def naks(self) -> list[tuple[int, int]]:
        """Syndrome and PSN of every acknowledgement, and that nothing else was sent."""
        found = []
        for packet in self.received():
            aeth = packet.find(Aeth)
            assert packet.bth.opcode == Opcode.XRC_ACKNOWLEDGE
            assert aeth is not None
            found.append((aeth.syndrome, packet.bth.psn))
        return found


@pytest.mark.parametrize("opcode", [Opcode.XRC_SEND_ONLY, Opcode.XRC_WRITE_ONLY, Opcode.XRC_READ_REQUEST])
def test_a_number_that_is_nobodys_is_an_invalid_request(opcode: Opcode) -> None:
    """A14: invalid XRCETH. It ends the target, as every such NAK."""
    rig = Target()
    headers = [] if opcode is Opcode.XRC_SEND_ONLY else [reth(rig, 0, 0)]
    rig.ask(opcode, *headers, srq=rig.srq.number ^ 1)
    assert rig.naks() == [(NAK_INVALID, FIRST_PSN)]
    assert rig.end.qp.state is QpState.ERR
    event = rig.end.device.poll_async_event()
    assert event is not None
    assert event.kind is AsyncEventType.QP_REQ_ERR


def test_a_queue_of_another_domain_is_an_access_error() -> None:
    """A14: XRC domain violation."""
    rig = Target()
    other = rig.end.pd.create_srq(max_wr=1, xrcd=rig.end.device.open_xrcd(), cq=rig.end.cq)
    rig.ask(Opcode.XRC_SEND_ONLY, srq=other.number)
    assert rig.naks() == [(NAK_ACCESS, FIRST_PSN)]
    event = rig.end.device.poll_async_event()
    assert event is not None
    assert event.kind is AsyncEventType.QP_ACCESS_ERR


def test_a_plain_shared_queue_is_in_no_domain() -> None:
    rig = Target()
    plain = rig.end.pd.create_srq(max_wr=1)
    rig.ask(Opcode.XRC_SEND_ONLY, srq=plain.number)
    assert rig.naks() == [(NAK_ACCESS, FIRST_PSN)]


def test_a_message_stays_with_the_queue_that_it_began_with() -> None:
    rig = Target()
    second = rig.end.pd.create_srq(max_wr=1, xrcd=rig.xrcd, cq=rig.end.cq)
    rig.srq.post_recv(RecvWr(1, [rig.end.sge(0, 4096)]))
    rig.ask(Opcode.XRC_SEND_FIRST, payload=bytes(MTU))
    rig.ask(Opcode.XRC_SEND_LAST, payload=b"end", srq=second.number)
    assert rig.naks()[-1] == (NAK_INVALID, FIRST_PSN + 1)
    assert rig.completed() == [(1, "REM_INV_REQ_ERR")]


def test_a_request_without_an_xrceth_is_invalid() -> None:
    rig = Target()
    rig.request(Opcode.XRC_SEND_ONLY)
    assert rig.naks() == [(NAK_INVALID, FIRST_PSN)]


def test_an_empty_queue_is_answered_with_rnr_and_the_request_taken_later() -> None:
    rig = Target()
    rig.ask(Opcode.XRC_SEND_ONLY, payload=b"data")
    assert rig.naks() == [(RNR | 1, FIRST_PSN)]
    rig.srq.post_recv(RecvWr(1, [rig.end.sge(0, 64)]))
    rig.psn -= 1
    rig.ask(Opcode.XRC_SEND_ONLY, payload=b"data")
    assert rig.completed() == [(1, "SUCCESS")]


def test_the_protection_domain_is_that_of_the_queue() -> None:
    rig = Target()
    end = rig.end
    elsewhere = end.device.alloc_pd()
    srq = elsewhere.create_srq(max_wr=1, xrcd=rig.xrcd, cq=end.cq)
    memory = bytearray(64)
    mr = elsewhere.reg_mr(memory, 7)
    header = reth(rig, 0, 4)
    header.va, header.rkey = mr.address, mr.rkey
    rig.ask(Opcode.XRC_WRITE_ONLY, header, payload=b"data", srq=srq.number)
    assert memory[:4] == b"data"
    rig.naks()
    rig.ask(Opcode.XRC_WRITE_ONLY, reth(rig, 0, 4), payload=b"data", srq=srq.number)
    assert rig.naks() == [(NAK_ACCESS, FIRST_PSN + 1 & 0xFFFFFF)]


@pytest.mark.parametrize("opcode", [Opcode.RC_SEND_ONLY, Opcode.UC_SEND_ONLY, Opcode.XRC_ACKNOWLEDGE])
def test_what_is_not_for_a_target_is_counted_and_dropped(opcode: Opcode) -> None:
    rig = Target()
    rig.ask(opcode)
    assert rig.naks() == []
    assert rig.end.device.counters.rcvd_opcode_err == 1


def test_a_request_to_an_initiator_is_counted_and_dropped() -> None:
    rig = HandRig(qp_type=QpType.XRC_SEND)
    rig.request(Opcode.XRC_SEND_ONLY, XrcEth(srq=2), payload=b"data")
    assert rig.received() == []
    assert rig.end.device.counters.rcvd_opcode_err == 1


def test_an_initiators_fence_and_statuses_are_those_of_rc() -> None:
    rig = XrcRig()
    left, right = rig.ends
    number = rig.srqs[0].number
    left.send(1, WrOpcode.RDMA_READ, 0, 100, remote_srqn=number, **far(right))
    left.send(
        2, WrOpcode.RDMA_WRITE, 0, 4, flags=SendFlags.SIGNALED | SendFlags.FENCE, remote_srqn=number, **far(right)
    )
    left.send(3, WrOpcode.RDMA_WRITE, 0, 4, remote_srqn=number, remote_address=right.mr.address, rkey=1)
    left.send(4, WrOpcode.SEND, 0, 4, remote_srqn=number)
    rig.run()
    assert [(wc.wr_id, wc.status) for wc in left.completions] == [
        (1, WcStatus.SUCCESS),
        (2, WcStatus.SUCCESS),
        (3, WcStatus.REM_ACCESS_ERR),
        (4, WcStatus.WR_FLUSH_ERR),
    ]
