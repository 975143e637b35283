"""Records one flow of the kernel, alone in a cell."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from apps.lab.kernel_flow import KernelFlow, run_kernel_flows
from apps.punctual import going_first
from interop.congestion.bottleneck import require_congestion, running, settle
from interop.congestion.cells import Cell
from interop.congestion.flows import of_kernel, thinned
from interop.congestion.traces import Trace
from transports.clock import RealClock
from transports.tcp_info import kernel_release


class LateError(Exception):
    """The link was too late for the run to count; the text has the link's words."""


def record(cell: Cell, congestion: str, *, duration_ns: int) -> Trace:
    """The flow's trace. LateError when the run is not valid; MissingToolError where it cannot be had."""
    require_congestion(congestion)
    with running(cell) as link:
        settle()
        flow = KernelFlow(congestion, near=link.left, far=link.right, address=link.address)
        try:
            with going_first():
                run_kernel_flows([flow], RealClock(), duration_ns=duration_ns)
        finally:
            flow.close()
        report = link.finish()
    lateness = report["lateness"]
    assert isinstance(lateness, dict)
    if not lateness["valid"]:
        raise LateError(str(lateness["reason"]))
    gap_ns = max(later.time_ns - earlier.time_ns for earlier, later in pairwise(flow.samples))
    if gap_ns > GAP_NS:
        raise LateError(f"the flow was not looked at for {gap_ns / 1e6:.0f} ms")
    about = {
        "kernel": kernel_release(),
        "date": datetime.now(UTC).date().isoformat(),
        "late_p99_ns": lateness["departure"]["p99_ns"],
    }
    return Trace(cell, congestion, about, thinned(of_kernel(flow.samples), INTERVAL_NS))


GAP_NS = 30_000_000
"""While a flow is not looked at, it gets no new data either; its buffer holds more than this."""
INTERVAL_NS = 50_000_000
