"""QUIC over loopback: ours, aioquic, qh3 and ngtcp2, each as server and client of one file over HTTP/3.

A server is bound to the serving processor, a client to the measuring one. Rates are of the client: from its start to
its end, without the program's own; ngtcp2's tells no times, so what an empty file takes is taken off. All servers have
the same certificate; no client verifies it. The processor time of a datagram is that of all of the process while it
serves or fetches, over the datagrams that carry the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from apps.bench.probes import Cpus, Probe, Readings
from apps.bench.yardsticks import bound, find
from apps.errors import CommandError
from apps.perf.resident import resident_bytes
from apps.processes import ServingProcess, environment, run_measuring


@dataclass(frozen=True, slots=True)
class Room:
    """What all of one reading share. folder: with certificate, key and the file F. datagram_bytes: of UDP payload."""

    folder: Path
    cpus: Cpus
    datagram_bytes: int
    body_bytes: int

    @property
    def certificate(self) -> list[str]:
        """Certificate and key, PEM."""
        return [str(self.folder / "cert.pem"), str(self.folder / "key.pem")]

    @property
    def datagrams(self) -> int:
        """That carry the file, at least."""
        return -(-self.body_bytes // (self.datagram_bytes - OVERHEAD_BYTES))


@dataclass(frozen=True, slots=True)
class Server:
    """pid, port: of one that serves."""

    pid: int
    port: int

    @property
    def cpu_s(self) -> float:
        """Processor time that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


Serve = Callable[[Room], AbstractContextManager[Server]]
Fetch = Callable[[Room, int], tuple[float, float | None]]
"""Fetches the file from a port; MB/s and seconds of processor time, None where that is not known."""


def transfers() -> list[Probe]:
    """Files of some seconds between each server and client that a row or its yardstick has."""
    return [
        transfer(("quic_1452_self", "quic_1452_vs_ngtcp2"), ours, our_client, 200_000_000, cpu="quic_1452_self_cpu"),
        transfer(("aioquic_1452_self",), aioquic, aioquic_client, 20_000_000, cpu="aioquic_1452_self_cpu"),
        transfer(("ngtcp2_1452_self",), ngtcp2, ngtcp2_client, 400_000_000),
        transfer(("quic_1452_tx",), ours, ngtcp2_client, 200_000_000, cpu="quic_1452_tx_cpu"),
        transfer(("qh3_1452_tx",), qh3, ngtcp2_client, 50_000_000),
        transfer(("quic_1452_rx",), ngtcp2, our_client, 200_000_000, cpu="quic_1452_rx_cpu"),
        transfer(("aioquic_1452_rx",), ngtcp2, aioquic_client, 20_000_000),
        transfer(("quic_8900_self",), ours, our_client, 400_000_000, datagram_bytes=8900, cpu="quic_8900_self_cpu"),
        transfer(("aioquic_8900_self",), aioquic, aioquic_client, 60_000_000, datagram_bytes=8900),
    ]


def connections() -> list[Probe]:
    """Handshakes, and connections that do nothing."""
    return [
        handshakes("quic_handshakes", ours, OUR_HANDSHAKES),
        handshakes("aioquic_handshakes", aioquic, AIOQUIC_HANDSHAKES),
        idle("quic_idle_memory", ours),
        idle("aioquic_idle_memory", aioquic),
    ]


def transfer(
    names: tuple[str, ...], serve: Serve, fetch: Fetch, body_bytes: int, *, datagram_bytes: int = 1452, cpu: str = ""
) -> Probe:
    """MB/s under `names`; under `cpu` the processor time of a datagram at the costlier end that is one of ours."""

    def take(cpus: Cpus) -> Readings:
        with room(cpus, datagram_bytes, body_bytes) as shared, serve(shared) as server:
            before_s = server.cpu_s
            rate, client_s = fetch(shared, server.port)
            server_s = server.cpu_s - before_s if serve is not ngtcp2 else 0.0
            costlier = max(server_s, client_s or 0.0) * 1e6 / shared.datagrams
        return dict.fromkeys(names, rate) | ({cpu: costlier} if cpu else {})

    server_words, client_words = COMMANDS[serve], COMMANDS[fetch]
    words = f"{server_words}; {client_words}, {body_bytes // 1_000_000} MB, {datagram_bytes} bytes"
    return Probe((*names, cpu) if cpu else names, words, take)


