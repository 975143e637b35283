"""Work requests as programs post them, and the send queue entries that they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from stacks.rdma.enums import FlushPlacement, FlushSelectivity, SendFlags, WcStatus, WrOpcode
from stacks.rdma.opcodes import ATOMICS, LOCAL_OPERATIONS, REQUESTS
from stacks.runtime import LocalError
from wire.roce import Feth, Reth

if TYPE_CHECKING:
    from stacks.rdma.address_handle import AddressHandle
    from stacks.rdma.memory.fast_registration import FastMr
    from stacks.rdma.memory.windows import Mw, MwBind


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
    imm_data: four bytes, sent as they are. invalidate_rkey: for SEND_WITH_INV and LOCAL_INV. compare_add: the value
    compared (compare and swap) or added (fetch and add). swap: the value to store when the comparison holds.
    mw, bind: the window of a BIND_MW and what it is to grant; rkey is its next key, of which the low 8 bits count, and
    only for type 2. mr, access: the region of a REG_MR, which has been mapped, and its rights; rkey is its next key.
    inline_data: with SendFlags.INLINE, which giving it sets, what to send instead of what `sges` name.
    flush_placement, flush_selectivity, flush_length: of a FLUSH: bits of `FlushPlacement`, and whether it covers
    `flush_length` bytes from remote_address on or all of the peer's region. An ATOMIC_WRITE sends 8 bytes of `sges`.
    ah, remote_qpn, remote_qkey: where a datagram goes, 0xFFFFFF for the queue pairs of a group, and its Q_Key; one with
    bit 31 stands for the queue pair's own (IBTA 10.2.5). remote_srqn: the shared receive queue that XRC delivers to.
    """

    __slots__ = (
        "access", "ah", "bind", "compare_add", "flags", "flush_length", "flush_placement", "flush_selectivity",
        "imm_data", "inline_data", "invalidate_rkey", "mr", "mw", "opcode", "remote_address", "remote_qkey",
        "remote_qpn", "remote_srqn", "rkey", "sges", "swap", "wr_id",
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
        *,
        mw: Mw | None = None,
        bind: MwBind | None = None,
        mr: FastMr | None = None,
        access: int = 0,
        inline_data: bytes | None = None,
        flush_placement: int = 0,
        flush_selectivity: int = FlushSelectivity.RANGE,
        flush_length: int = 0,
        ah: AddressHandle | None = None,
        remote_qpn: int = 0,
        remote_qkey: int = 0,
        remote_srqn: int = 0,
    ) -> None:
        self.wr_id = wr_id
        self.opcode = opcode
        self.sges = sges
        self.flags = flags if inline_data is None else flags | SendFlags.INLINE
        self.remote_address = remote_address
        self.rkey = rkey
        self.imm_data = imm_data
        self.invalidate_rkey = invalidate_rkey
        self.compare_add = compare_add
        self.swap = swap
        self.mw = mw
        self.bind = bind
        self.mr = mr
        self.access = access
        self.inline_data = inline_data
        self.flush_placement = flush_placement
        self.flush_selectivity = flush_selectivity
        self.flush_length = flush_length
        self.ah = ah
        self.remote_qpn = remote_qpn
        self.remote_qkey = remote_qkey
        self.remote_srqn = remote_srqn


class InlineSge(Sge):
    """Bytes that were copied when a request was posted; no key reaches them, and none is asked for."""

    __slots__ = ("view",)

    def __init__(self, data: bytes) -> None:
        super().__init__(0, len(data), NO_KEY)
        self.view = memoryview(data)


class LocalWork(NamedTuple):
    """What a local operation was posted with; see `SendWr`."""

    invalidate_rkey: int
    rkey: int
    mw: Mw | None
    bind: MwBind | None
    mr: FastMr | None
    access: int


class SendWqe:
    """An entry of the send queue. PSNs are counted without wrapping; only packets carry 24 bits of them.

    length: bytes of payload. first_psn, last_psn: the PSNs it takes, those of the responses for a READ.
    header: RETH of a WRITE, for its first packet, or all extended headers of a FLUSH or ATOMIC WRITE.
    trailer: ImmDt or IETH, for the last packet of a SEND or WRITE.
    remote: remote address, R_Key, compare_add and swap, for READ and atomics.
    local: what a local operation is to do; it takes no PSN, and its last one is NEVER_PSN until it was executed.
    destination: host and queue pair number of a datagram.
    views: the local memory, once it was checked; empty for a READ, whose memory is looked up as data arrives.
    status: anything but SUCCESS once it is known to fail.
    """

    __slots__ = (
        "destination", "first_psn", "flags", "header", "last_psn", "length", "local", "opcode", "remote", "sges",
        "status", "trailer", "views", "wr_id",
    )  # fmt: skip
    destination: tuple[str, int]

    def __init__(self, wr: SendWr, length: int, first_psn: int, last_psn: int, flags: int) -> None:
        self.wr_id = wr.wr_id
        self.opcode = opcode = wr.opcode
        self.sges = wr.sges
        self.flags = flags
        self.length = length
        self.first_psn = first_psn
        self.last_psn = last_psn
        self.views: Sequence[memoryview] | None = None
        self.status = WcStatus.SUCCESS
        self.header = self.trailer = b""
        if opcode is WrOpcode.RDMA_WRITE:
            # The three fields of the RETH, in one integer: va 64, rkey 32, length 32 bits.
            self.header = (wr.remote_address << 64 | wr.rkey << 32 | length).to_bytes(16, "big")
        elif opcode is not WrOpcode.SEND:
            self._take_remote(wr)

    def _take_remote(self, wr: SendWr) -> None:
        opcode = self.opcode
        if opcode is WrOpcode.SEND_WITH_INV:
            self.trailer = wr.invalidate_rkey.to_bytes(4, "big")
            return
        if opcode in _WITH_IMM:
            self.trailer = wr.imm_data
        if opcode in _WRITES:
            self.header = (wr.remote_address << 64 | wr.rkey << 32 | self.length).to_bytes(16, "big")
        elif opcode in LOCAL_OPERATIONS:
            self.local = LocalWork(wr.invalidate_rkey, wr.rkey, wr.mw, wr.bind, wr.mr, wr.access)
        elif opcode is WrOpcode.ATOMIC_WRITE:
            self.header = Reth(va=wr.remote_address, rkey=wr.rkey, length=self.length).encode()
        elif opcode is WrOpcode.FLUSH:
            feth = Feth(placement=wr.flush_placement, selectivity=wr.flush_selectivity)
            self.header = feth.encode() + Reth(va=wr.remote_address, rkey=wr.rkey, length=wr.flush_length).encode()
        else:
            self.remote = (wr.remote_address, wr.rkey, wr.compare_add, wr.swap)


