"""How fast `baremetal link` may go and still be on time: the highest rate at which a run is valid and loses nothing.

A run takes some seconds at one rate; the rates are tried by bisection, between one that always goes and one that never
does. UDP: datagrams of Ethernet's size from `udp_load` through the link on loopback. TUN: one TCP stream of iperf3 with
cubic between namespaces, whose goodput it is; the link's rate is what bounds it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

from apps.bench.probes import Cpus, Probe, Readings, free_port
from apps.bench.yardsticks import bound, find
from apps.errors import CommandError
from apps.processes import Json, ServingProcess, environment

Try = Callable[[int], float]
"""Takes a rate in Mbit/s; returns what was carried in Mbit/s, or 0 when the run was not valid."""


def udp_rate() -> Probe:
    """UDP mode."""

    def take(cpus: Cpus) -> Readings:
        return {"link_udp_rate": highest(lambda rate: try_udp(rate, cpus), UDP_MBIT)}

    return Probe(("link_udp_rate",), "baremetal link udp --rate RATE --delay 10ms, under a load of RATE", take)


def tun_rate() -> Probe:
    """TUN mode."""

    def take(cpus: Cpus) -> Readings:
        if os.geteuid():
            raise CommandError("this needs root, for network namespaces and TUN devices")
        find("iperf3", "iperf3")
        return {"link_tun_rate": highest(lambda rate: try_tun(rate, cpus), TUN_MBIT)}

    return Probe(("link_tun_rate",), "baremetal link tun --rate RATE --delay 2ms; iperf3 -C cubic through it", take)


def highest(attempt: Try, bounds: tuple[int, int]) -> float:
    """What was carried at the highest rate that went, to an eighth of it. CommandError when none did."""
    low, high = bounds
    best = 0.0
    rate = low
    while high - low > low // 8:
        carried = attempt(rate)
        if carried:
            low, best = rate, max(best, carried)
        else:
            high = rate
        if not best:
            raise CommandError(f"at {low} Mbit/s already the link was too late")
        rate = (low + high) // 2
    return best


def try_udp(rate: int, cpus: Cpus) -> float:
    """One run on loopback; what leaves the link, headers included."""
    port = free_port()
    words = ["link", "udp", "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{port}", "--delay", "10ms", *ENDS]
    with ServingProcess([*words, "--rate", f"{rate}mbit", "--limit", "2000"], cpu=cpus.serving) as link:
        # A little less than the rate, or the queue would fill.
        load = [str(cpus.measuring), str(link.ready["listen"]), str(port), str(rate * 980_000), f"{SECONDS:g}"]
        words = [sys.executable, "-P", "-m", "apps.bench.udp_load", *load]
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, timeout=SECONDS + LIMIT_S, env=environment()
        )
        report = link.report()
    sent, received = map(int, done.stdout.split())
    offered = rate * 980_000 * SECONDS / 8 / PACKET_BYTES
    if not is_valid(report) or received < sent or sent < 0.97 * offered:
        return 0.0
    return received * PACKET_BYTES * 8 / SECONDS / 1e6


def try_tun(rate: int, cpus: Cpus) -> float:
    """One run between namespaces; the goodput of TCP."""
    left, right = f"bmb{os.getpid()}l", f"bmb{os.getpid()}r"
    words = ["link", "tun", "--left", f"{left}/bm0/10.79.0.1/24", "--right", f"{right}/bm0/10.79.0.2/24", *ENDS]
    options = ["--rate", f"{rate}mbit", "--delay", "2ms", "--limit", "5ms", "--back-rate", "unlimited"]
    with ServingProcess([*words, *options], cpu=cpus.serving) as link:
        inside = ["ip", "netns", "exec"]
        server = [*inside, right, *bound(cpus.measuring), "iperf3", "-s", "-1"]
        client = [*inside, left, *bound(cpus.measuring), "iperf3", "-c", "10.79.0.2", "-C", "cubic", "-J"]
        with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:
            try:
                carried = run_client([*client, "-t", f"{SECONDS:g}", "-O", "1"])
            finally:
                serving.kill()
        report = link.report()
    return carried if is_valid(report) else 0.0


def run_client(client: list[str]) -> float:
    """Mbit/s that iperf3's receiver counted, tried until its server listens. CommandError when it never does."""
    error = "no result"
    for _ in range(ATTEMPTS):
        done = subprocess.run(client, capture_output=True, text=True, check=False, timeout=SECONDS + LIMIT_S)
        result = json.loads(done.stdout or "{}")
        if "sum_received" in result.get("end", {}):
            return float(result["end"]["sum_received"]["bits_per_second"]) / 1e6
        error = str(result.get("error", error))
        if "refused" not in error:
            break
        time.sleep(0.05)
    raise CommandError(f"iperf3: {error}")


def is_valid(report: Json) -> bool:
    """Whether the link calls the run valid, and its kernel dropped nothing before it."""
    lateness = report["lateness"]
    assert isinstance(lateness, dict)
    return bool(lateness["valid"]) and not report.get("kernel_drops")


ENDS = ("--json", "--until-stdin-ends")
UDP_MBIT, TUN_MBIT = (100, 4000), (25, 1000)
SECONDS = 1.0
LIMIT_S = 30
ATTEMPTS = 50
PACKET_BYTES = 1500