def handshakes(name: str, serve: Serve, words: Sequence[str]) -> Probe:
    """Full handshakes a second, one after the other, each connection closed again."""

    def take(cpus: Cpus) -> Readings:
        with room(cpus, 1200, 0) as shared, serve(shared) as server:
            done = run_module([*words, str(cpus.measuring), str(server.port), "2"])
        return {name: float(done["handshakes_per_s"])}

    return Probe((name,), f"{COMMANDS[serve]}; python -m {' '.join(words)} CPU PORT 2", take)


def idle(name: str, serve: Serve) -> Probe:
    """By how much each of a thousand connections of our client makes a server grow, in KiB."""

    def take(cpus: Cpus) -> Readings:
        with room(cpus, 1200, 0) as shared, serve(shared) as server:
            run_module([*OUR_HANDSHAKES, str(cpus.measuring), str(server.port), "1"])
            before = resident_bytes(server.pid)
            words = ["apps.bench.quic_client", "idle", str(cpus.measuring), str(server.port), str(IDLE)]
            with module(words) as client:
                assert client.stdout is not None
                if client.stdout.readline().strip() != str(IDLE):
                    raise CommandError(f"{name}: the connections did not come about")
                after = resident_bytes(server.pid)
        assert before is not None
        assert after is not None
        return {name: (after - before) / 1024 / IDLE}

    return Probe((name,), f"{COMMANDS[serve]}; python -m apps.bench.quic_client idle CPU PORT {IDLE}", take)


# Servers


@contextlib.contextmanager
def ours(shared: Room) -> Iterator[Server]:
    """`baremetal quic serve`."""
    certificate, key = shared.certificate
    words = ["quic", "serve", str(shared.folder), "--listen", "127.0.0.1:0", "--cert", certificate, "--key", key]
    options = ["--max-datagram", str(shared.datagram_bytes), "--until-stdin-ends", "--json"]
    with ServingProcess([*words, *options], cpu=shared.cpus.serving) as serving:
        port = serving.ready["port"]
        assert isinstance(port, int)
        yield Server(serving.pid, port)


@contextlib.contextmanager
def library(name: str, shared: Room) -> Iterator[Server]:
    """Aioquic or qh3; CommandError where it is not installed."""
    port, cpu = free_udp_port(), str(shared.cpus.serving)
    words = [name, "serve", cpu, str(port), *shared.certificate, str(shared.datagram_bytes)]
    with module(["apps.bench.quic_library", *words]) as serving:
        assert serving.stdout is not None
        if serving.stdout.readline().strip() != "ready":
            raise CommandError(f"{name} did not come to serve; is it installed? pip install {name}")
        yield Server(serving.pid, port)


def aioquic(shared: Room) -> AbstractContextManager[Server]:
    """Its asyncio server."""
    return library("aioquic", shared)


def qh3(shared: Room) -> AbstractContextManager[Server]:
    """The same of qh3."""
    return library("qh3", shared)


@contextlib.contextmanager
def ngtcp2(shared: Room) -> Iterator[Server]:
    """The example server of ngtcp2 with GnuTLS."""
    program, port = find("gtlsserver", "ngtcp2-server"), free_udp_port()
    certificate, key = shared.certificate
    words = [program, *NGTCP2_QUIET, f"--max-udp-payload-size={shared.datagram_bytes}", "-d", str(shared.folder)]
    command = [*bound(shared.cpus.serving), *words, "127.0.0.1", str(port), key, certificate]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:
        try:
            time.sleep(0.3)
            if serving.poll() is not None:
                raise CommandError("gtlsserver did not come to serve")
            yield Server(serving.pid, port)
        finally:
            serving.kill()


# Clients


