"""Disks over NBD, ours and those of others, all read by fio's nbd engine: 4 KiB at random places, 32 at a time.

Each serves 64 MiB of memory over a Unix socket, which fio fills with random data first. Ours is `nvme nbd` over TCP
from a `nvme target` with a memory store. The server is bound to the serving processor and fio to the measuring one, as
is our target, the third process, since there is more time left there.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from apps.addresses import free_loopback_address
from apps.bench.probes import Cpus, Probe, Readings
from apps.bench.yardsticks import bound, find
from apps.errors import CommandError
from apps.processes import ServingProcess

Serve = Callable[[Path, Cpus], AbstractContextManager[None]]
"""Serves a disk at the socket, bound to processors."""


def ours(*names: str) -> Probe:
    """`baremetal nvme nbd`; names: of the same reading."""
    return probe(names, our_disk, "baremetal nvme nbd nvme+tcp://127.0.0.2 --listen 'nbd+unix:///?socket=SOCKET'")


def nbdkit(name: str) -> Probe:
    """Nbdkit with its memory plugin."""
    return probe((name,), nbdkit_disk, f"nbdkit -f -U SOCKET memory {SIZE}")


def qemu_storage_daemon(name: str) -> Probe:
    """QEMU's storage daemon with a file in memory, since it has no memory of its own that holds data."""
    return probe((name,), qemu_disk, f"qemu-storage-daemon {' '.join(qemu_words('FILE', 'SOCKET'))}")


def probe(names: tuple[str, ...], serve: Serve, command: str) -> Probe:
    """Fio on a disk. command: what serves it, for people."""

    def take(cpus: Cpus) -> Readings:
        program = find("fio", "fio")
        with tempfile.TemporaryDirectory(prefix="baremetal-bench-") as folder:
            socket = Path(folder, "disk.sock")
            with serve(socket, cpus):
                iops = measure(program, f"nbd+unix:///?socket={socket}", cpus)
        return dict.fromkeys(names, iops / 1e3)

    return Probe(names, f"{command}; fio {' '.join(fio_words('nbd+unix:///?socket=SOCKET'))}", take)


def measure(program: str, uri: str, cpus: Cpus) -> float:
    """What fio reads a second, after it has filled the disk. CommandError when it fails."""
    command = [*bound(cpus.measuring), program, *fio_words(uri), "--output-format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CommandError(f"fio: {said[-1] if said else f'it ended with status {done.returncode}'}")
    return read_iops(done.stdout)


def read_iops(printed: str) -> float:
    """Reads a second of the last job in fio's JSON, before which it may print lines. CommandError without."""
    try:
        jobs = json.loads(printed[printed.index("{") :])["jobs"]
        return float(jobs[-1]["read"]["iops"])
    except (ValueError, LookupError, TypeError):
        raise CommandError("fio printed no figures that are known here") from None


def fio_words(uri: str) -> list[str]:
    """Fio's arguments: a job that fills, and then one that reads."""
    shared = ["--ioengine=nbd", f"--uri={uri}", f"--size={SIZE}"]
    filling = ["--name=fill", *shared, "--rw=write", "--bs=1m", "--iodepth=4", "--refill_buffers"]
    reading = ["--name=read", *shared, "--rw=randread", "--bs=4k", "--iodepth=32", "--time_based", "--runtime=2"]
    return [*filling, *reading, "--stonewall", "--norandommap"]


@contextlib.contextmanager
def our_disk(socket: Path, cpus: Cpus) -> Iterator[None]:
    """A target and `nvme nbd` before it, in a process each."""
    url, ends = f"nvme+tcp://{free_loopback_address()}", ["--until-stdin-ends", "--json"]
    target = ["nvme", "target", "--namespace", f"mem:{SIZE}", "--listen", url, *ends]
    nbd = ["nvme", "nbd", url, "--listen", f"nbd+unix:///?socket={socket}", *ends]
    with ServingProcess(target, cpu=cpus.measuring), ServingProcess(nbd, cpu=cpus.serving):
        yield


@contextlib.contextmanager
def nbdkit_disk(socket: Path, cpus: Cpus) -> Iterator[None]:
    """A process of nbdkit."""
    with process([find("nbdkit", "nbdkit"), "-f", "-U", str(socket), "memory", SIZE], socket, cpus):
        yield


@contextlib.contextmanager
def qemu_disk(socket: Path, cpus: Cpus) -> Iterator[None]:
    """A process of QEMU's storage daemon, on a file in shared memory."""
    program = find("qemu-storage-daemon", "qemu-system-common")
    if not MEMORY_FOLDER.is_dir():
        raise CommandError(f"{MEMORY_FOLDER} is missing, where files are in memory")
    with tempfile.NamedTemporaryFile(dir=MEMORY_FOLDER, prefix="baremetal-bench-") as file:
        os.truncate(file.name, 64 << 20)
        with process([program, *qemu_words(file.name, str(socket))], socket, cpus):
            yield


def qemu_words(file: str, socket: str) -> list[str]:
    """The storage daemon's arguments."""
    return [
        "--blockdev",
        f"driver=file,node-name=disk,filename={file}",
        "--nbd-server",
        f"addr.type=unix,addr.path={socket}",
        "--export",
        "type=nbd,id=disk,node-name=disk,name=,writable=on",
    ]


@contextlib.contextmanager
def process(command: list[str], socket: Path, cpus: Cpus) -> Iterator[None]:
    """A server that is there when its socket is. CommandError when it does not come about."""
    with subprocess.Popen(
        [*bound(cpus.serving), *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as serving:
        try:
            deadline = time.monotonic() + START_S
            while not socket.exists():
                if serving.poll() is not None or time.monotonic() > deadline:
                    serving.kill()
                    said = serving.communicate()[1].strip().splitlines()
                    raise CommandError(f"{Path(command[0]).name}: {said[-1] if said else 'it did not come to serve'}")
                time.sleep(0.02)
            yield
        finally:
            serving.kill()


SIZE = "64M"
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (it is memory that is wanted, and the name in it is random)
START_S = 10
LIMIT_S = 60
