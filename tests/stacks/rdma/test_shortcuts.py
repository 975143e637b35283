"""Whole-burst shortcuts against the per-packet way: the same bursts, honest or not, have the same outcome."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import QpState, QpType, WrOpcode
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, HandRig
from transports.datagram import Burst
from wire.header import Header
from wire.roce import Aeth, ImmDt, Opcode, Reth

Piece = tuple[int, tuple[Header, ...], bytes, bool]
PEER = ("192.0.2.1", 4791)
READ_BYTES = 24 * MTU
MEMORY_BYTES = 1 << 16


class Bursts:
    """A stream of requests and READ responses, cut into bursts as a socket with offload would deliver them.

    faults: how often a packet is dropped, doubled, swapped with the next, or changed.
    """

    def __init__(self, rig: HandRig, seed: int, faults: float) -> None:
        self.rig = rig
        self.rng = random.Random(seed)
        self.faults = faults
        self.psn = FIRST_PSN
        self.answered = 0
        self.is_reliable = rig.end.qp.qp_type is QpType.RC

    def draw(self, limit: int) -> int:
        return int(self.rng.random() * limit)

    def message(self) -> list[bytes]:
        """The packets of one random message, or of part of the answer to the READ that is out."""
        kind = self.draw(6)
        packets = 1 + (self.draw(30) if self.draw(2) else 0)
        size = (packets - 1) * MTU + (MTU if self.draw(3) else 1 + self.draw(MTU))
        if kind == 0 and self.is_reliable and self.answered < READ_BYTES // MTU:
            return self.read_response()
        if kind <= 2:
            first, middle, last, only = (
                Opcode.RC_SEND_FIRST,
                Opcode.RC_SEND_MIDDLE,
                Opcode.RC_SEND_LAST,
                Opcode.RC_SEND_ONLY,
            )
        else:
            first, middle, last, only = (
                Opcode.RC_WRITE_FIRST,
                Opcode.RC_WRITE_MIDDLE,
                Opcode.RC_WRITE_LAST,
                Opcode.RC_WRITE_ONLY,
            )
        mr = self.rig.end.mr
        at = READ_BYTES + self.draw(MEMORY_BYTES - READ_BYTES - size)
        reth = (Reth(va=mr.address + at, rkey=mr.rkey, length=size),) if kind > 2 else ()
        if kind == 5 and packets == 1:
            return self.many_small(only)
        if kind == 4:
            last, only = Opcode.RC_WRITE_LAST_IMM, Opcode.RC_WRITE_ONLY_IMM
        tail: tuple[Header, ...] = (ImmDt(imm=b"1234"),) if kind == 4 else ()
        pieces: list[Piece] = []
        for number in range(packets):
            is_first, is_last = number == 0, number == packets - 1
            opcode = (only if is_last else first) if is_first else (last if is_last else middle)
            headers = (reth if is_first else ()) + (tail if is_last else ())
            payload = self.rng.randbytes(min(MTU, size - number * MTU))
            pieces.append((opcode, headers, payload, is_last or self.draw(8) == 0))
        return self.encode(pieces)

    def many_small(self, only: int) -> list[bytes]:
        """Messages of one packet, all alike, as programs send many of."""
        mr, size = self.rig.end.mr, 1 + self.draw(64)
        is_write = bool(self.draw(2))
        pieces: list[Piece] = []
        for _ in range(2 + self.draw(20)):
            at = READ_BYTES + self.draw(MEMORY_BYTES - READ_BYTES - 64)
            headers = (Reth(va=mr.address + at, rkey=mr.rkey, length=size),) if is_write else ()
            opcode = Opcode.RC_WRITE_ONLY if is_write else Opcode.RC_SEND_ONLY
            pieces.append((opcode, headers, self.rng.randbytes(size), True))
        return self.encode(pieces)

    def encode(self, pieces: list[Piece]) -> list[bytes]:
        packets = []
        for opcode, headers, payload, ack in pieces:
            if not self.is_reliable:
                # Nobody answers; a sender that asks all the same is taken the long way.
                opcode, ack = opcode | 0x20, ack and self.draw(40) == 0
            packets.append(self.rig.packet(opcode, *headers, payload=payload, psn=self.psn, ack=ack))
            self.psn += 1
        return packets

    def read_response(self) -> list[bytes]:
        count = READ_BYTES // MTU
        stop = min(count, self.answered + 1 + self.draw(count))
        packets = []
        for number in range(self.answered, stop):
            opcode = Opcode.RC_READ_RESPONSE_MIDDLE
            if number in (0, count - 1):
                opcode = Opcode.RC_READ_RESPONSE_LAST if number else Opcode.RC_READ_RESPONSE_FIRST
            headers = () if opcode == Opcode.RC_READ_RESPONSE_MIDDLE else (Aeth(syndrome=ACK),)
            payload = self.rng.randbytes(MTU)
            packets.append(self.rig.packet(opcode, *headers, payload=payload, psn=FIRST_PSN + number, ack=False))
        self.answered = stop
        return packets

    def spoil(self, packets: list[bytes]) -> list[bytes]:
        """Apply the faults."""
        result: list[bytes] = []
        for packet in packets:
            draw = self.rng.random() / self.faults if self.faults else 1.0
            if draw >= 1:
                result.append(packet)
            elif draw < 0.3:
                continue
            elif draw < 0.6:
                result += [packet, packet]
            elif draw < 0.8 and result:
                result.insert(-1, packet)
            else:
                changed = bytearray(packet)
                changed[self.draw(12 if self.draw(2) else len(packet))] ^= 1 << self.draw(8)
                result.append(bytes(changed))
        return result

    def bursts(self) -> list[tuple[bytes, int]]:
        """A few messages as (bytes, segment size)."""
        packets = self.spoil([packet for _ in range(1 + self.draw(3)) for packet in self.message()])
        cut: list[list[bytearray]] = []
        for packet in packets:
            run = cut[-1] if cut else []
            if run and len(run) < 40 and len(run[-1]) == len(run[0]) and len(packet) <= len(run[0]) and self.draw(40):
                run.append(bytearray(packet))
            else:
                cut.append([bytearray(packet)])
        return [(self.seal(run), len(run[0])) for run in cut]

    def seal(self, run: list[bytearray]) -> bytes:
        """Good ICRCs but for one packet now and then."""
        for number, packet in enumerate(run):
            packet[-4:] = self.rig.flow.icrc(packet, number).to_bytes(4, "little")
            if self.faults and self.rng.random() < self.faults / 10:
                packet[-1] ^= 0x80
        return b"".join(run)


def outcome(rig: HandRig) -> dict[str, object]:
    """Everything that can be seen of a device."""
    end = rig.end
    events = []
    while (event := end.device.poll_async_event()) is not None:
        events.append(event.kind)
    sent = [(packet.bth.opcode, packet.bth.psn, packet.headers, packet.payload) for packet in rig.received()]
    completed = [
        (wc.wr_id, wc.status, wc.opcode, wc.byte_len, wc.flags, wc.imm_data, wc.is_solicited)
        for wc in end.cq.poll(1000)
    ]
    counters = end.device.counters.snapshot()
    return {
        "sent": sent, "completed": completed, "memory": bytes(end.memory), "counters": counters, "state": end.qp.state,
        "events": events,
    }  # fmt: skip


def compare(seed: int, faults: float, rounds: int, qp_type: QpType = QpType.RC) -> int:
    """Give the same bursts to a device with shortcuts and one without; returns how many were given."""
    rigs = [
        HandRig(shortcuts=shortcuts, timeout=0, memory_bytes=MEMORY_BYTES, qp_type=qp_type)
        for shortcuts in (True, False)
    ]
    stream = Bursts(rigs[0], seed, faults)
    receives = given = 0
    for rig in rigs:
        if qp_type is QpType.RC:
            rig.end.send(1, WrOpcode.RDMA_READ, 0, READ_BYTES)
        rig.received()
    assert outcome(rigs[0]) == outcome(rigs[1])
    for _ in range(rounds):
        for _ in range(stream.draw(8)):
            if receives < 100:
                receives += 1
                at, length = READ_BYTES + stream.draw(8192), 32 * MTU if stream.draw(4) else stream.draw(64)
                for rig in rigs:
                    rig.end.recv(1000 + receives, at, length)
        for content, size in stream.bursts():
            given += 1
            for rig in rigs:
                device = rig.end.device
                device.handle_burst(Burst(memoryview(content), size, PEER, device.address), rig.simulation.now)
                rig.end.host.wake()
            first, second = (outcome(rig) for rig in rigs)
            assert first == second
            receives -= len(first["completed"])  # type: ignore[arg-type]
        if rigs[0].end.qp.state is not QpState.RTS:
            break
        # What was refused or lost is sent again from where the receiver stands.
        stream.psn = rigs[0].end.qp.responder.expected_psn
    return given


@pytest.mark.slow
@pytest.mark.parametrize("faults", [0.0, 0.02, 0.2])
def test_the_same_bursts_have_the_same_outcome(faults: float) -> None:
    assert sum(compare(seed, faults, 12) for seed in range(40)) > 200


@pytest.mark.slow
@pytest.mark.parametrize("faults", [0.0, 0.02, 0.2])
def test_the_same_bursts_have_the_same_outcome_over_an_unreliable_connection(faults: float) -> None:
    assert sum(compare(seed, faults, 12, QpType.UC) for seed in range(40)) > 200


@pytest.mark.long
@pytest.mark.parametrize("faults", [0.0, 0.005, 0.02, 0.2])
def test_many_bursts_have_the_same_outcome(faults: float) -> None:
    assert sum(compare(seed, faults, 30) for seed in range(1000, 3000)) > 10_000


def run_of(rig: HandRig, opcode: int, count: int) -> None:
    """A burst of middle packets that follow what the device expects, PSNs behind the wrap."""
    first = rig.end.qp.responder.expected_psn
    packets = [
        bytearray(rig.packet(opcode, payload=b"x" * MTU, psn=first + number, ack=False)) for number in range(count)
    ]
    for number, packet in enumerate(packets):
        packet[-4:] = rig.flow.icrc(packet, number).to_bytes(4, "little")
    device = rig.end.device
    device.handle_burst(Burst(memoryview(b"".join(packets)), len(packets[0]), PEER, device.address), 0)
    rig.end.host.wake()


def past_the_wrap(shortcuts: bool) -> HandRig:
    """A rig that has taken a WRITE, whose region a later message must not reach."""
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    mr = rig.end.mr
    rig.request(Opcode.RC_WRITE_FIRST, Reth(va=mr.address, rkey=mr.rkey, length=9 * MTU), payload=bytes(MTU))
    for number in range(8):
        rig.request(Opcode.RC_WRITE_LAST if number == 7 else Opcode.RC_WRITE_MIDDLE, payload=bytes(MTU))
    rig.received()
    return rig


each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


@each_way
@pytest.mark.parametrize(
    ("length", "taken"), [(3 * MTU, 1), (4 * MTU, 2), (5 * MTU - 1, 3), (5 * MTU, 3), (5 * MTU + 1, 4)]
)
def test_a_run_past_the_end_of_a_write_is_refused_at_the_packet_that_is_too_much(
    length: int, taken: int, shortcuts: bool
) -> None:
    rig = past_the_wrap(shortcuts)
    mr = rig.end.mr
    rig.request(Opcode.RC_WRITE_FIRST, Reth(va=mr.address, rkey=mr.rkey, length=length), payload=bytes(MTU), ack=False)
    run_of(rig, Opcode.RC_WRITE_MIDDLE, 4)
    assert rig.answers() == ([] if taken == 4 else [(NAK | 1, 8 + taken)])
    assert rig.end.memory[MTU : (1 + taken) * MTU] == b"x" * taken * MTU
    assert rig.end.memory[(1 + taken) * MTU :].count(b"x") == 0


@each_way
def test_a_run_of_one_kind_inside_a_message_of_the_other_is_refused(shortcuts: bool) -> None:
    rig = past_the_wrap(shortcuts)
    rig.end.recv(1, 8 * MTU, 8 * MTU)
    rig.request(Opcode.RC_SEND_FIRST, payload=bytes(MTU), ack=False)
    run_of(rig, Opcode.RC_WRITE_MIDDLE, 4)
    assert rig.answers() == [(NAK | 1, 8)]
    rig = past_the_wrap(shortcuts)
    mr = rig.end.mr
    rig.request(Opcode.RC_WRITE_FIRST, Reth(va=mr.address, rkey=mr.rkey, length=9 * MTU), payload=bytes(MTU), ack=False)
    rig.end.recv(1, 8 * MTU, 8 * MTU)
    run_of(rig, Opcode.RC_SEND_MIDDLE, 4)
    assert rig.answers() == [(NAK | 1, 8)]
    assert b"x" not in rig.end.memory


@each_way
def test_a_run_of_a_message_that_did_not_begin_is_refused(shortcuts: bool) -> None:
    for opcode in (Opcode.RC_WRITE_MIDDLE, Opcode.RC_SEND_MIDDLE):
        rig = past_the_wrap(shortcuts)
        rig.end.recv(1, 0, 8 * MTU)
        run_of(rig, opcode, 4)
        assert rig.answers() == [(NAK | 1, 7)]
        assert b"x" not in rig.end.memory
