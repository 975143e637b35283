"""What Linux sent with ibv_uc_pingpong and ibv_ud_pingpong, played to our receivers, and sent again by our senders."""

from __future__ import annotations

import random
from itertools import groupby
from typing import NamedTuple

import pytest

from stacks.rdma import Access, AddressVector, Device, Qp, QpState, QpType, RecvWr, SendWr, WcStatus, WrOpcode
from tests.captures.frames import CAPTURES, roce_packets
from tests.stacks.rdma.rig import modify
from transports.datagram import Burst
from wire.ip import Ipv4Header
from wire.roce import Bth, Deth, Opcode, RocePacket, parse_packet
from wire.udp import UdpHeader

QKEY = 0x11111111
"""Of ibv_ud_pingpong."""
GRH = 40
each_capture = pytest.mark.parametrize("capture", CAPTURES)


class Recorded(NamedTuple):
    """One packet of a capture, from the IP header's addresses down."""

    source: tuple[str, int]
    destination: tuple[str, int]
    identification: int
    payload: bytes

    @property
    def roce(self) -> RocePacket:
        """Its headers."""
        return parse_packet(self.payload)


class Dealt(random.Random):
    """Draws that give a device's first queue pair a certain number."""

    def __init__(self, number: int) -> None:
        super().__init__(1)
        self._first = [(number - 2 + 0.5) / 0xFFFFFD]

    def random(self) -> float:
        """The number once it is asked for, anything later."""
        return self._first.pop() if self._armed and self._first else super().random()

    _armed = False

    def arm(self) -> None:
        """The next draw is for the queue pair."""
        self._armed = True


def recorded(capture: str, transport: int) -> dict[tuple[str, int], list[Recorded]]:
    """Everything of a transport but management, by receiving host and queue pair."""
    found: dict[tuple[str, int], list[Recorded]] = {}
    for _, packet in roce_packets(capture):
        ip = Ipv4Header.decode(packet)
        udp = UdpHeader.decode(packet, Ipv4Header.SIZE)
        payload = packet[Ipv4Header.SIZE + UdpHeader.SIZE :]
        bth = Bth.decode(payload)
        if bth.opcode >> 5 != transport or bth.dest_qp == 1:
            continue
        source, destination = (".".join(map(str, each)) for each in (ip.source, ip.destination))
        one = Recorded((source, udp.source_port), (destination, udp.destination_port), ip.identification, payload)
        found.setdefault((destination, bth.dest_qp), []).append(one)
    assert found
    return found


def queue_pair(host: str, number: int, qp_type: QpType) -> tuple[Device, Qp, bytearray]:
    """A device whose queue pair has the recorded number, in RESET, with a page to send from and receive into."""
    rng = Dealt(number)
    device = Device(host, rng=rng)
    cq = device.create_cq(1000)
    rng.arm()
    qp = device.alloc_pd().create_qp(qp_type, send_cq=cq, recv_cq=cq)
    assert qp.number == number
    return device, qp, bytearray(1 << 16)


def to_rts(qp: Qp, peer: str, dest_qpn: int, psn: int) -> None:
    modify(qp, QpState.INIT, pkey_index=0, port=1, access=Access.LOCAL_WRITE, qkey=QKEY)
    av = AddressVector(destination=peer)
    modify(qp, QpState.RTR, av=av, path_mtu=1024, dest_qpn=dest_qpn, rq_psn=psn)
    modify(qp, QpState.RTS, sq_psn=psn)


def handed_in(device: Device, packets: list[Recorded]) -> None:
    for one in packets:
        device.handle_burst(
            Burst(memoryview(one.payload), len(one.payload), one.source, one.destination,
                  identification=one.identification), 0
        )  # fmt: skip
    assert device.counters.rcvd_icrc_err == 0
    assert device.counters.rcvd_pkts == len(packets)


