"""The kernel's flow and ours, one after the other on the same bottleneck, in real time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apps.lab.kernel_flow import KernelFlow, run_kernel_flows
from apps.processes import ServingProcess
from apps.punctual import going_first
from interop.congestion.bottleneck import (
    Bottleneck,
    require_congestion,
    require_namespaces,
    running,
    settle,
)
from interop.congestion.cells import Cell, parse_cell, quicbench_cells
from interop.congestion.comparing import compare_bbr, compare_windowed
from interop.congestion.envelope import measure, median_ratio
from interop.congestion.envelope_table import write_section
from interop.congestion.flows import Moment, of_kernel
from interop.congestion.ours import OURS, real
from interop.outcome import DisagreementError, MissingToolError
from transports.clock import RealClock

ENVELOPE_SECONDS = 30.0
Flow = Callable[[Bottleneck], list[Moment]]


def live(_scratch: Path, congestion: str, *, cell: Cell | None = None, seconds: float) -> str:
    """A flow of the kernel, then one of ours, and where they differ."""
    require_congestion(congestion)
    duration_ns = round(seconds * 1e9)
    chosen = cell or CELL
    theirs = valid_run(chosen, lambda link: kernel_flow(link, congestion, duration_ns))
    ours = valid_run(chosen, lambda link: our_flow(link, OURS[congestion], duration_ns))
    found = (compare_bbr if congestion == "bbr" else compare_windowed)(theirs, ours)
    if found.differences:
        raise DisagreementError("\n".join(found.differences))
    return f"{chosen.name}, {seconds:g} s each: " + "; ".join(found.facts)


def envelopes(scratch: Path, congestion: str, *, seconds: float = ENVELOPE_SECONDS, trials: int = 1) -> str:
    """Conformance in QUICbench's 16 cells, written to docs/; ours is 0.8 of the kernel's own at least, the median."""
    require_namespaces()
    require_congestion(congestion)
    results = list(measure(quicbench_cells(), congestion, scratch, seconds=seconds, trials=trials))
    write_section(PAGE, congestion, results, seconds=seconds, trials=trials)
    found, valid = median_ratio(results), sum(result.is_valid for result in results)
    if found is None or valid < len(results):
        raise MissingToolError(f"this machine is too busy for real time: {valid} of {len(results)} cells are valid")
    line = f"median ratio {found:.2f} over {valid} cells, {seconds:g} s and {trials} trials each; {PAGE.name} has them"
    if found < RATIO:
        raise DisagreementError(f"{line}: less than {RATIO}")
    return line


def valid_run(cell: Cell, flow: Flow) -> list[Moment]:
    """A flow alone in a cell, again while the link is too late; MissingToolError when it always is."""
    reason = ""
    for _ in range(ATTEMPTS):
        with running(cell) as link:
            settle()
            moments = flow(link)
            lateness = link.finish()["lateness"]
        assert isinstance(lateness, dict)
        if lateness["valid"]:
            return moments
        reason = str(lateness["reason"])
    raise MissingToolError(f"this machine is too busy for real time: {reason}")


def kernel_flow(link: Bottleneck, congestion: str, duration_ns: int) -> list[Moment]:
    """One of the kernel."""
    flow = KernelFlow(congestion, near=link.left, far=link.right, address=link.address)
    try:
        with going_first():
            run_kernel_flows([flow], RealClock(), duration_ns=duration_ns)
    finally:
        flow.close()
    return of_kernel(flow.samples)


def our_flow(link: Bottleneck, controller: str, duration_ns: int) -> list[Moment]:
    """One of ours."""
    words = [
        "lab",
        "serve",
        "--listen",
        f"{link.address}:{PORT}",
        "--netns",
        link.right,
        "--json",
        "--until-stdin-ends",
    ]
    with ServingProcess(words), going_first():
        return real(controller, near=link.left, to=(link.address, PORT), duration_ns=duration_ns)


PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "kernel-envelopes.md"
RATIO = 0.8
CELL = parse_cell("20mbit-40ms-1bdp")
PORT = 5001
ATTEMPTS = 3
