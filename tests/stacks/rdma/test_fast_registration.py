"""Fast registration: REG_MR, what it makes reachable, and LOCAL_INV (IBTA 10.6.4, 10.6.5)."""

from __future__ import annotations

import pytest

from stacks.rdma import Access, FastMr, FastMrState, MwBind, MwType, QpState, SendWr, Sge, WrOpcode
from stacks.rdma.memory import FAST_MR_TABLE, FastMrEvent
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, Rig
from wire.roce import Ieth, Opcode, Reth

each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])

STATES = """\
             FREE     VALID    INVALID
REGISTER     VALID    drop     drop
INVALIDATE   ignore   FREE     drop
DEREGISTER   INVALID  INVALID  INVALID
"""


def test_the_states_are_those_that_were_reviewed() -> None:
    rendered = FAST_MR_TABLE.render()
    assert [line.split() for line in rendered.splitlines()] == [line.split() for line in STATES.splitlines()]
    assert len(list(FastMrEvent)) == 3


class Fast:
    """A hand rig with one fast-registered region."""

    def __init__(self, *, shortcuts: bool = True, max_sges: int = 4) -> None:
        self.rig = HandRig(shortcuts=shortcuts, timeout=0)
        self.fast: FastMr = self.rig.end.pd.alloc_fast_mr(max_sges)

    def post(self, wr: SendWr) -> list[tuple[int, str]]:
        """Post and let it complete."""
        self.rig.end.qp.post_send(wr)
        self.rig.end.host.wake()
        self.rig.wait(1)
        return self.rig.completed()

    def register(self, access: int = FULL_ACCESS, step: int = 1) -> list[tuple[int, str]]:
        """REG_MR under the next key."""
        fast = self.fast
        key = fast.rkey & ~0xFF | fast.rkey + step & 0xFF
        return self.post(SendWr(1, WrOpcode.REG_MR, mr=fast, rkey=key, access=access))

    def invalidate(self) -> list[tuple[int, str]]:
        """LOCAL_INV of the current key."""
        return self.post(SendWr(2, WrOpcode.LOCAL_INV, invalidate_rkey=self.fast.rkey))

    def write(self, address: int, data: bytes = b"abcd", rkey: int | None = None) -> list[tuple[int, int]]:
        """What the device answers to a WRITE under the region's key."""
        header = Reth(va=address, rkey=self.fast.rkey if rkey is None else rkey, length=len(data))
        self.rig.request(Opcode.RC_WRITE_ONLY, header, payload=data)
        return self.rig.answers()


@each_way
def test_a_registered_region_reaches_its_pieces_end_to_end(shortcuts: bool) -> None:
    one = Fast(shortcuts=shortcuts)
    end = one.rig.end
    one.fast.map_sges([end.sge(1000, 3), end.sge(0, 2), end.sge(500, 100)], iova=0x10_0000)
    assert one.register() == [(1, "SUCCESS")]
    assert one.write(0x10_0001, b"abcdef") == [(ACK, FIRST_PSN)]
    assert bytes(end.memory[1001:1003] + end.memory[0:2] + end.memory[500:502]) == b"abcdef"
    one.rig.request(Opcode.RC_READ_REQUEST, Reth(va=0x10_0002, rkey=one.fast.rkey, length=4))
    assert [packet.payload for packet in one.rig.received()] == [b"bcde"]
    assert one.write(0x10_0000 + 104, b"ab") == [(NAK | 2, FIRST_PSN + 2 & 0xFFFFFF)]


@each_way
def test_one_piece_is_as_good_as_an_ordinary_region(shortcuts: bool) -> None:
    rig = Rig(shortcuts=shortcuts)
    left, right = rig.ends
    left.memory[:100_000] = bytes(range(250)) * 400
    key = right.lend_key(4096, 200_000)
    for number in range(20):
        at = right.mr.address + 4096 + number * 5_000
        left.send(number, WrOpcode.RDMA_WRITE, 0, 5_000, remote_address=at, rkey=key)
    left.send(20, WrOpcode.RDMA_READ, 200_000, 100_000, remote_address=right.mr.address + 4096, rkey=key)
    rig.run()
    assert {wc.status.name for wc in left.completions} == {"SUCCESS"}
    assert left.memory[200_000:300_000] == bytes(left.memory[:5_000]) * 20


