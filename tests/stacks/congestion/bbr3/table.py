"""The 22 cases by number and name; `python -m tests.stacks.congestion.bbr3.table` prints what they measure."""

from __future__ import annotations

from collections.abc import Callable

from tests.stacks.congestion.bbr3 import (
    cases_aggregation,
    cases_bandwidth,
    cases_drain,
    cases_probe_down,
    cases_probe_rtt,
    cases_probe_up,
    cases_spurious,
    cases_startup,
)
from tests.stacks.congestion.bbr3.rig import POINTS, Point

CASES: tuple[Callable[[Point], str], ...] = (
    cases_startup.exiting_startup_on_bandwidth_plateau,
    cases_startup.exiting_startup_on_loss_when_application_limited,
    cases_drain.exiting_drain_based_on_inflight,
    cases_drain.exiting_drain_based_on_time,
    cases_probe_up.exiting_probe_up_on_bandwidth_plateau,
    cases_probe_up.exiting_probe_up_on_loss_when_application_limited,
    cases_startup.never_exiting_when_application_limited_with_no_loss,
    cases_probe_down.exiting_probe_down_on_inflight,
    cases_probe_down.exiting_probe_down_after_max_time,
    cases_probe_rtt.entering_and_exiting_probe_rtt,
    cases_probe_rtt.skipping_probe_rtt_due_to_application_limited_sending,
    cases_aggregation.achieving_expected_startup_bandwidth_on_a_link_with_aggregation,
    cases_aggregation.achieving_expected_cruise_bandwidth_on_a_link_with_aggregation,
    cases_bandwidth.correctly_managing_sub_packet_bdps,
    cases_bandwidth.increasing_bandwidth_10x_and_ensuring_full_bandwidth_is_reached,
    cases_bandwidth.decreasing_bandwidth_10x_and_ensuring_max_bandwidth_adapts_down,
    cases_bandwidth.handling_token_bucket_policers,
    cases_spurious.handling_spurious_fast_recovery,
    cases_spurious.handling_spurious_rto_recovery,
    cases_startup.entering_and_exiting_probe_rtt_during_startup,
    cases_probe_up.handling_loss_during_probe_up_after_inflight_longterm_is_set,
    cases_probe_up.handling_application_limited_sending_during_probe_refill,
)


def main() -> None:
    """Print a Markdown table."""
    print("| # | case |", " | ".join(str(point) for point in POINTS), "|")
    print("|---|---|" + "---|" * len(POINTS))
    for number, case in enumerate(CASES, 1):
        figures = [case(point) for point in POINTS]
        print(f"| {number} | {case.__name__.replace('_', ' ')} |", " | ".join(figures), "|")


if __name__ == "__main__":
    main()
