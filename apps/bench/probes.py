"""One reading each: how it is taken, and why it may not be there."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct

from apps.errors import CommandError
from apps.processes import environment, run_measuring
from wire.roce import Bth

Readings = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cpus:
    """The processors of the serving and of the measuring process; the same one on a machine with one."""

    serving: int
    measuring: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Something that takes readings.

    names: of the readings. command: what a person types for them. take: takes them once, bound to the given
    processors; CommandError, with the reason, when they cannot be had.
    """

    names: tuple[str, ...]
    command: str
    take: Callable[[Cpus], Readings]


def perf(name: str, arguments: str, readings: Mapping[str, Callable[[Mapping[str, float]], float]]) -> Probe:
    """A run of `baremetal perf ARGUMENTS`, which starts its other end itself.

    readings: by name, how each comes from the JSON that the run prints, where everything is a number or an object.
    """

    def take(cpus: Cpus) -> Readings:
        words = ["perf", *arguments.split(), "--cpus", f"{cpus.serving},{cpus.measuring}", "--json"]
        result = run_measuring(words)
        numbers = {key: float(value) for key, value in result.items() if isinstance(value, int | float)}
        latency = result.get("latency_ns")
        if isinstance(latency, dict):
            numbers |= {f"latency_{key}_ns": float(value) for key, value in latency.items()}
        if numbers["errors"] or numbers["mismatches"]:
            raise CommandError(f"{name}: operations failed or had wrong data")
        return {reading: compute(numbers) for reading, compute in readings.items()}

    return Probe(tuple(readings), f"baremetal perf {arguments}", take)


def iperf3(congestion: str) -> Probe:
    """One TCP stream between two processes, in MB/s."""
    name = f"iperf3_tcp_{congestion}"

    def take(cpus: Cpus) -> Readings:
        program = shutil.which("iperf3")
        if program is None:
            raise CommandError("iperf3 is missing; on Debian and Ubuntu: apt install iperf3")
        port = free_port()
        server = [program, "-s", "-1", "-B", "127.0.0.1", "-p", str(port), "-A", str(cpus.serving)]
        with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:
            try:
                return {name: run_iperf3(program, port, congestion, cpus)}
            finally:
                serving.terminate()

    return Probe((name,), f"iperf3 -c 127.0.0.1 -C {congestion} -t 2 -O 1", take)


def run_iperf3(program: str, port: int, congestion: str, cpus: Cpus) -> float:
    """The client's side of one run, in MB/s as the receiver counted."""
    client = [program, "-c", "127.0.0.1", "-p", str(port), "-C", congestion, "-A", str(cpus.measuring)]
    error = "no server"
    for _ in range(ATTEMPTS):
        done = subprocess.run([*client, "-t", "2", "-O", "1", "-J"], capture_output=True, text=True, check=False)
        result = json.loads(done.stdout or "{}")
        if "sum_received" in result.get("end", {}):
            return float(result["end"]["sum_received"]["bits_per_second"]) / 8e6
        error = str(result.get("error", "no result"))
        if "refused" not in error:
            break
        time.sleep(0.05)
    raise CommandError(f"iperf3 with {congestion}: {error}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def udp_pingpong(mode: str) -> Probe:
    """Half a round trip of 64 bytes over UDP in plain Python, in microseconds."""
    name = f"udp_pingpong_{mode}"

    def take(cpus: Cpus) -> Readings:
        words = [sys.executable, "-P", "-m", "apps.bench.pingpong", mode, str(cpus.serving), str(cpus.measuring)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=environment())
        return {name: float(done.stdout)}

    return Probe((name,), f"python -m apps.bench.pingpong {mode} 0 1", take)


def tcp_pingpong() -> Probe:
    """A round trip of the bytes of one 4 KiB read over TCP in plain Python, in microseconds."""

    def take(cpus: Cpus) -> Readings:
        words = [sys.executable, "-P", "-m", "apps.bench.tcp_pingpong", str(cpus.serving), str(cpus.measuring)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=environment())
        return {"tcp_pingpong": float(done.stdout)}

    return Probe(("tcp_pingpong",), "python -m apps.bench.tcp_pingpong 0 1", take)


def codec_bth() -> Probe:
    """A BTH decoded, and its twelve bytes only unpacked, in nanoseconds."""

    def take(_: Cpus) -> Readings:
        packet = Bth(opcode=7, pkey=0xFFFF, dest_qp=0x123456, ack_req=1, psn=0xABCDEF).encode()
        return {"codec_bth": nanoseconds(Bth.decode, packet), "struct_bth": nanoseconds(BARE_BTH.unpack_from, packet)}

    return Probe(("codec_bth", "struct_bth"), "baremetal bench --only codec_bth", take)


def nanoseconds(call: Callable[[bytes], object], argument: bytes) -> float:
    """What one call costs, the best of a few thousand-fold repetitions, without the loop around it."""
    count = 20_000
    with_call = min(timeit.repeat("call(argument)", globals={"call": call, "argument": argument}, number=count))
    return 1e9 * with_call / count


BARE_BTH = Struct(">BBHII")
ATTEMPTS = 50
"""How often to try until the server listens, 50 ms apart."""
