"""What a program may not post: it is told at once, and the device goes on."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.rdma import WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import MTU, HandRig
from tests.stacks.rdma.rig import Rig

READ, WRITE, ADD = WrOpcode.RDMA_READ, WrOpcode.RDMA_WRITE, WrOpcode.ATOMIC_FETCH_AND_ADD
WIDE = [
    (READ, 3 * MTU, {"remote_address": (1 << 64) - 2 * MTU}),
    (WRITE, 2, {"remote_address": (1 << 64) - 1}),
    (ADD, 8, {"remote_address": (1 << 64) - 7}),
    (READ, 8, {"remote_address": -1}),
    (READ, 8, {"rkey": 1 << 32}),
    (WRITE, 8, {"rkey": 1 << 32}),
    (WRITE, 8, {"rkey": -1}),
    (ADD, 8, {"compare_add": 1 << 64}),
    (WrOpcode.ATOMIC_CMP_AND_SWP, 8, {"swap": -1}),
    (WrOpcode.SEND_WITH_INV, 8, {"invalidate_rkey": 1 << 32}),
]


@pytest.mark.parametrize(("opcode", "length", "fields"), WIDE)
def test_what_no_packet_can_say_is_refused_when_it_is_posted(
    opcode: WrOpcode, length: int, fields: dict[str, Any]
) -> None:
    rig = HandRig()
    with pytest.raises(LocalError, match="64 bits"):
        rig.end.send(1, opcode, 0, length, **fields)
    assert rig.received() == []
    assert rig.end.qp.requester.queued == 0


def test_the_last_bytes_of_the_address_space_can_be_asked_for() -> None:
    rig = HandRig()
    rig.end.send(1, READ, 0, 3 * MTU, remote_address=(1 << 64) - 3 * MTU, rkey=1)
    assert len(rig.received()) == 1


def test_a_negative_length_is_refused() -> None:
    rig = HandRig()
    with pytest.raises(LocalError, match="a message of -1 bytes"):
        rig.end.send(1, WrOpcode.SEND, 0, -1)


@pytest.mark.parametrize("opcode", [READ, ADD])
def test_without_rd_atomic_negotiated_reads_and_atomics_are_refused_when_they_are_posted(opcode: WrOpcode) -> None:
    rig = Rig(max_qp_rd_atomic=0)
    with pytest.raises(LocalError, match="max_qp_rd_atomic is 0"):
        rig.left.send(1, opcode, 0, 8, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.right.recv(1, 0, 8)
    rig.left.send(2, WrOpcode.SEND, 0, 8)
    rig.run()
    assert [wc.wr_id for wc in rig.left.completions] == [2]
