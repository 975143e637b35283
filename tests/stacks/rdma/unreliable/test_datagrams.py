"""Unreliable datagrams end to end (IBTA 9.8.3, 10.2.2.2, 10.2.5)."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from stacks.rdma import (
    AddressVector,
    DeviceConfig,
    QpAttributes,
    QpCapacity,
    QpState,
    QpType,
    RecvWr,
    SendFlags,
    SendWr,
    WcFlags,
    WcStatus,
    WrOpcode,
)
from stacks.rdma.cm import CmConfig
from stacks.rdma.work import Sge
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import HOSTS, HOSTS_V6, QKEY, End, Rig
from transports.simulation import Impairments
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header, ipv4_checksum

GRH = 40
OWN_QKEY = 0x80000000
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def ud_rig(**options: object) -> Rig:
    """Two UD queue pairs in RTS."""
    return Rig(qp_type=QpType.UD, **options)  # type: ignore[arg-type]


def datagram(end: End, peer: End, wr_id: int, offset: int, length: int, **fields: object) -> SendWr:
    """A request that sends part of the memory to the peer's queue pair."""
    defaults = {
        "ah": end.pd.create_ah(AddressVector(destination=peer.device.address[0])),
        "remote_qpn": peer.qp.number,
        "remote_qkey": QKEY,
        "opcode": WrOpcode.SEND,
    }
    given = defaults | fields
    opcode = given.pop("opcode")
    return SendWr(wr_id, opcode, [end.sge(offset, length)], **given)  # type: ignore[arg-type]


def send(rig: Rig, *requests: SendWr) -> None:
    """Post requests of the left side together, and let them arrive."""
    for wr in requests:
        rig.left.qp.post_send(wr)
    rig.left.host.wake()
    rig.run(1_000_000)


@each_way
@pytest.mark.parametrize("hosts", [HOSTS, HOSTS_V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("size", [0, 1, 64, 255, 256, 257, 1024, 4095, 4096])
def test_a_datagram_arrives_behind_the_header_that_brought_it(
    shortcuts: bool, hosts: tuple[str, str], size: int
) -> None:
    rig = ud_rig(shortcuts=shortcuts, hosts=hosts)
    left, right = rig.ends
    left.memory[:size] = random.Random(size).randbytes(size)
    right.recv(7, 8192, GRH + size)
    send(rig, datagram(left, right, 1, 0, size, opcode=WrOpcode.SEND_WITH_IMM, imm_data=b"imm!"))
    assert [(wc.wr_id, wc.status) for wc in left.completions] == [(1, WcStatus.SUCCESS)]
    wc = right.completions[0]
    assert (wc.wr_id, wc.byte_len, wc.src_qp, wc.imm_data) == (7, GRH + size, left.qp.number, b"imm!")
    assert wc.flags == WcFlags.GRH | WcFlags.WITH_IMM
    grh, payload = right.memory[8192 : 8192 + GRH], right.memory[8192 + GRH : 8192 + GRH + size]
    assert payload == left.memory[:size]
    packet_bytes = 12 + 8 + 4 + (size + 3 & ~3) + 4
    addresses = tuple(ip_address(host).packed for host in hosts)
    if ":" in hosts[0]:
        header6 = Ipv6Header.decode(grh)
        assert (header6.source, header6.destination) == addresses
        assert (header6.next_header, header6.payload_length) == (IpProtocol.UDP, 8 + packet_bytes)
    else:
        assert not any(grh[:20])
        header = Ipv4Header.decode(grh, 20)
        assert (header.source, header.destination) == addresses
        assert (header.protocol, header.total_length) == (IpProtocol.UDP, 28 + packet_bytes)
        assert ipv4_checksum(grh[20:]) == 0


@each_way
def test_many_datagrams_to_several_queue_pairs_arrive_in_order(shortcuts: bool) -> None:
    rig = ud_rig(shortcuts=shortcuts)
    left, right = rig.ends
    second = right.pd.create_qp(QpType.UD, send_cq=right.cq, recv_cq=right.cq)
    second.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, qkey=QKEY))
    second.modify(QpAttributes(state=QpState.RTR))
    left.memory[:4096] = random.Random(1).randbytes(4096)
    requests = []
    rng = random.Random(2)
    expected: dict[int, list[int]] = {right.qp.number: [], second.number: []}
    for number in range(120):
        qp = second if rng.random() < 0.3 else right.qp
        expected[qp.number].append(number)
        qp.post_recv(RecvWr(number, [right.sge(number * 128, 128)]))
        length = 64 if rng.random() < 0.8 else int(rng.random() * 80)
        requests.append(datagram(left, right, number, number * 16, length, remote_qpn=qp.number))
    send(rig, *requests)
    assert [wc.wr_id for wc in left.completions] == list(range(120))
    for number, wr_ids in expected.items():
        assert [wc.wr_id for wc in right.completions if wc.qp_num == number] == wr_ids
    for wc in right.completions:
        payload = right.memory[wc.wr_id * 128 + GRH : wc.wr_id * 128 + wc.byte_len]
        assert payload == left.memory[wc.wr_id * 16 :][: len(payload)]
    if shortcuts:
        assert left.host.transport.statistics.sent_datagrams == 120


