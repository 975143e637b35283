"""Yardsticks that other projects' programs measure: UCX's perftest and libfabric's ping-pong, both over TCP.

Each is two processes of the same program on 127.0.0.1, bound to a processor each as ours are. What they print is read
by column name, so that a version that prints something else leaves a reason in the table and no wrong figure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from apps.bench.probes import ATTEMPTS, Cpus, Probe, Readings, free_port
from apps.errors import CommandError

Columns = Mapping[str, float]


def ucx(name: str, test: str, block_bytes: int, *, iterations: int, reading: Callable[[Columns], float]) -> Probe:
    """One test of ucx_perftest over TCP on the loopback device.

    test: by the program's own name. reading: what is taken of the columns that it prints, by their names.
    """
    arguments = f"-t {test} -s {block_bytes} -n {iterations} -w {max(1, iterations // 20)} -f -v"

    def take(cpus: Cpus) -> Readings:
        program, port = find("ucx_perftest", "ucx-utils"), str(free_port())
        server, client = [program, "-p", port], [program, "127.0.0.1", "-p", port, *arguments.split()]
        printed = measure(server, client, cpus, environment=os.environ | UCX_ENVIRONMENT)
        return {name: reading(ucx_columns(printed))}

    words = " ".join(f"{key}={value}" for key, value in UCX_ENVIRONMENT.items())
    return Probe((name,), f"{words} ucx_perftest 127.0.0.1 {arguments}", take)


def ucx_columns(printed: str) -> Columns:
    """The final figures of ucx_perftest -f -v, names above numbers. CommandError when they are missing."""
    lines = [line.split(",") for line in printed.splitlines() if "," in line]
    if len(lines) < 2 or lines[-2][0] != "iterations" or len(lines[-1]) != len(lines[-2]):
        raise CommandError("ucx_perftest printed no figures that are known here")
    return {key: float(value) for key, value in zip(lines[-2], lines[-1], strict=True)}


def ucx_megabytes(columns: Columns) -> float:
    """Bandwidth over the whole run in 10^6 bytes a second; the program counts in 2^20."""
    return columns["overall_bw"] * (1 << 20) / 1e6


def ucx_thousands(columns: Columns) -> float:
    """Messages over the whole run, in thousands a second."""
    return columns["overall_mr"] / 1e3


def ucx_median(columns: Columns) -> float:
    """Median latency in microseconds: far below the mean over TCP, and what ours is a median of, too."""
    return columns["50.0_percentile_lat"]


def fi_pingpong(name: str, iterations: int = 20_000) -> Probe:
    """Half a round trip of 64 bytes over libfabric's tcp provider, in microseconds."""
    arguments = f"-p tcp -e msg -I {iterations} -S 64"

    def take(cpus: Cpus) -> Readings:
        program, port = find("fi_pingpong", "libfabric-bin"), str(free_port())
        server = [program, *arguments.split(), "-B", port]
        client = [program, *arguments.split(), "-P", port, "127.0.0.1"]
        return {name: fi_microseconds(measure(server, client, cpus, environment=os.environ))}

    return Probe((name,), f"fi_pingpong {arguments} 127.0.0.1", take)


def fi_microseconds(printed: str) -> float:
    """What fi_pingpong printed under usec/xfer, where a round trip is two. CommandError when it is missing."""
    lines = [line.split() for line in printed.splitlines() if line.strip()]
    if len(lines) < 2 or "usec/xfer" not in lines[-2] or len(lines[-1]) != len(lines[-2]):
        raise CommandError("fi_pingpong printed no figures that are known here")
    return float(lines[-1][lines[-2].index("usec/xfer")])


def find(program: str, package: str) -> str:
    """Where a program is. CommandError, with Debian's package of it, when it is not there."""
    found = shutil.which(program)
    if found is None:
        raise CommandError(f"{program} is missing; on Debian and Ubuntu: apt install {package}")
    return found


def measure(server: Sequence[str], client: Sequence[str], cpus: Cpus, *, environment: Mapping[str, str]) -> str:
    """What the client prints, run beside its server, each bound to its processor. CommandError when it fails."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*bound(cpus.serving), *server], stdout=quiet, stderr=quiet, env=environment) as serving:
        try:
            return measure_client([*bound(cpus.measuring), *client], serving, environment)
        finally:
            serving.kill()


def measure_client(client: Sequence[str], serving: subprocess.Popen[bytes], environment: Mapping[str, str]) -> str:
    """The same with the server running, which may not listen yet."""
    name = client[len(bound(0))].rpartition("/")[2]
    error = "it ended without a word"
    for _ in range(ATTEMPTS):
        try:
            done = subprocess.run(
                client, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=dict(environment)
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"{name} did not end within {LIMIT_S} s") from None
        if done.returncode == 0:
            return done.stdout
        error = next(iter((done.stderr or done.stdout).strip().splitlines()), error)
        if "refused" not in done.stderr + done.stdout or serving.poll() is not None:
            break
        time.sleep(0.05)
    raise CommandError(f"{name}: {error}")


def bound(cpu: int) -> list[str]:
    """The words before a program that bind it to a processor."""
    return ["taskset", "-c", str(cpu)]


UCX_ENVIRONMENT = {"UCX_TLS": "tcp", "UCX_NET_DEVICES": "lo"}
LIMIT_S = 40
"""How long one run may take; each is sized for two to four seconds."""