def our_client(shared: Room, port: int) -> tuple[float, float | None]:
    """`baremetal quic get`."""
    url = f"https://127.0.0.1:{port}/{shared.body_bytes}"
    options = ["--insecure", "--output", os.devnull, "--max-datagram", str(shared.datagram_bytes), "--json"]
    result = run_measuring(["quic", "get", url, *options], cpu=shared.cpus.measuring)
    duration_ns, cpu_ns = result["duration_ns"], result["cpu_ns"]
    assert isinstance(duration_ns, int)
    assert isinstance(cpu_ns, int)
    if result["bytes"] != shared.body_bytes:
        raise CommandError(f"{result['bytes']} bytes came of {shared.body_bytes}")
    return shared.body_bytes * 1e3 / duration_ns, cpu_ns / 1e9


def aioquic_client(shared: Room, port: int) -> tuple[float, float | None]:
    """Its asyncio client."""
    sizes = [str(shared.datagram_bytes), str(shared.body_bytes)]
    done = run_module(["apps.bench.quic_library", "aioquic", "get", str(shared.cpus.measuring), str(port), *sizes])
    return done["mb_per_s"], done["cpu_ns"] / 1e9


def ngtcp2_client(shared: Room, port: int) -> tuple[float, float | None]:
    """The example client of ngtcp2 with GnuTLS."""
    program = find("gtlsclient", "ngtcp2-client")

    def fetch(name: str) -> float:
        command = [*bound(shared.cpus.measuring), program, *NGTCP2_QUIET, "--exit-on-all-streams-close", "127.0.0.1"]
        started_ns = time.perf_counter_ns()
        done = subprocess.run(
            [*command, str(port), f"https://127.0.0.1:{port}/{name}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=LIMIT_S,
        )  # fmt: skip
        if done.returncode:
            raise CommandError(f"gtlsclient ended with status {done.returncode}: {done.stderr.strip()[-200:]}")
        return (time.perf_counter_ns() - started_ns) / 1e9

    nothing_s = fetch("1")
    return shared.body_bytes / 1e6 / (fetch(str(shared.body_bytes)) - nothing_s), None


# What they need


@contextlib.contextmanager
def room(cpus: Cpus, datagram_bytes: int, body_bytes: int) -> Iterator[Room]:
    """A folder in memory where there is one, with a certificate and a file named by its size."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (it is memory that is wanted)
    from stacks.quic.tls import make_self_signed  # aioquic takes long to load, and every command imports the rows

    with tempfile.TemporaryDirectory(prefix="baremetal-bench-", dir=memory) as folder:
        chain, key = make_self_signed(["localhost", "127.0.0.1"], random.SystemRandom(), unix_ns=time.time_ns())
        Path(folder, "cert.pem").write_bytes(chain)
        Path(folder, "key.pem").write_bytes(key)
        for size in {1, body_bytes}:
            with Path(folder, str(size)).open("wb") as file:
                file.writelines(BLOCK for _ in range(size // len(BLOCK)))
                file.write(BLOCK[: size % len(BLOCK)])
        yield Room(Path(folder), cpus, datagram_bytes, body_bytes)


@contextlib.contextmanager
def module(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """`python -m WORDS`, which ends when its input does."""
    command = [sys.executable, "-P", "-m", *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run_module(words: Sequence[str]) -> Mapping[str, float]:
    """`python -m WORDS`, and the JSON that it prints. CommandError with its last line where it fails."""
    command = [sys.executable, "-P", "-m", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment())
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CommandError(f"{words[0]}: {said[-1] if said else f'status {done.returncode}'}")
    result: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def free_udp_port() -> int:
    """A UDP port of 127.0.0.1 that was free a moment ago."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


OUR_HANDSHAKES = ("apps.bench.quic_client", "handshakes")
AIOQUIC_HANDSHAKES = ("apps.bench.quic_library", "aioquic", "handshakes")
NGTCP2_QUIET = ("-q", "--no-quic-dump", "--no-http-dump")
COMMANDS: Mapping[object, str] = {
    ours: "baremetal quic serve",
    aioquic: "python -m apps.bench.quic_library aioquic serve",
    qh3: "python -m apps.bench.quic_library qh3 serve",
    ngtcp2: "gtlsserver",
    our_client: "baremetal quic get",
    aioquic_client: "python -m apps.bench.quic_library aioquic get",
    ngtcp2_client: "gtlsclient",
}
BLOCK = bytes(range(256)) * 4096
OVERHEAD_BYTES = 40
"""Of header, tag and frames, about."""
IDLE = 1000
LIMIT_S = 60
