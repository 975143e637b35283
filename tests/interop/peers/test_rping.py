"""The text of rping's pings, as its server prints it."""

from __future__ import annotations

from interop.peers.rping import ping_text


def test_letters_start_one_later_with_each_ping_and_end_with_nul() -> None:
    assert ping_text(0, 64) == rb"rdma-ping-0: ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqr" + b"\0"
    assert ping_text(1, 20) == b"rdma-ping-1: BCDEFG\0"


def test_letters_go_round_after_z() -> None:
    assert ping_text(57, 20) == b"rdma-ping-57: zABCD\0"
    assert ping_text(58, 20) == b"rdma-ping-58: ABCDE\0"
