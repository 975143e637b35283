"""Work requests as programs post them, and the send queue entries that they become."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.rdma.enums import SendFlags, WcStatus, WrOpcode
from wire.roce import Ieth


class Sge:
    """A piece of registered local memory: an address in the device's space, a length in bytes, and its L_Key."""

    __slots__ = ("address", "length", "lkey")

    def __init__(self, address: int, length: int, lkey: int) -> None:
        self.address = address
        self.length = length
        self.lkey = lkey


class RecvWr:
    """A receive work request. It is kept until its completion and must not be changed before.

    wr_id: comes back in the completion. sges: where a message is scattered to, in order.
    """

    __slots__ = ("sges", "wr_id")

    def __init__(self, wr_id: int, sges: Sequence[Sge] = ()) -> None:
        self.wr_id = wr_id
        self.sges = sges


class SendWr:
    """A send work request; it may be changed and posted again as soon as `Qp.post_send` returned.

    wr_id: comes back in the completion. opcode: what to do. sges: local memory, read for SEND and WRITE, written for
    READ and atomics. flags: bits of `SendFlags`. remote_address, rkey: the peer's memory, for WRITE, READ and atomics.
    imm_data: four bytes, sent as they are. invalidate_rkey: for SEND_WITH_INV. compare_add: the value compared
    (compare and swap) or added (fetch and add). swap: the value to store when the comparison holds.
    """

    __slots__ = (
        "compare_add", "flags", "imm_data", "invalidate_rkey", "opcode", "remote_address", "rkey", "sges", "swap", "wr_id",
    )  # fmt: skip

    def __init__(
        self,
        wr_id: int,
        opcode: WrOpcode,
        sges: Sequence[Sge] = (),
        flags: int = SendFlags.SIGNALED,
        remote_address: int = 0,
        rkey: int = 0,
        imm_data: bytes = b"",
        invalidate_rkey: int = 0,
        compare_add: int = 0,
        swap: int = 0,
    ) -> None:
        self.wr_id = wr_id
        self.opcode = opcode
        self.sges = sges
        self.flags = flags
        self.remote_address = remote_address
        self.rkey = rkey
        self.imm_data = imm_data
        self.invalidate_rkey = invalidate_rkey
        self.compare_add = compare_add
        self.swap = swap


class SendWqe:
    """An entry of the send queue. PSNs are counted without wrapping; only packets carry 24 bits of them.

    length: bytes of payload. first_psn, last_psn: the PSNs it takes, those of the responses for a READ.
    views: the local memory, once it was checked; empty for a READ, whose memory is looked up as data arrives.
    trailer: ImmDt or IETH, the extended header of the last packet.
    status: anything but SUCCESS once it is known to fail.
    """

    __slots__ = (
        "compare_add", "first_psn", "flags", "last_psn", "length", "opcode", "remote_address", "rkey", "sges", "status",
        "swap", "trailer", "views", "wr_id",
    )  # fmt: skip

    def __init__(self, wr: SendWr, length: int, first_psn: int, last_psn: int, flags: int) -> None:
        self.wr_id = wr.wr_id
        self.opcode = wr.opcode
        self.sges = wr.sges
        self.flags = flags
        self.remote_address = wr.remote_address
        self.rkey = wr.rkey
        self.compare_add = wr.compare_add
        self.swap = wr.swap
        self.length = length
        self.first_psn = first_psn
        self.last_psn = last_psn
        self.views: Sequence[memoryview] | None = None
        self.trailer = _trailer(wr) if wr.opcode in _WITH_TRAILER else b""
        self.status = WcStatus.SUCCESS


def _trailer(wr: SendWr) -> bytes:
    return Ieth(rkey=wr.invalidate_rkey).encode() if wr.opcode is WrOpcode.SEND_WITH_INV else wr.imm_data


_WITH_TRAILER = frozenset({WrOpcode.SEND_WITH_IMM, WrOpcode.SEND_WITH_INV, WrOpcode.RDMA_WRITE_WITH_IMM})