@each_way
def test_registering_and_using_pipelines_in_one_queue(shortcuts: bool) -> None:
    """A region is registered, its key told, used by the peer, and freed, over and over."""
    rig = Rig(shortcuts=shortcuts)
    left, right = rig.ends
    fast = left.pd.alloc_fast_mr(1)
    for number in range(1, 20):
        fast.map_sges([left.sge(number * 100, 100)])
        key = fast.rkey & ~0xFF | number
        left.qp.post_send(SendWr(number, WrOpcode.REG_MR, flags=0, mr=fast, rkey=key, access=FULL_ACCESS))
        left.qp.post_send(SendWr(number, WrOpcode.SEND, [Sge(fast.address, 4, key)]))
        right.recv(number, 0, 100)
        left.host.wake()
        rig.run()
        right.send(number, WrOpcode.SEND_WITH_INV, 0, 4, invalidate_rkey=key)
        left.recv(number, 0, 100)
        rig.run()
        assert fast.state is FastMrState.FREE
    assert {wc.status.name for wc in left.completions + right.completions} == {"SUCCESS"}


def test_local_invalidate_frees_it_for_another_mapping() -> None:
    one = Fast()
    one.fast.map_sges([one.rig.end.sge(0, 64)])
    one.register()
    old, address = one.fast.rkey, one.fast.address
    assert one.fast.state is FastMrState.VALID
    with pytest.raises(LocalError, match="mapped while it is free, not valid"):
        one.fast.map_sges([one.rig.end.sge(0, 64)])
    assert one.invalidate() == [(2, "SUCCESS")]
    assert one.fast.state is FastMrState.FREE
    # Linux rxe lets it be invalidated again.
    assert one.invalidate() == [(2, "SUCCESS")]
    one.fast.map_sges([one.rig.end.sge(64, 64)])
    assert one.register() == [(1, "SUCCESS")]
    assert one.write(address, rkey=old) == [(NAK | 2, FIRST_PSN)]


def test_a_peer_frees_it_with_its_send() -> None:
    one = Fast()
    one.fast.map_sges([one.rig.end.sge(0, 64)])
    one.register()
    one.rig.end.recv(5)
    one.rig.request(Opcode.RC_SEND_ONLY_INV, Ieth(rkey=one.fast.rkey))
    assert one.rig.completed() == [(5, "SUCCESS")]
    assert one.fast.state is FastMrState.FREE
    assert one.fast.region is None


REFUSED = ("valid", "deregistered", "another domain", "another index", "not mapped", "rights", "piece gone", "nonsense")


@pytest.mark.parametrize("case", REFUSED)
def test_a_registration_that_must_not_be_ends_the_queue_pair(case: str) -> None:
    """As rxe_reg_fast_mr checks it: LOC_QP_OP_ERR."""
    one = Fast()
    end = one.rig.end
    source = end.pd.reg_mr(bytearray(64), 0 if case == "rights" else Access.LOCAL_WRITE)
    access = 1 << 30 if case == "nonsense" else FULL_ACCESS
    if case == "another domain":
        other = end.device.alloc_pd()
        one.fast = other.alloc_fast_mr(1)
        one.fast.map_sges([other.reg_mr(bytearray(8)).sge()])
    elif case != "not mapped":
        one.fast.map_sges([source.sge()])
    if case == "valid":
        one.register()
    elif case == "deregistered":
        one.fast.dereg()
        one.fast.dereg()
    elif case == "piece gone":
        source.dereg()
    if case == "another index":
        wrong = SendWr(1, WrOpcode.REG_MR, mr=one.fast, rkey=one.fast.rkey ^ 0x100, access=access)
        assert one.post(wrong) == [(1, "LOC_QP_OP_ERR")]
    else:
        assert one.register(access) == [(1, "LOC_QP_OP_ERR")]
    assert end.qp.state is QpState.ERR


