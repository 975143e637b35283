"""The serving process at the other end of a run: started, bound to a processor, asked for its processor time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from apps.addresses import free_loopback_address
from apps.errors import CommandError
from apps.perf.report import Measurement
from apps.processes import ServingProcess
from transports.control import ControlClient, running_processes


def with_peer_time(pid: int | None, measure: Callable[[], Measurement]) -> Measurement:
    """What `measure` returns, with the processor time that our serving process `pid` took meanwhile."""
    before = cpu_time(pid)
    measurement = measure()
    after = cpu_time(pid)
    if before is not None and after is not None:
        measurement.peer_cpu_ns = after - before
    return measurement


def bind(cpus: str | None) -> int | None:
    """Bind this process to the second of two processors, and return the first. CommandError for anything else."""
    if cpus is None:
        return None
    try:
        serving, measuring = (int(cpu) for cpu in cpus.split(","))
        os.sched_setaffinity(0, {measuring})
        os.sched_getaffinity(0)
    except (ValueError, OSError) as error:
        raise CommandError(f"{cpus!r} are not two processors of this machine", "write --cpus 0,1", status=2) from error
    return serving


@contextlib.contextmanager
def peer_process(memory: int, cpu: int | None, *, is_busy: bool, offload: bool) -> Iterator[ServingProcess]:
    """A `perf serve` of our own on a free loopback address."""
    words = ["perf", "serve", "--listen", free_loopback_address(), "--memory", str(max(memory, 4096))]
    words += ["--until-stdin-ends", "--json", "--busy" if is_busy else "--no-busy"]
    words += ["--offload" if offload else "--no-offload"]
    with ServingProcess(words, cpu=cpu) as process:
        yield process


@contextlib.contextmanager
def target_process(
    namespace: str, cpu: int | None, *, offload: bool, transport: str = "rdma"
) -> Iterator[ServingProcess]:
    """A target of our own on a free loopback address."""
    words = ["nvme", "target", "--namespace", namespace, "--listen", f"nvme+{transport}://{free_loopback_address()}"]
    words += ["--until-stdin-ends", "--json", "--offload" if offload else "--no-offload"]
    with ServingProcess(words, cpu=cpu) as process:
        yield process


def cpu_time(pid: int | None) -> int | None:
    """Processor time of one of our serving processes so far, in nanoseconds; None when it is not known."""
    for entry in running_processes():
        if entry.pid == pid:
            with ControlClient(entry.path) as client:
                value = client.snapshot().get("cpu_ns")
                return value if isinstance(value, int) else None
    return None
