"""Memory windows: binding, what they grant to whom, and taking it back (IBTA 10.6.7)."""

from __future__ import annotations

from typing import Literal

import pytest

from stacks.dma import ScatteredDma
from stacks.rdma import (
    Access,
    AsyncEventType,
    Device,
    DeviceConfig,
    MemoryConfig,
    Mr,
    Mw,
    MwBind,
    MwType,
    QpState,
    SendFlags,
    SendWr,
    WrOpcode,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, Rig
from wire.roce import Ieth, Opcode, Reth

BINDABLE = FULL_ACCESS | Access.MW_BIND
RIGHTS = Access.REMOTE_WRITE | Access.REMOTE_READ
TYPES = [MwType.TYPE_1, MwType.TYPE_2]
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
each_type = pytest.mark.parametrize("mw_type", TYPES, ids=lambda one: one.name)


class Bound:
    """A hand rig with a region that windows may be bound to, and one window."""

    def __init__(self, mw_type: MwType, *, shortcuts: bool = True, access: int = BINDABLE) -> None:
        self.rig = HandRig(shortcuts=shortcuts, timeout=0)
        self.memory = bytearray(4096)
        self.pd = self.rig.end.pd
        self.mr: Mr = self.pd.reg_mr(self.memory, access)
        self.mw: Mw = self.pd.alloc_mw(mw_type)

    def post(self, wr: SendWr) -> list[tuple[int, str]]:
        """Post and let it complete."""
        self.rig.end.qp.post_send(wr)
        self.rig.end.host.wake()
        self.rig.wait(1)
        return self.rig.completed()

    def bind(self, offset: int = 64, length: int = 1024, access: int = RIGHTS) -> list[tuple[int, str]]:
        """Bind the window to a piece of the region."""
        bind = MwBind(self.mr, self.mr.address + offset, length, access)
        return self.post(SendWr(1, WrOpcode.BIND_MW, mw=self.mw, bind=bind, rkey=self.mw.rkey + 1))

    def write(self, address: int, data: bytes = b"abcd", rkey: int | None = None) -> list[tuple[int, int]]:
        """What the device answers to a WRITE under the window's key."""
        header = Reth(va=address, rkey=self.mw.rkey if rkey is None else rkey, length=len(data))
        self.rig.request(Opcode.RC_WRITE_ONLY, header, payload=data)
        return self.rig.answers()


@each_way
@each_type
def test_a_bound_window_grants_its_part_of_a_region(mw_type: MwType, shortcuts: bool) -> None:
    bound = Bound(mw_type, shortcuts=shortcuts)
    before = bound.mw.rkey
    assert bound.bind() == [(1, "SUCCESS")]
    assert (bound.mw.rkey >> 8, bound.mw.rkey & 0xFF) == (before >> 8, before + 1 & 0xFF)
    assert bound.write(bound.mr.address + 64) == [(ACK, FIRST_PSN)]
    assert bound.memory[64:68] == b"abcd"


@each_type
@pytest.mark.parametrize("offset", [60, 1085])
def test_a_window_ends_where_it_was_bound(mw_type: MwType, offset: int) -> None:
    """IBTA 9.7.4.1.5: R_Key violation."""
    bound = Bound(mw_type)
    bound.bind()
    assert bound.write(bound.mr.address + offset) == [(NAK | 2, FIRST_PSN)]
    event = bound.rig.end.device.poll_async_event()
    assert event is not None
    assert event.kind is AsyncEventType.QP_ACCESS_ERR


@each_type
def test_a_window_grants_no_more_than_it_was_bound_for(mw_type: MwType) -> None:
    bound = Bound(mw_type)
    bound.bind(access=Access.REMOTE_READ)
    assert bound.write(bound.mr.address + 64) == [(NAK | 2, FIRST_PSN)]


@each_type
def test_the_key_of_a_window_is_not_valid_before_it_is_bound_nor_as_a_local_one(mw_type: MwType) -> None:
    bound = Bound(mw_type)
    assert bound.rig.end.device.memory.find(bound.mw.rkey, bound.rig.end.qp, bound.mr.address, 4, 0) is None
    bound.bind()
    assert bound.rig.end.device.memory.find(bound.mw.rkey, bound.rig.end.qp, bound.mr.address + 64, 4, 0) is None
    assert bound.rig.end.device.memory.find(bound.mw.rkey, bound.rig.end.qp, bound.mr.address + 64, 4, RIGHTS)


def test_a_zero_based_window_counts_from_its_own_start() -> None:
    bound = Bound(MwType.TYPE_2)
    assert bound.bind(access=RIGHTS | Access.ZERO_BASED) == [(1, "SUCCESS")]
    assert bound.write(4) == [(ACK, FIRST_PSN)]
    assert bound.memory[68:72] == b"abcd"
    bound.rig.request(Opcode.RC_READ_REQUEST, Reth(va=2, rkey=bound.mw.rkey, length=4))
    (packet,) = bound.rig.received()
    assert packet.payload == b"\0\0ab"


def test_a_zero_based_window_over_scattered_memory_reaches_the_same_bytes() -> None:
    dma = ScatteredDma()
    rig = HandRig(dma=dma, timeout=0)
    mr = rig.end.pd.reg_mr(bytearray(3 * 4096), BINDABLE)
    mw = rig.end.pd.alloc_mw(MwType.TYPE_2)
    assert mw.bind(MwBind(mr, mr.address + 4000, 4096, RIGHTS | Access.ZERO_BASED), 7, rig.end.qp)
    rig.request(Opcode.RC_WRITE_ONLY, Reth(va=94, rkey=mw.rkey, length=4), payload=b"abcd")
    assert rig.answers() == [(ACK, FIRST_PSN)]
    assert dma.read(mr.address + 4094, 4) == b"abcd"
    rig.request(Opcode.RC_READ_REQUEST, Reth(va=94, rkey=mw.rkey, length=4))
    assert [packet.payload for packet in rig.received()] == [b"abcd"]


# Refusals (IBTA 10.6.7.2, as rxe_check_bind_mw names them)

REFUSED: dict[str, tuple[MwType, dict[str, int], int]] = {
    "a zero-based window of type 1": (MwType.TYPE_1, {"access": RIGHTS | Access.ZERO_BASED}, BINDABLE),
    "a window of type 2 to nothing": (MwType.TYPE_2, {"length": 0}, BINDABLE),
    "a region without MW_BIND": (MwType.TYPE_1, {}, FULL_ACCESS),
    "a zero-based region": (MwType.TYPE_1, {}, BINDABLE | Access.ZERO_BASED),
    "writing into a region that is only read": (MwType.TYPE_2, {}, Access.REMOTE_READ | Access.MW_BIND),
    "before the region": (MwType.TYPE_2, {"offset": -1}, BINDABLE),
    "behind the region": (MwType.TYPE_2, {"offset": 4000}, BINDABLE),
    "a right that windows cannot grant": (MwType.TYPE_2, {"access": Access.LOCAL_WRITE}, BINDABLE),
    "FLUSH rights that the region has not": (MwType.TYPE_1, {"access": Access.FLUSH_GLOBAL}, BINDABLE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bind_that_must_not_be_ends_with_a_bind_error(case: str) -> None:
    mw_type, fields, access = REFUSED[case]
    bound = Bound(mw_type, access=access)
    before = bound.mw.rkey
    assert bound.bind(**fields) == [(1, "MW_BIND_ERR")]
    assert bound.rig.end.qp.state is QpState.ERR
    assert bound.mw.rkey == before
    assert bound.mw.window is None


def test_a_window_of_another_domain_or_over_a_region_of_another_is_not_bound() -> None:
    for is_window in (True, False):
        bound = Bound(MwType.TYPE_1)
        other = bound.rig.end.device.alloc_pd()
        if is_window:
            bound.mw = other.alloc_mw(MwType.TYPE_1)
        else:
            bound.mr = other.reg_mr(bytearray(4096), BINDABLE)
        assert bound.bind() == [(1, "MW_BIND_ERR")]


def test_a_window_that_was_given_up_or_whose_region_is_gone_is_not_bound() -> None:
    for is_window in (True, False):
        bound = Bound(MwType.TYPE_1)
        if is_window:
            bound.mw.dealloc()
            bound.mw.dealloc()
        else:
            bound.mr.dereg()
        assert bound.bind() == [(1, "MW_BIND_ERR")]


# Rebinding and taking back


def test_binding_type_1_again_moves_it_and_its_old_key_ends() -> None:
    bound = Bound(MwType.TYPE_1)
    bound.bind()
    old = bound.mw.rkey
    assert bound.bind(offset=2048) == [(1, "SUCCESS")]
    assert bound.write(bound.mr.address + 2048) == [(ACK, FIRST_PSN)]
    assert bound.write(bound.mr.address + 2048, rkey=old) == [(NAK | 2, FIRST_PSN + 1)]


def test_binding_type_1_to_nothing_takes_back_what_it_granted() -> None:
    bound = Bound(MwType.TYPE_1)
    bound.bind()
    old = bound.mw.rkey
    assert bound.bind(length=0) == [(1, "SUCCESS")]
    assert bound.mw.window is None
    bound.mr.dereg()
    assert bound.write(bound.mr.address + 64, rkey=old) == [(NAK | 2, FIRST_PSN)]


def test_a_bound_window_of_type_2_is_not_bound_again() -> None:
    bound = Bound(MwType.TYPE_2)
    bound.bind()
    assert bound.bind() == [(1, "MW_BIND_ERR")]


def test_type_2_is_invalidated_locally_and_bound_again_under_another_key() -> None:
    bound = Bound(MwType.TYPE_2)
    bound.bind()
    old = bound.mw.rkey
    assert bound.post(SendWr(2, WrOpcode.LOCAL_INV, invalidate_rkey=old)) == [(2, "SUCCESS")]
    assert bound.bind() == [(1, "SUCCESS")]
    assert bound.mw.rkey != old
    assert bound.write(bound.mr.address + 64, rkey=old) == [(NAK | 2, FIRST_PSN)]


def test_a_peer_invalidates_type_2_with_its_send() -> None:
    """IBTA 9.4.1.1.3."""
    bound = Bound(MwType.TYPE_2)
    bound.bind()
    bound.rig.end.recv(5)
    bound.rig.request(Opcode.RC_SEND_ONLY_INV, Ieth(rkey=bound.mw.rkey))
    assert bound.rig.completed() == [(5, "SUCCESS")]
    assert bound.mw.window is None
    assert bound.rig.answers() == [(ACK, FIRST_PSN)]
    assert bound.write(bound.mr.address + 64) == [(NAK | 2, FIRST_PSN + 1)]


@pytest.mark.parametrize("what", ["type 1", "unbound", "old key", "ordinary region", "nobody's", "another domain's"])
@pytest.mark.parametrize("is_local", [True, False], ids=["LOCAL_INV", "SEND with Invalidate"])
def test_a_key_that_may_not_be_invalidated_ends_the_queue_pair(what: str, is_local: bool) -> None:
    """IBTA 10.6.7.2.6; a class J fault for a peer (9.9.3.2), which rxe acknowledges."""
    bound = Bound(MwType.TYPE_1 if what == "type 1" else MwType.TYPE_2)
    if what != "unbound":
        bound.bind()
    other = bound.rig.end.device.alloc_pd().reg_mr(bytearray(8))
    key = {
        "old key": bound.mw.rkey ^ 1, "ordinary region": bound.rig.end.mr.rkey, "nobody's": 0x1234,
        "another domain's": other.rkey,
    }.get(what, bound.mw.rkey)  # fmt: skip
    if is_local:
        assert bound.post(SendWr(2, WrOpcode.LOCAL_INV, invalidate_rkey=key)) == [(2, "LOC_QP_OP_ERR")]
    else:
        bound.rig.end.recv(5)
        bound.rig.request(Opcode.RC_SEND_ONLY_INV, Ieth(rkey=key))
        assert bound.rig.completed() == [(5, "REM_INV_REQ_ERR")]
        assert bound.rig.answers() == [(ACK, FIRST_PSN)]
    assert bound.rig.end.qp.state is QpState.ERR
    assert bound.rig.end.mr.is_valid


@each_way
def test_a_write_in_progress_ends_when_its_window_is_invalidated(shortcuts: bool) -> None:
    bound = Bound(MwType.TYPE_2, shortcuts=shortcuts)
    bound.bind()
    header = Reth(va=bound.mr.address + 64, rkey=bound.mw.rkey, length=3 * MTU)
    bound.rig.request(Opcode.RC_WRITE_FIRST, header, payload=b"a" * MTU, ack=False)
    assert bound.post(SendWr(2, WrOpcode.LOCAL_INV, invalidate_rkey=bound.mw.rkey)) == [(2, "SUCCESS")]
    bound.rig.request(Opcode.RC_WRITE_MIDDLE, payload=b"b" * MTU)
    assert bound.rig.answers() == [(NAK | 2, FIRST_PSN + 1)]
    assert bound.memory[64 + MTU : 64 + 2 * MTU] == bytes(MTU)


def test_a_region_with_windows_is_neither_deregistered_nor_registered_again() -> None:
    """IBTA 11.2.8.4, 11.2.8.5."""
    bound = Bound(MwType.TYPE_1)
    bound.bind()
    for call in (bound.mr.dereg, bound.mr.rereg):
        with pytest.raises(LocalError, match="1 memory windows bound"):
            call()
    bound.mw.dealloc()
    bound.mr.rereg()
    bound.mr.dereg()
    assert bound.pd.objects == {bound.rig.end.mr}


# Whose it is


def pair_on_one_device(type_2: Literal["2A", "2B"] = "2B") -> tuple[Rig, Mw, Mr]:
    """A window of type 2, bound to the left queue pair."""
    rig = Rig(config=DeviceConfig(memory=MemoryConfig(type_2_windows=type_2)))
    left = rig.left
    mr = left.pd.reg_mr(bytearray(64), BINDABLE)
    mw = left.pd.alloc_mw(MwType.TYPE_2)
    assert mw.bind(MwBind(mr, mr.address, 64, RIGHTS), 1, left.qp)
    return rig, mw, mr


def test_type_2_is_for_the_queue_pair_that_it_is_bound_to_and_type_1_for_the_domain() -> None:
    rig, mw, mr = pair_on_one_device()
    left = rig.left
    other = left.pd.create_qp(send_cq=left.cq, recv_cq=left.cq)
    memory = left.device.memory
    assert memory.find(mw.rkey, left.qp, mr.address, 8, RIGHTS) is mw.window
    assert memory.find(mw.rkey, other, mr.address, 8, RIGHTS) is None
    assert not memory.invalidate(mw.rkey, other)
    wide = left.pd.alloc_mw(MwType.TYPE_1)
    assert wide.bind(MwBind(mr, mr.address, 64, RIGHTS), 0, left.qp)
    assert memory.find(wide.rkey, other, mr.address, 8, RIGHTS) is wide.window
    stranger = left.device.alloc_pd().create_qp(send_cq=left.cq, recv_cq=left.cq)
    assert memory.find(wide.rkey, stranger, mr.address, 8, RIGHTS) is None


def test_a_queue_pair_with_windows_of_type_2a_is_not_destroyed_but_one_with_2b_is() -> None:
    rig, mw, _ = pair_on_one_device("2A")
    with pytest.raises(LocalError, match="type 2A are bound"):
        rig.left.qp.destroy()
    mw.dealloc()
    rig.left.qp.destroy()
    rig, mw, _ = pair_on_one_device("2B")
    rig.left.qp.destroy()
    assert mw.window is not None


# In the send queue


@each_way
def test_local_operations_take_no_psn_and_complete_in_order_with_the_rest(shortcuts: bool) -> None:
    bound = Bound(MwType.TYPE_2, shortcuts=shortcuts)
    rig = bound.rig
    bind = MwBind(bound.mr, bound.mr.address, 64, RIGHTS)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.end.qp.post_send(SendWr(2, WrOpcode.BIND_MW, mw=bound.mw, bind=bind, rkey=1))
    rig.end.send(3, WrOpcode.SEND, 0, 2 * MTU)
    rig.end.qp.post_send(SendWr(4, WrOpcode.LOCAL_INV, invalidate_rkey=bound.mw.rkey & ~0xFF | 1))
    rig.end.send(5, WrOpcode.SEND, 0, 4)
    packets = rig.received()
    assert [packet.bth.psn - FIRST_PSN & 0xFFFFFF for packet in packets] == [0, 1, 2, 3]
    assert rig.completed() == []
    rig.acknowledge(FIRST_PSN)
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]
    rig.acknowledge(FIRST_PSN + 1, NAK)
    assert [packet.bth.psn - FIRST_PSN & 0xFFFFFF for packet in rig.received()] == [1, 2, 3]
    rig.acknowledge(1)
    assert rig.completed() == [(3, "SUCCESS"), (4, "SUCCESS"), (5, "SUCCESS")]


@each_way
def test_a_local_operation_that_fails_waits_for_what_was_posted_before_it(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.end.qp.post_send(SendWr(2, WrOpcode.LOCAL_INV, flags=0, invalidate_rkey=5))
    rig.end.send(3, WrOpcode.SEND, 0, 4)
    assert len(rig.received()) == 1
    assert rig.completed() == []
    rig.acknowledge(FIRST_PSN)
    assert rig.completed() == [(1, "SUCCESS"), (2, "LOC_QP_OP_ERR"), (3, "WR_FLUSH_ERR")]


@each_way
def test_a_fence_makes_a_local_operation_wait_for_all_before_it(shortcuts: bool) -> None:
    """IBTA 10.8.3.3."""
    bound = Bound(MwType.TYPE_2, shortcuts=shortcuts)
    rig = bound.rig
    bound.bind()
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    flags = SendFlags.FENCE | SendFlags.SIGNALED
    rig.end.qp.post_send(SendWr(2, WrOpcode.LOCAL_INV, flags=flags, invalidate_rkey=bound.mw.rkey))
    rig.end.send(3, WrOpcode.SEND, 0, 4)
    assert len(rig.received()) == 1
    assert bound.mw.window is not None
    rig.acknowledge(FIRST_PSN)
    assert len(rig.received()) == 1
    assert bound.mw.window is None
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


def test_local_operations_that_wait_are_flushed_and_forgotten_as_others_are() -> None:
    rig = HandRig(timeout=0)
    mw = rig.end.pd.alloc_mw(MwType.TYPE_1)
    mr = rig.end.mr
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    wr = SendWr(2, WrOpcode.BIND_MW, flags=SendFlags.FENCE, mw=mw, bind=MwBind(mr, mr.address, 8, RIGHTS))
    rig.end.qp.post_send(wr)
    rig.received()
    rig.acknowledge(FIRST_PSN, NAK | 1)
    assert rig.completed() == [(1, "REM_INV_REQ_ERR"), (2, "WR_FLUSH_ERR")]
    rig.end.qp.post_send(wr)
    assert rig.completed() == [(2, "WR_FLUSH_ERR")]


MISUSES = {
    "BIND_MW needs a window": {"opcode": WrOpcode.BIND_MW},
    "REG_MR needs a fast-registered region": {"opcode": WrOpcode.REG_MR},
    "takes no SGEs": {"opcode": WrOpcode.LOCAL_INV, "sges": [object()]},
}


@pytest.mark.parametrize("what", MISUSES)
def test_a_local_operation_without_what_it_needs_is_a_local_error(what: str) -> None:
    rig = HandRig()
    fields: dict[str, object] = dict(MISUSES[what])
    if "sges" in fields:
        fields["sges"] = [rig.end.sge(0, 4)]
    with pytest.raises(LocalError, match=what):
        rig.end.qp.post_send(SendWr(1, **fields))  # type: ignore[arg-type]


def test_a_bind_to_a_range_beyond_64_bits_is_a_local_error() -> None:
    bound = Bound(MwType.TYPE_1)
    bind = MwBind(bound.mr, (1 << 64) - 4, 8, RIGHTS)
    with pytest.raises(LocalError, match="do not lie in 64 bits"):
        bound.rig.end.qp.post_send(SendWr(1, WrOpcode.BIND_MW, mw=bound.mw, bind=bind))


def test_windows_have_keys_of_their_own() -> None:
    pd = Device("192.0.2.1").alloc_pd()
    keys = [pd.alloc_mw(MwType.TYPE_1).rkey >> 8 for _ in range(50)] + [pd.reg_mr(bytearray(8)).rkey >> 8]
    assert len(set(keys)) == 51
