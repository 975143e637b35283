"""The link of an experiment as a running process between two network namespaces of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.errors import CommandError
from apps.lab.realtime.options import link_options
from apps.processes import ServingProcess
from stacks.lab.experiment.values import Experiment
from transports import namespaces
from transports.relay.ledger import LinkRecord, read_ledger


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """A link that runs. nodes: namespace and address of nodes 0 and 1."""

    nodes: tuple[tuple[str, str], tuple[str, str]]
    process: ServingProcess
    ledger: Path

    def finish(self) -> tuple[Mapping[str, object], LinkRecord]:
        """End it; what it says of the run, and what it recorded. CommandError when it says nothing."""
        report = self.process.report(FINISH_S)
        return report, read_ledger(self.ledger)


@contextlib.contextmanager
def running(experiment: Experiment) -> Iterator[Bottleneck]:
    """Have it run; whatever ends the block, or this process, the namespaces go.

    CommandError where this machine or user has no namespaces and TUN devices.
    """
    require_namespaces()
    names = [f"lab{os.getpid()}{side}" for side in "lr"]
    topology = experiment.topology
    with _memory_file() as ledger:
        words = ["link", "tun", "--until-stdin-ends", "--json", "--seed", str(experiment.seed)]
        for option, name, address in zip(("--left", "--right"), names, ADDRESSES, strict=True):
            words += [option, f"{name}/bm0/{address}/24"]
        words += ["--mtu", str(experiment.packet_bytes), "--ledger", str(ledger)]
        words += ["--sample-interval", f"{(experiment.sample_ns or SAMPLE_NS) / 1000:.3f}us"]
        words += link_options(topology.hops[0], rtt_ns=topology.rtt_ns, packet_bytes=experiment.packet_bytes)
        process = ServingProcess(words)
        try:
            for name in names:
                with namespaces.entered(name):
                    settle_tcp()
            yield Bottleneck(((names[0], ADDRESSES[0]), (names[1], ADDRESSES[1])), process, ledger)
        finally:
            process.stop()
            for name in names:
                if namespaces.exists(name):  # it was killed
                    namespaces.remove(name)


@contextlib.contextmanager
def _memory_file() -> Iterator[Path]:
    """A file for the link to write to, of which nothing is left however this process ends."""
    opened = os.memfd_create("ledger")
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{opened}")
    finally:
        os.close(opened)


def require_namespaces() -> None:
    """CommandError unless this process may have TUN devices in network namespaces."""
    if os.geteuid() != 0:
        raise CommandError("real time needs root, for network namespaces and TUN devices", "run it with sudo")
    if not Path("/dev/net/tun").exists():
        raise CommandError("real time needs TUN devices, and /dev/net/tun is missing", "modprobe tun")
    if shutil.which("ip") is None:
        raise CommandError("real time needs the program ip", "install iproute2")


def settle_tcp() -> None:
    """In this thread's namespace, connections learn nothing from earlier ones, and buffers are never what limits."""
    for name, value in SETTINGS.items():
        with contextlib.suppress(OSError):
            Path("/proc/sys/net/ipv4", name).write_text(value)


ADDRESSES = ("10.78.0.1", "10.78.0.2")
SETTINGS = {"tcp_no_metrics_save": "1", "tcp_rmem": "4096 131072 33554432", "tcp_wmem": "4096 131072 33554432"}
SAMPLE_NS = 10_000_000
FINISH_S = 30.0
