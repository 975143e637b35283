"""A million messages over a bad network: no byte wrong, no completion missing (IBTA 9.7, 7.8)."""

from __future__ import annotations

import pytest

from tests.stacks.rdma.proofs.soak import soak

each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
each_mtu = pytest.mark.parametrize("path_mtu", [256, 1024], ids=["up to two packets", "one packet"])


def check_soak(messages: int, seed: int, *, shortcuts: bool, path_mtu: int) -> None:
    rig = soak(messages, seed=seed, shortcuts=shortcuts, path_mtu=path_mtu)
    for end in rig.ends:
        counters = end.device.counters
        # The network did what was asked of it, and nothing but the ICRC had to tell.
        assert counters.rcvd_icrc_err > messages // 400
        assert counters.duplicate_request > messages // 400
        assert counters.out_of_seq_request > messages // 400
        assert counters.rcvd_opcode_err == counters.rcvd_qpn_err == counters.rcvd_truncated_pkts == 0
        assert counters.retry_exceeded_err == 0


@pytest.mark.slow
@each_way
@each_mtu
def test_20_000_messages_over_a_bad_network_arrive_unharmed(shortcuts: bool, path_mtu: int) -> None:
    check_soak(20_000, 1, shortcuts=shortcuts, path_mtu=path_mtu)


@pytest.mark.long
@pytest.mark.parametrize(
    ("shortcuts", "path_mtu"), [(True, 1024), (False, 256)], ids=["shortcuts, one packet", "per packet, up to two"]
)
def test_a_million_messages_over_a_bad_network_arrive_unharmed(shortcuts: bool, path_mtu: int) -> None:
    check_soak(1_000_000, 2, shortcuts=shortcuts, path_mtu=path_mtu)
