"""A million messages over a bad network: no byte wrong, no completion missing (IBTA 9.7, 7.8)."""

from __future__ import annotations

import pytest

from tests.stacks.rdma.proofs.soak import soak

COMBINATIONS = {
    "shortcuts, one packet": (True, 1024, "go-back-n"),
    "shortcuts, up to two packets": (True, 256, "go-back-n"),
    "per packet, up to two packets": (False, 256, "go-back-n"),
    "selective repeat, one packet": (True, 1024, "selective"),
    "selective repeat, up to two packets": (True, 256, "selective"),
}
"""Whether the shortcuts are on, the path MTU in bytes, and what is sent again after a loss."""


def check_soak(messages: int, seed: int, combination: str) -> None:
    shortcuts, path_mtu, recovery = COMBINATIONS[combination]
    rig = soak(messages, seed=seed, shortcuts=shortcuts, path_mtu=path_mtu, recovery=recovery)
    for end in rig.ends:
        counters = end.device.counters
        # The network did what was asked of it, and nothing but the ICRC had to tell.
        assert counters.rcvd_icrc_err > messages // 400
        assert counters.duplicate_request > messages // 400
        assert counters.out_of_seq_request > messages // 400
        assert counters.rcvd_opcode_err == counters.rcvd_qpn_err == counters.rcvd_truncated_pkts == 0
        assert counters.retry_exceeded_err == 0


@pytest.mark.slow
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_20_000_messages_over_a_bad_network_arrive_unharmed(combination: str) -> None:
    check_soak(20_000, 1, combination)


@pytest.mark.long
@pytest.mark.parametrize(
    "combination",
    ["shortcuts, one packet", "per packet, up to two packets", "selective repeat, up to two packets"],
)
def test_a_million_messages_over_a_bad_network_arrive_unharmed(combination: str) -> None:
    check_soak(1_000_000, 2, combination)