@pytest.mark.parametrize("qkey", [0x22222222, 0x91111111])
def test_a_request_with_bit_31_in_its_q_key_carries_the_queue_pairs_own(qkey: int) -> None:
    """IBTA 10.2.5, 11.4.1.1: a program cannot say a controlled Q_Key itself."""
    rig = ud_rig()
    left, right = rig.ends
    for end in rig.ends:
        end.qp.modify(QpAttributes(state=QpState.RTS, qkey=qkey))
    right.recv(1, 0, 100)
    right.recv(2, 0, 100)
    send(rig, datagram(left, right, 1, 0, 4, remote_qkey=OWN_QKEY), datagram(left, right, 2, 0, 4, remote_qkey=qkey))
    assert [wc.wr_id for wc in right.completions] == [1, 2]


@each_way
def test_a_wrong_q_key_is_dropped_and_counted_and_its_receive_stays(shortcuts: bool) -> None:
    """IBTA 9.8.3.2.2, 10.2.5."""
    rig = ud_rig(shortcuts=shortcuts)
    left, right = rig.ends
    right.recv(1, 0, 100)
    send(rig, datagram(left, right, 1, 0, 4, remote_qkey=QKEY ^ 1), datagram(left, right, 2, 0, 4))
    assert right.device.counters.rcvd_qkey_err == 1
    assert [wc.wr_id for wc in right.completions] == [1]
    assert [wc.status for wc in left.completions] == [WcStatus.SUCCESS] * 2


@each_way
def test_a_datagram_without_a_receive_or_too_long_for_it_is_dropped(shortcuts: bool) -> None:
    """IBTA 9.8.3.2.4, 9.9.3 class D: 40 bytes of every receive belong to the network header."""
    rig = ud_rig(shortcuts=shortcuts)
    left, right = rig.ends
    send(rig, datagram(left, right, 1, 0, 16))
    right.recv(1, 0, GRH + 15)
    send(rig, datagram(left, right, 2, 0, 16))
    assert right.completions == []
    assert right.device.counters.rcvd_dropped_messages == 2
    send(rig, datagram(left, right, 3, 0, 15))
    assert [wc.wr_id for wc in right.completions] == [1]
    assert right.qp.state is QpState.RTS


def test_a_receive_that_names_memory_that_is_not_there_ends_the_queue_pair() -> None:
    """IBTA 9.9.3 class A."""
    rig = ud_rig()
    left, right = rig.ends
    right.qp.post_recv(RecvWr(1, [Sge(right.mr.address, 100, right.mr.lkey ^ 1)]))
    right.recv(2, 0, 100)
    send(rig, datagram(left, right, 1, 0, 4))
    assert [(wc.wr_id, wc.status) for wc in right.completions] == [
        (1, WcStatus.LOC_PROT_ERR),
        (2, WcStatus.WR_FLUSH_ERR),
    ]
    assert right.qp.state is QpState.ERR


@each_way
def test_a_datagram_above_the_ports_mtu_ends_the_send_queue_in_sqe(shortcuts: bool) -> None:
    """IBTA 10.3.1.6; nothing of it leaves, what was before it does, what is behind it is flushed."""
    rig = ud_rig(config=DeviceConfig(shortcuts=shortcuts, cm=CmConfig(max_path_mtu=1024)))
    left, right = rig.ends
    right.recv(1, 0, 2000)
    send(rig, *(datagram(left, right, number, 0, size) for number, size in enumerate((1024, 1025, 4))))
    assert [(wc.wr_id, wc.status) for wc in left.completions] == [
        (0, WcStatus.SUCCESS),
        (1, WcStatus.LOC_LEN_ERR),
        (2, WcStatus.WR_FLUSH_ERR),
    ]
    assert [wc.byte_len for wc in right.completions] == [GRH + 1024]
    assert left.qp.state is QpState.SQE
    left.qp.modify(QpAttributes(state=QpState.RTS, cur_state=QpState.SQE))
    right.recv(2, 0, 2000)
    send(rig, datagram(left, right, 5, 0, 4))
    assert [wc.wr_id for wc in right.completions] == [1, 2]


@each_way
def test_wrong_local_memory_ends_the_send_queue_in_sqe_and_receives_go_on(shortcuts: bool) -> None:
    rig = ud_rig(shortcuts=shortcuts)
    left, right = rig.ends
    send(rig, datagram(left, right, 1, (1 << 20) - 2, 4))
    assert [(wc.wr_id, wc.status) for wc in left.completions] == [(1, WcStatus.LOC_PROT_ERR)]
    assert left.qp.state is QpState.SQE
    left.recv(2, 0, 100)
    right.qp.post_send(datagram(right, left, 3, 0, 4))
    right.host.wake()
    rig.run(1_000_000)
    assert [wc.wr_id for wc in left.completions] == [1, 2]


