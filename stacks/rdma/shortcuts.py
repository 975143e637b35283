"""Whole-burst shortcuts in front of the state machine of one queue pair.

They take runs of packets that are checked, of equal size, and for one queue pair. Everything they do can be done by
`Qp.handle_packet` one packet at a time, with the same outcome; `DeviceConfig.shortcuts` switches them off, and the
scenario tests hold both ways equal. What they gain is one comparison of PSNs and opcodes and one look-up of the memory
for a run of middle packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.rdma.enums import SYNDROME_ACK, QpState
from stacks.rdma.opcodes import WRITE, WRITE_LAST, WRITE_MIDDLE
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


def handle_run(qp: Qp, words: tuple[int, ...], view: memoryview, *, size: int, count: int, now: int) -> int:
    """Take packets from the front of a run; returns how many. `words`: three words of BTH for each packet."""
    if qp.state not in _LISTENING:
        return 0
    word0 = words[0]
    opcode = word0 >> 24
    if word0 & _PLAIN_MASK != _PLAIN:
        return 0
    if opcode == WRITE_MIDDLE and count > 1 and _write_middles(qp, words, view, size=size, count=count):
        return count
    return _one_by_one(qp, words, view, size=size, count=count, now=now)


def _one_by_one(qp: Qp, words: tuple[int, ...], view: memoryview, *, size: int, count: int, now: int) -> int:
    """The general way, without decoding headers again."""
    end = size - ICRC_BYTES
    handle = qp.handle_packet
    for index in range(count):
        word0 = words[3 * index]
        if word0 & _PLAIN_MASK != _PLAIN or qp.state not in _LISTENING:
            return index
        start = index * size
        pad = word0 >> 20 & 3
        if end - pad < BTH_BYTES or size % 4:
            return index
        handle(word0, words[3 * index + 2], view[start + BTH_BYTES : start + end - pad], now)
    return count


def _write_middles(qp: Qp, words: tuple[int, ...], view: memoryview, *, size: int, count: int) -> bool:
    """A run in the middle of an RDMA WRITE, perhaps with its last packet, all of them expected."""
    responder = qp.responder
    region, payload_bytes = responder.write_region, size - BTH_BYTES - ICRC_BYTES
    if responder.kind != WRITE or region is None or region.direct is None or payload_bytes != responder.path_mtu:
        return False
    last0, last2 = words[-3], words[-1]
    ends = last0 >> 24 == WRITE_LAST
    if words[0:-3:3] != (words[0],) * (count - 1) or not (ends or last0 == words[0]) or last0 & _PAD_OR_ODD != _PLAIN:
        return False
    first_psn = responder.expected_psn & 0xFFFFFF
    last_psn = first_psn + count - 1
    if last_psn > 0xFFFFFF or last2 & 0xFFFFFF != last_psn or words[2:-1:3] != tuple(range(first_psn, last_psn)):
        return False
    total = count * payload_bytes
    rest = responder.write_length - responder.offset
    if total != rest if ends else total >= rest:
        return False
    memory = region.direct
    target = responder.write_address + responder.offset - region.address
    for source in range(BTH_BYTES, count * size, size):
        memory[target : target + payload_bytes] = view[source : source + payload_bytes]
        target += payload_bytes
    responder.expected_psn += count
    responder.offset += total
    responder.is_gap_reported = False
    if ends:
        responder.kind = 0
        responder.msn += 1
    if last2 >> 31:
        responder.ack_syndrome = SYNDROME_ACK
        qp.ring()
    return True


_LISTENING = frozenset({QpState.RTR, QpState.RTS, QpState.SQD})
_PLAIN = 0x0000FFFF
_PLAIN_MASK = 0x000FFFFF
"""Transport version 0 and the default P_Key; everything else goes the long way."""
_PAD_OR_ODD = 0x003FFFFF