@each_capture
def test_our_receiver_takes_what_linux_sent_over_an_unreliable_connection(capture: str) -> None:
    for (host, number), packets in recorded(capture, transport=1).items():
        messages = [one.roce.payload for one in packets]
        device, qp, memory = queue_pair(host, number, QpType.UC)
        to_rts(qp, packets[0].source[0], 1, packets[0].roce.bth.psn)
        mr = qp.pd.reg_mr(memory)
        ends = sum(one.roce.bth.opcode == Opcode.UC_SEND_LAST for one in packets)
        for wr_id in range(ends):
            qp.post_recv(RecvWr(wr_id, [mr.sge(wr_id * 4096, 4096)]))
        handed_in(device, packets)
        completions = qp.recv_cq.poll(1000)
        assert [(wc.wr_id, wc.status, wc.byte_len) for wc in completions] == [
            (wr_id, WcStatus.SUCCESS, 4096) for wr_id in range(ends)
        ]
        assert bytes(memory[: ends * 4096]) == b"".join(messages)


@each_capture
def test_our_sender_makes_the_packets_of_linux_but_for_ports_and_what_depends_on_them(capture: str) -> None:
    for (host, number), packets in recorded(capture, transport=1).items():
        sender = packets[0].source[0]
        device, qp, memory = queue_pair(sender, number, QpType.UC)
        to_rts(qp, host, number, packets[0].roce.bth.psn)
        content = b"".join(one.roce.payload for one in packets)
        memory[: len(content)] = content
        mr = qp.pd.reg_mr(memory)
        for wr_id in range(len(content) // 4096):
            qp.post_send(SendWr(wr_id, WrOpcode.SEND, [mr.sge(wr_id * 4096, 4096)]))
        assert [one[:-4] for one in sent(device)] == [one.payload[:-4] for one in packets]


@each_capture
def test_our_receiver_takes_the_datagrams_of_linux(capture: str) -> None:
    for (host, number), packets in recorded(capture, transport=3).items():
        device, qp, memory = queue_pair(host, number, QpType.UD)
        to_rts(qp, "", 0, 0)
        mr = qp.pd.reg_mr(memory)
        for wr_id in range(len(packets)):
            qp.post_recv(RecvWr(wr_id, [mr.sge(wr_id * 2048, 2048)]))
        handed_in(device, packets)
        for wc, one in zip(qp.recv_cq.poll(1000), packets, strict=True):
            deth = one.roce.find(Deth)
            assert deth is not None
            assert (wc.status, wc.src_qp) == (WcStatus.SUCCESS, deth.source_qp)
            assert memory[wc.wr_id * 2048 + GRH :][: wc.byte_len - GRH] == one.roce.payload


@each_capture
def test_our_datagrams_are_those_of_linux_but_for_ports_and_what_depends_on_them(capture: str) -> None:
    for (host, number), packets in recorded(capture, transport=3).items():

        def origin(one: Recorded) -> tuple[str, int]:
            deth = one.roce.find(Deth)
            assert deth is not None
            return one.source[0], deth.source_qp

        for (sender, own), group in groupby(sorted(packets, key=origin), key=origin):
            run = list(group)
            device, qp, memory = queue_pair(sender, own, QpType.UD)
            to_rts(qp, "", 0, run[0].roce.bth.psn)
            ah = qp.pd.create_ah(AddressVector(destination=host))
            mr = qp.pd.reg_mr(memory)
            for wr_id, one in enumerate(run):
                payload = one.roce.payload
                memory[wr_id * 1024 : wr_id * 1024 + len(payload)] = payload
                piece = [mr.sge(wr_id * 1024, len(payload))]
                qp.post_send(SendWr(wr_id, WrOpcode.SEND, piece, ah=ah, remote_qpn=number, remote_qkey=QKEY))
            assert [one[:-4] for one in sent(device)] == [one.payload[:-4] for one in run]


def sent(device: Device) -> list[bytes]:
    """Every packet that the device has to send."""
    packets: list[bytes] = []
    while (transmit := device.poll_transmit(0)) is not None:
        whole = b"".join(transmit.views)
        size = transmit.segment_bytes or len(whole)
        packets += [whole[at : at + size] for at in range(0, len(whole), size)]
        device.sent(transmit)
    return packets
