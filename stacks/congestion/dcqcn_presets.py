"""Sets of DCQCN parameters that people compare, by name, for a line rate where they scale with it.

paper        Zhu et al., SIGCOMM 2015: the defaults of `DcqcnParameters`
nvidia       what NVIDIA's documents give: alpha each microsecond, cuts at most each 4, g = 1 - 1019/1024
ns3          the defaults of the HPCC authors' ns-3 model (rdma-hw.cc)
hpcc-paper   their run.py `dcqcn_paper`: the paper's timers with AI and HAI for the line rate
hpcc-vendor  their run.py `dcqcn`: a vendor's timers, the same AI and HAI
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.congestion.dcqcn import DcqcnParameters


def paper(_line_rate_bps: int) -> DcqcnParameters:
    """SIGCOMM 2015: 55 us timers, 10 MB byte counter, F = 5, AI 40 Mbit/s; the same at every line rate."""
    return DcqcnParameters()


def nvidia(line_rate_bps: int) -> DcqcnParameters:
    """NVIDIA's documented defaults; AI, HAI and the timer, which they leave out, as in `hpcc_vendor`."""
    return DcqcnParameters(
        g_1024=5,
        initial_alpha_1024=1023,
        alpha_period_ns=1_000,
        decrease_period_ns=4_000,
        increase_period_ns=300_000,
        byte_counter_bytes=0,
        fast_recovery_steps=1,
        additive_bps=_share(5, line_rate_bps),
        hyper_bps=_share(50, line_rate_bps),
        minimum_bps=1_000_000,
    )


def ns3(_line_rate_bps: int) -> DcqcnParameters:
    """The HPCC authors' ns-3 defaults: g = 1/16, a timer of 1.5 ms, no byte counter."""
    return DcqcnParameters(
        g_1024=64,
        alpha_period_ns=55_000,
        decrease_period_ns=4_000,
        increase_period_ns=1_500_000,
        byte_counter_bytes=0,
        additive_bps=5_000_000,
        hyper_bps=50_000_000,
        minimum_bps=100_000_000,
    )


def hpcc_paper(line_rate_bps: int) -> DcqcnParameters:
    """The set that their figures call DCQCN with the paper's timers."""
    return DcqcnParameters(
        alpha_period_ns=50_000,
        decrease_period_ns=50_000,
        increase_period_ns=55_000,
        byte_counter_bytes=0,
        fast_recovery_steps=1,
        additive_bps=_share(5, line_rate_bps),
        hyper_bps=_share(50, line_rate_bps),
        minimum_bps=1_000_000_000,
    )


def hpcc_vendor(line_rate_bps: int) -> DcqcnParameters:
    """The set that their figures call DCQCN."""
    return DcqcnParameters(
        alpha_period_ns=1_000,
        decrease_period_ns=4_000,
        increase_period_ns=300_000,
        byte_counter_bytes=0,
        fast_recovery_steps=1,
        additive_bps=_share(5, line_rate_bps),
        hyper_bps=_share(50, line_rate_bps),
        minimum_bps=1_000_000_000,
    )


def _share(mbps_at_25_gbps: int, line_rate_bps: int) -> int:
    """An increment that is `mbps_at_25_gbps` at 25 Gbit/s, in proportion to the line rate."""
    return max(1, mbps_at_25_gbps * line_rate_bps // 25_000)


PRESETS: dict[str, Callable[[int], DcqcnParameters]] = {
    "paper": paper,
    "nvidia": nvidia,
    "ns3": ns3,
    "hpcc-paper": hpcc_paper,
    "hpcc-vendor": hpcc_vendor,
}
