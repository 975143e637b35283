"""How fast the laboratory simulates: events a second on one core, and runs a second on two.

An event is one data packet through one bottleneck queue, with its acknowledgement processed by the controller. Runs as
a process of its own: `python -m apps.bench.lab bbr3-10|cubic-1000` prints thousands of events a second, `sweep-1` and
`sweep-2` runs a second with so many processes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from apps.bench.probes import Cpus, Probe, Readings
from apps.bench.yardsticks import bound
from apps.errors import CommandError
from apps.processes import environment
from stacks.lab.experiment.values import Buffer, Experiment, FlowConfig, HopConfig, LinkConfig, TopologyConfig
from stacks.lab.results.fingerprint import run_hash
from stacks.lab.results.keeping import Store
from stacks.lab.runners.virtual import VirtualRunner
from stacks.lab.sweeping.jobs import Job
from stacks.lab.sweeping.processes import Processes


def lab(*names: str, load: str) -> Probe:
    """A reading of one load, by all of `names`."""

    def take(cpus: Cpus) -> Readings:
        both = f"{cpus.serving},{cpus.measuring}" if load == "sweep-2" else str(cpus.measuring)
        words = [*bound(cpus.measuring)[:-1], both, sys.executable, "-P", "-m", "apps.bench.lab", load]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment())
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise CommandError(f"{load}: {said[-1] if said else 'it ended without a word'}")
        return dict.fromkeys(names, float(done.stdout))

    return Probe(names, f"python -m apps.bench.lab {load}", take)


def dumbbell(controller: str, flows: int, *, rate_bps: int, duration_ns: int) -> Experiment:
    """Flows that are alike on a bottleneck with a round trip of 40 ms and a buffer of one bandwidth-delay product."""
    link = LinkConfig(delay_ns=20_000_000, rate_bps=rate_bps, rate=rate_bps, buffer=Buffer("bdp", 1000))
    hop = HopConfig(name="bottleneck", forward=link, backward=LinkConfig(delay_ns=20_000_000))
    return Experiment(
        name=f"{controller}-{flows}",
        duration_ns=duration_ns,
        topology=TopologyConfig(kind="dumbbell", hops=(hop,)),
        sample_ns=0,
        flows=(FlowConfig(name=controller, controller=controller, count=flows, jitter_ns=50_000_000, target=-1),),
    )


def events_per_second(experiment: Experiment) -> float:
    """Thousands of events a second of processor time."""
    start = time.perf_counter()
    record = VirtualRunner().run(experiment, lambda _: None)
    return record.events / (time.perf_counter() - start) / 1e3


def runs_per_second(processes: int) -> float:
    """Of a sweep of 64 runs that are kept, from its start to its end."""
    base = dumbbell("cubic", 2, rate_bps=50_000_000, duration_ns=4_000_000_000)
    experiments = [replace(base, seed=number) for number in range(SWEEP_RUNS)]
    jobs = [Job(number, each, "virtual", run_hash(each, "virtual")) for number, each in enumerate(experiments)]
    with tempfile.TemporaryDirectory(prefix="baremetal-bench-") as folder:
        start = time.perf_counter()
        for _ in Processes(processes).run(jobs, Store(Path(folder))):
            pass
        return SWEEP_RUNS / (time.perf_counter() - start)


def main(load: str) -> None:
    """Measure and print."""
    if load.startswith("sweep-"):
        value = runs_per_second(int(load.removeprefix("sweep-")))
    else:
        value = events_per_second(LOADS[load])
    sys.stdout.write(f"{value:.3f}\n")


LOADS = {
    "bbr3-10": dumbbell("bbr3", 10, rate_bps=200_000_000, duration_ns=10_000_000_000),
    "cubic-1000": dumbbell("cubic", 1000, rate_bps=2_000_000_000, duration_ns=1_500_000_000),
}
SWEEP_RUNS = 64
LIMIT_S = 120

if __name__ == "__main__":
    main(sys.argv[1])
