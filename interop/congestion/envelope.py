"""Performance Envelopes of two flows that share a cell: how alike are ours and the kernel's, and two of the kernel's.

After QUICbench (see `stacks.congestion.envelope`): a point for every ten round trips, throughput in kbit/s and one-way
delay in microseconds, both measured by the link for all flows alike. The reference is the kernel's flow against which
the tested one competed. A run that the link does not call valid is made again, and else left out.
"""

from __future__ import annotations

import csv
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from apps.lab.kernel_flow import KernelFlow, run_kernel_flows
from apps.processes import ServingProcess
from apps.punctual import be_punctual, going_first
from interop.congestion.bottleneck import Bottleneck, running, settle
from interop.congestion.cells import PACKET_BYTES, Cell
from interop.congestion.ours import OURS, real
from stacks.congestion.envelope import Point, compare, envelope
from stacks.runtime import LocalError
from transports.clock import RealClock


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell. kernel, ours: conformance with the kernel's flow that they competed with, in thousandths; None where no
    run was valid.
    """

    cell: Cell
    kernel: int | None
    ours: int | None

    @property
    def ratio(self) -> float | None:
        """Ours as a share of the kernel's, None where either is missing, or the kernel's flows are nothing alike."""
        return self.ours / self.kernel if self.kernel and self.ours is not None else None

    @property
    def is_valid(self) -> bool:
        """Whether there were valid runs of both."""
        return self.kernel is not None and self.ours is not None


def measure(
    cells: Sequence[Cell], congestion: str, folder: Path, *, seconds: float, trials: int
) -> Iterator[CellResult]:
    """Each cell in turn: the median of its trials, two runs each. folder: for what the link writes."""
    for cell in cells:
        found: dict[bool, list[int]] = {False: [], True: []}
        for _ in range(trials):
            for is_ours in (False, True):
                conformance = valid_trial(cell, congestion, folder, seconds=seconds, is_ours=is_ours)
                if conformance is not None:
                    found[is_ours].append(conformance)
        yield CellResult(cell, *(round(median(each)) if each else None for each in (found[False], found[True])))


def valid_trial(cell: Cell, congestion: str, folder: Path, *, seconds: float, is_ours: bool) -> int | None:
    """The tested flow's conformance, in thousandths; None when the link never calls the run valid."""
    samples = folder / "samples.csv"
    interval = f"{10 * cell.rtt_ms}ms"
    for _ in range(ATTEMPTS):
        with running(cell, ("--samples", str(samples), "--sample-interval", interval, *jitter(cell))) as link:
            settle()
            run = with_ours if is_ours else with_kernel
            names = run(link, congestion, seconds)
            lateness = link.finish()["lateness"]
        assert isinstance(lateness, dict)
        if not lateness["valid"]:
            continue
        flows = points_of(samples, names, interval_ns=10_000_000 * cell.rtt_ms)
        try:
            return compare(envelope(flows[names[0]]), envelope(flows[names[1]])).conformance_milli
        except LocalError:
            continue
    return None


def jitter(cell: Cell) -> tuple[str, str]:
    """Options that hold acknowledgements back by up to a tenth of a round trip.

    On a link that is exact to the nanosecond, which of two flows finds the last place in a full queue is decided by
    their phases, and stays so: 17 and 3 of 20 Mbit/s for the same algorithm. Random times are the remedy (Floyd and
    Jacobson, On Traffic Phase Effects in Packet-Switched Gateways, 1991). They have to cover what differs between a
    sender in the kernel and one outside of it: with two packets' time, 0.24 ms of 10 ms, the kernel's flow still met
    twice as many losses as ours at 100 Mbit/s; with a tenth of a round trip as many.
    """
    packets_ns = 2 * PACKET_BYTES * 8_000_000_000 // cell.rate_bps
    return "--back-element", f"jitter={max(packets_ns, cell.rtt_ms * 100_000)}ns"


def with_kernel(link: Bottleneck, congestion: str, seconds: float) -> tuple[str, str]:
    """Two flows of the kernel at once; their names."""
    with ExitStack() as stack:
        flows = [_kernel_flow(link, congestion, stack) for _ in range(2)]
        with going_first():
            run_kernel_flows(flows, RealClock(), duration_ns=round(seconds * 1e9), interval_ns=0)
    return _tcp_name(link, flows[0]), _tcp_name(link, flows[1])


def with_ours(link: Bottleneck, congestion: str, seconds: float) -> tuple[str, str]:
    """One of ours and one of the kernel's; the start of our name, for its port is not known, and theirs."""
    serve = [
        "lab",
        "serve",
        "--listen",
        f"{link.address}:{PORT}",
        "--netns",
        link.right,
        "--json",
        "--until-stdin-ends",
    ]
    duration_ns = round(seconds * 1e9)
    run = partial(real, OURS[congestion], near=link.left, to=(link.address, PORT), duration_ns=duration_ns)
    with ServingProcess(serve), ExitStack() as stack:
        flow = _kernel_flow(link, congestion, stack)
        # Both at once, as QUICbench does: who comes later finds the other's queue, and takes it for the path's delay.
        with held(run) as let_go:
            let_go()
            with going_first():
                run_kernel_flows([flow], RealClock(), duration_ns=duration_ns, interval_ns=0)
    return f">{link.address}:{PORT}/17", _tcp_name(link, flow)


@contextmanager
def held(run: Callable[[], object]) -> Iterator[Callable[[], object]]:
    """A process that is ready to `run`, and does when it is let go; it ends with the block, by force at last."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(write_end)
        try:
            be_punctual(is_realtime=None)
            os.read(read_end, 1)
            run()
        finally:
            os._exit(0)
    os.close(read_end)
    try:
        yield lambda: os.write(write_end, b"1")
    finally:
        os.close(write_end)
        end_ns = time.monotonic_ns() + 5_000_000_000
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic_ns() > end_ns:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)


def points_of(path: Path, names: Sequence[str], *, interval_ns: int) -> Mapping[str, list[Point]]:
    """The points of two flows, of the intervals in which both were there, without the first and last of these.

    names: each ends the flow's name in the file.
    """
    found: dict[str, dict[int, Point]] = {name: {} for name in names}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            name = next((each for each in names if row["flow"].endswith(each)), None)
            if row["way"] == "forward" and name is not None:
                kbit_s = int(row["bytes"]) * 8_000_000 // interval_ns
                found[name][int(row["start_ns"])] = (kbit_s, int(row["mean_delay_ns"]) // 1000)
    common = sorted(set.intersection(*(set(each) for each in found.values())))[1:-1]
    return {name: [points[start_ns] for start_ns in common] for name, points in found.items()}


def median_ratio(results: Sequence[CellResult]) -> float | None:
    """Over the cells that have one; None without any."""
    ratios = [result.ratio for result in results if result.ratio is not None]
    return median(ratios) if ratios else None


def _kernel_flow(link: Bottleneck, congestion: str, stack: ExitStack) -> KernelFlow:
    flow = KernelFlow(congestion, near=link.left, far=link.right, address=link.address)
    stack.callback(flow.close)
    return flow


def _tcp_name(link: Bottleneck, flow: KernelFlow) -> str:
    return f":{flow.local_port}>{link.address}:{flow.port}/6"


PORT = 5001
ATTEMPTS = 3