def test_solicited_and_inline_datagrams() -> None:
    rig = ud_rig(capacity=QpCapacity(max_inline_data=64))
    left, right = rig.ends
    right.recv(1, 0, 100)
    ah = left.pd.create_ah(AddressVector(destination=right.device.address[0]))
    flags = SendFlags.SIGNALED | SendFlags.SOLICITED
    wr = SendWr(1, WrOpcode.SEND, (), flags, inline_data=b"inline", ah=ah, remote_qpn=right.qp.number, remote_qkey=QKEY)
    send(rig, wr)
    assert right.completions[0].is_solicited
    assert right.memory[GRH : GRH + 6] == b"inline"


def test_what_no_datagram_can_say_is_refused_at_once() -> None:
    rig = ud_rig()
    left, right = rig.ends
    with pytest.raises(LocalError, match="address handle"):
        left.qp.post_send(datagram(left, right, 1, 0, 4, ah=None))
    other = left.device.alloc_pd().create_ah(AddressVector(destination=HOSTS[1]))
    with pytest.raises(LocalError, match="protection domains"):
        left.qp.post_send(datagram(left, right, 1, 0, 4, ah=other))
    gone = left.pd.create_ah(AddressVector(destination=HOSTS[1]))
    gone.destroy()
    with pytest.raises(LocalError, match="destroyed"):
        left.qp.post_send(datagram(left, right, 1, 0, 4, ah=gone))
    with pytest.raises(LocalError, match="24 bits"):
        left.qp.post_send(datagram(left, right, 1, 0, 4, remote_qpn=1 << 24))
    for opcode in (WrOpcode.RDMA_WRITE, WrOpcode.RDMA_READ, WrOpcode.SEND_WITH_INV, WrOpcode.ATOMIC_FETCH_AND_ADD):
        with pytest.raises(LocalError, match="UD"):
            left.qp.post_send(datagram(left, right, 1, 0, 8, opcode=opcode))


@pytest.mark.parametrize("destination", ["not an address", "2001:db8::1"])
def test_an_address_handle_needs_an_address_of_the_devices_family(destination: str) -> None:
    with pytest.raises(LocalError):
        ud_rig().left.pd.create_ah(AddressVector(destination=destination))


def test_a_datagram_to_its_own_queue_pair_comes_back() -> None:
    rig = ud_rig()
    left = rig.left
    left.memory[:4] = b"self"
    left.recv(9, 100, 100)
    send(rig, datagram(left, left, 1, 0, 4))
    assert {wc.wr_id for wc in left.completions} == {1, 9}
    assert left.memory[100 + GRH : 104 + GRH] == b"self"


@each_way
def test_datagrams_are_received_from_a_shared_queue(shortcuts: bool) -> None:
    rig = ud_rig(shortcuts=shortcuts)
    left, right = rig.ends
    srq = right.pd.create_srq(max_wr=8)
    qps = [right.pd.create_qp(QpType.UD, send_cq=right.cq, recv_cq=right.cq, srq=srq) for _ in range(2)]
    for qp in qps:
        qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, qkey=QKEY))
        qp.modify(QpAttributes(state=QpState.RTR))
    srq.post_recv(RecvWr(0, [right.sge(0, GRH + 10)]))
    for number in (1, 2):
        srq.post_recv(RecvWr(number, [right.sge(number * 100, 100)]))
    send(rig, *(datagram(left, right, n, 0, size, remote_qpn=qps[n % 2].number) for n, size in enumerate((11, 10, 20))))
    # The first does not fit into the oldest receive, which waits for one that does (IBTA 9.9.3, class D).
    assert [(wc.wr_id, wc.qp_num) for wc in right.completions] == [(0, qps[1].number), (1, qps[0].number)]
    assert right.device.counters.rcvd_dropped_messages == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_lossy_network_loses_doubles_and_mixes_datagrams_but_never_changes_one(seed: int) -> None:
    rig = ud_rig(
        seed=seed,
        impairments=Impairments(loss=0.1, duplication=0.1, corruption=0.1, reordering=0.1),
        tells_identification=True,
    )
    left, right = rig.ends
    left.memory[:8192] = random.Random(seed).randbytes(8192)
    for number in range(120):
        right.recv(number, 8192 + number * 1024, 1024)
    for number in range(100):
        imm = {"opcode": WrOpcode.SEND_WITH_IMM, "imm_data": number.to_bytes(4, "big")}
        send(rig, datagram(left, right, number, number * 8, 8 * number, **imm))
    rig.run()
    assert len(left.completions) == 100
    assert 50 < len(right.completions) < 120
    for wc in right.completions:
        number, at = int.from_bytes(wc.imm_data, "big"), 8192 + wc.wr_id * 1024 + GRH
        assert right.memory[at : at + wc.byte_len - GRH] == left.memory[number * 8 : number * 16]