def test_a_region_under_a_fast_registered_one_takes_it_along() -> None:
    one = Fast()
    mr = one.rig.end.pd.reg_mr(bytearray(64), FULL_ACCESS)
    one.fast.map_sges([mr.sge(), one.rig.end.sge(0, 8)])
    one.register()
    header = Reth(va=one.fast.address, rkey=one.fast.rkey, length=4)
    mr.dereg()
    one.rig.request(Opcode.RC_READ_REQUEST, header)
    assert one.rig.answers() == [(NAK | 2, FIRST_PSN)]


@each_way
def test_a_write_in_progress_ends_when_its_region_is_freed(shortcuts: bool) -> None:
    one = Fast(shortcuts=shortcuts)
    one.fast.map_sges([one.rig.end.sge(0, 4 * MTU)])
    one.register()
    header = Reth(va=one.fast.address, rkey=one.fast.rkey, length=3 * MTU)
    one.rig.request(Opcode.RC_WRITE_FIRST, header, payload=b"a" * MTU, ack=False)
    one.invalidate()
    one.fast.map_sges([one.rig.end.sge(0, 4 * MTU)])
    one.register(step=0)
    one.rig.request(Opcode.RC_WRITE_MIDDLE, payload=b"b" * MTU)
    assert one.rig.answers() == [(NAK | 2, FIRST_PSN + 1)]
    assert one.rig.end.memory[MTU : 2 * MTU] == bytes(MTU)


def test_windows_bound_to_it_keep_it_from_being_freed() -> None:
    one = Fast()
    one.fast.map_sges([one.rig.end.sge(0, 64)])
    one.register(FULL_ACCESS | Access.MW_BIND)
    mw = one.rig.end.pd.alloc_mw(MwType.TYPE_1)
    assert mw.bind(MwBind(one.fast, one.fast.address + 8, 8, Access.REMOTE_READ), 0, one.rig.end.qp)
    with pytest.raises(LocalError, match="windows bound"):
        one.fast.dereg()
    assert one.invalidate() == [(2, "LOC_QP_OP_ERR")]
    mw.dealloc()
    one.fast.dereg()
    assert one.rig.end.device.memory.regions.keys() == {one.rig.end.mr.lkey}


def test_mapping_takes_registered_pieces_of_the_domain_only() -> None:
    one = Fast(max_sges=2)
    end = one.rig.end
    other = end.device.alloc_pd().reg_mr(bytearray(8))
    piece = end.sge(0, 8)
    for sges, what in (
        ([], "takes 1 to 2"),
        ([piece] * 3, "takes 1 to 2"),
        ([other.sge()], "no region of this protection domain"),
        ([Sge(end.mr.address, 8, 1)], "no region of this protection domain"),
        ([Sge(end.mr.address - 1, 8, end.mr.lkey)], "not inside"),
        ([Sge(end.mr.address, 0, end.mr.lkey)], "not inside"),
    ):
        with pytest.raises(LocalError, match=what):
            one.fast.map_sges(sges)
    with pytest.raises(LocalError, match="64 bits"):
        one.fast.map_sges([piece], iova=(1 << 64) - 4)
    with pytest.raises(LocalError, match="at least 1"):
        end.pd.alloc_fast_mr(0)
    one.fast.map_sges([piece])
    with pytest.raises(LocalError, match="not inside a region of 8"):
        one.fast.sge(4, 8)


def test_a_zero_based_registration_counts_from_0() -> None:
    one = Fast()
    one.fast.map_sges([one.rig.end.sge(100, 64)])
    one.register(FULL_ACCESS | Access.ZERO_BASED)
    assert one.write(3) == [(ACK, FIRST_PSN)]
    assert one.rig.end.memory[103:107] == b"abcd"


def test_a_peer_cannot_invalidate_what_is_registered_for_local_use_alone() -> None:
    """Such a region has no R_Key (IBTA 10.6.5, 9.9.3.2): the receive and the queue pair end, the region stays."""
    rig = HandRig()
    key = rig.end.lend_key(access=Access.LOCAL_WRITE)
    rig.end.recv(1, 64, 64)
    rig.request(Opcode.RC_SEND_ONLY_INV, Ieth(rkey=key), payload=b"data")
    assert rig.completed() == [(1, "REM_INV_REQ_ERR")]
    assert rig.end.device.memory.regions[key].is_valid