def check_wr(wr: SendWr, length: int, max_rd_atomic: int) -> None:
    """Raise LocalError for a request that no packet can say, or that was not negotiated.

    length: of its local memory, in bytes. max_rd_atomic: READs and atomics that may be out at once.
    """
    if not 0 <= length <= MAX_MESSAGE_BYTES:
        raise LocalError(f"a message of {length} bytes: 0 to 2^31 is what there is")
    if wr.rkey >> 32 or wr.invalidate_rkey >> 32 or (wr.remote_address | wr.compare_add | wr.swap) >> 64:
        raise LocalError(
            "remote_address, compare_add and swap take 64 bits, rkey and invalidate_rkey 32, none negative"
        )
    if wr.remote_address + length > ADDRESS_END:
        raise LocalError(f"{length} bytes at remote_address {wr.remote_address:#x} end beyond 64 bits")
    opcode = wr.opcode
    if opcode in LOCAL_OPERATIONS:
        _check_local(wr)
        return
    if opcode not in REQUESTS and not max_rd_atomic:
        raise LocalError("READs and atomics were not negotiated: max_qp_rd_atomic is 0")
    if opcode in ATOMICS and length != ATOMIC_BYTES:
        raise LocalError(f"an atomic takes {ATOMIC_BYTES} bytes of local memory for the old value, not {length}")
    if opcode is WrOpcode.ATOMIC_WRITE and length != ATOMIC_BYTES:
        raise LocalError(f"an ATOMIC WRITE writes {ATOMIC_BYTES} bytes, not {length}")
    if opcode is WrOpcode.FLUSH:
        _check_flush(wr)
    if opcode in _WITH_IMM and len(wr.imm_data) != IMM_BYTES:
        raise LocalError(f"immediate data are {IMM_BYTES} bytes, not {len(wr.imm_data)}")


def _check_flush(wr: SendWr) -> None:
    if wr.sges:
        raise LocalError("FLUSH takes no SGEs")
    if not wr.flush_placement or wr.flush_placement & ~(FlushPlacement.GLOBAL | FlushPlacement.PERSISTENT):
        raise LocalError(f"flush_placement is made of GLOBAL 1 and PERSISTENT 2, and not {wr.flush_placement}")
    if wr.flush_selectivity not in (FlushSelectivity.RANGE, FlushSelectivity.MEMORY_REGION):
        raise LocalError(f"flush_selectivity is RANGE 0 or MEMORY_REGION 1, not {wr.flush_selectivity}")
    if not 0 <= wr.flush_length <= MAX_MESSAGE_BYTES:
        raise LocalError(f"a FLUSH covers 0 to 2^31 bytes, not {wr.flush_length}")


def _check_local(wr: SendWr) -> None:
    if wr.sges:
        raise LocalError(f"{wr.opcode.name} takes no SGEs")
    if wr.opcode is WrOpcode.BIND_MW and (wr.mw is None or wr.bind is None):
        raise LocalError("BIND_MW needs a window (mw) and what it is to grant (bind)")
    if wr.bind is not None and (wr.bind.length < 0 or not 0 <= wr.bind.address <= ADDRESS_END - wr.bind.length):
        raise LocalError(f"{wr.bind.length} bytes at address {wr.bind.address:#x} do not lie in 64 bits")
    if wr.opcode is WrOpcode.REG_MR and wr.mr is None:
        raise LocalError("REG_MR needs a fast-registered region (mr)")


NO_KEY = -1
"""What no region has for a key."""
NEVER_PSN = 1 << 64
"""Past every PSN that there will be."""
ADDRESS_END = 1 << 64
MAX_KEY = 0xFFFFFFFF
ATOMIC_BYTES = 8
IMM_BYTES = 4
MAX_MESSAGE_BYTES = 1 << 31
_WITH_IMM = frozenset({WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM})
_WRITES = frozenset({WrOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM})
