"""Handmade captures: a requester and a responder, packet by packet, each with the ICRC that belongs to it."""

from __future__ import annotations

import ipaddress

from stacks.rdma.conformance import Checker, CheckerOptions, Rule, observe
from wire.ibcm import CmDreq, build_mad
from wire.ip import Ipv4Header
from wire.roce import Aeth, Bth, Deth, Opcode, Reth, icrc
from wire.udp import UdpHeader

HERE, THERE = "192.0.2.1", "192.0.2.2"
REQUESTER_QP, RESPONDER_QP = 0x11, 0x22
RAW_IP = 101
MTU = 1024


class Conversation:
    """Frames of raw IP; `request` goes there, `answer` comes back."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.time_ns = 1_000_000

    def request(self, opcode: Opcode, psn: int, payload: bytes = b"", *, read: int | None = None, ecn: int = 2) -> None:
        """A request; `read`: the length in its RETH."""
        extension = b"" if read is None else Reth(va=0, rkey=1, length=read).encode()
        self._packet(HERE, THERE, opcode, psn, extension + payload, dest_qp=RESPONDER_QP, ecn=ecn)

    def answer(self, opcode: Opcode, psn: int, payload: bytes = b"", *, syndrome: int | None = 0x1F) -> None:
        """An answer, with an AETH unless `syndrome` is None."""
        extension = b"" if syndrome is None else Aeth(syndrome=syndrome, msn=1).encode()
        self._packet(THERE, HERE, opcode, psn, extension + payload, dest_qp=REQUESTER_QP)

    def ack(self, psn: int) -> None:
        """An acknowledgement."""
        self.answer(Opcode.RC_ACKNOWLEDGE, psn)

    def nak(self, psn: int, code: int = 0) -> None:
        """A NAK, of a sequence error unless told otherwise."""
        self.answer(Opcode.RC_ACKNOWLEDGE, psn, syndrome=0x60 | code)

    def disconnect(self) -> None:
        """The requester's DREQ."""
        mad = build_mad(CmDreq(local_comm_id=1, remote_comm_id=2, remote_qpn=RESPONDER_QP), 1)
        deth = Deth(qkey=0x80010000, source_qp=1).encode()
        self._packet(HERE, THERE, Opcode.UD_SEND_ONLY, 0, deth + mad, dest_qp=1)

    def cnp(self, payload: bytes = bytes(16)) -> None:
        """A congestion notification to the requester."""
        self._packet(THERE, HERE, Opcode.CNP, 0, payload, dest_qp=REQUESTER_QP)

    def check(self, **options: object) -> list[Rule]:
        """The rules that the checker found broken, in order."""
        checker = self.checked(**options)
        return [finding.rule for finding in checker.findings]

    def checked(self, **options: object) -> Checker:
        """The checker after all of it."""
        checker = Checker(CheckerOptions(**options))  # type: ignore[arg-type]
        for number, (time_ns, frame) in enumerate(self.frames, start=1):
            seen = observe(number, time_ns, frame, RAW_IP)
            assert seen is not None
            checker.handle(seen)
        self.flows = checker.finish()
        return checker

    def corrupt(self) -> None:
        """Flip a bit of the last packet."""
        time_ns, frame = self.frames[-1]
        self.frames[-1] = (time_ns, frame[:-5] + bytes([frame[-5] ^ 1]) + frame[-4:])

    def _packet(
        self, source: str, destination: str, opcode: Opcode, psn: int, content: bytes, *, dest_qp: int, ecn: int = 2
    ) -> None:
        pad = -len(content) & 3
        bth = Bth(opcode=opcode, pad_count=pad, pkey=0xFFFF, dest_qp=dest_qp, ack_req=1, psn=psn & 0xFFFFFF)
        roce = bth.encode() + content + bytes(pad + 4)
        udp = UdpHeader(source_port=0xC000, destination_port=4791, length=UdpHeader.SIZE + len(roce)).encode()
        total = Ipv4Header.SIZE + len(udp) + len(roce)
        ip = Ipv4Header(
            total_length=total,
            ecn=ecn,
            protocol=17,
            identification=len(self.frames),
            source=ipaddress.ip_address(source).packed,
            destination=ipaddress.ip_address(destination).packed,
        ).encode()
        packet = ip + udp + roce
        self.time_ns += 1000
        self.frames.append((self.time_ns, packet[:-4] + icrc(packet).to_bytes(4, "little")))
