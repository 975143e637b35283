"""`baremetal nvme nbd` before programs of others: qemu-img, nbdcopy, nbdinfo and fio use a namespace as a disk.

    program -> NBD -> nvme nbd -> RoCE or TCP -> nvme target -> an image file

What they wrote must be in the image, what they read must be what is in it, and fio's checksums must hold on both sides.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.addresses import free_loopback_address
from apps.processes import ServingProcess
from interop.outcome import DisagreementError, require


@dataclass(frozen=True, slots=True)
class Disk:
    """A served namespace. uri: where it is; image: the target's file."""

    uri: str
    image: Path


def tools(scratch: Path, *, transport: str, size: int) -> str:
    """What qemu-img and nbdcopy bring to the disk is in the image, and what they bring back is the same."""
    require("qemu-img", package="qemu-utils")
    require("nbdcopy", package="libnbd-bin")
    with served(scratch, transport, size) as disk:
        return f"{qemu_img(scratch, disk, size)}; {nbdcopy(scratch, disk, size)}; over {transport}"


def qemu_img(scratch: Path, disk: Disk, size: int) -> str:
    """qemu-img knows the size, converts an image with holes to the disk and back, and finds no difference."""
    source, back = scratch / "source.raw", scratch / "back.qcow2"
    write_sparse(source, size // 2, seed=1)
    info = json.loads(run("qemu-img", "info", "--output=json", disk.uri))
    if info["virtual-size"] != size:
        raise DisagreementError(f"qemu-img sees {info['virtual-size']} bytes, the image has {size}")
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, disk.uri)
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, disk.uri)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk.uri, back)
    run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", back, disk.uri)
    check_same(source, disk.image, size // 2)
    return f"qemu-img: {size >> 21} MiB converted to the disk and back, and compared"


def nbdcopy(scratch: Path, disk: Disk, size: int) -> str:
    """nbdcopy, over four connections, brings a file to the disk and the disk into a file; nbdinfo says what it can."""
    source, back = scratch / "full.raw", scratch / "back.raw"
    write_sparse(source, size, seed=2)
    back.touch()
    (export,) = json.loads(run("nbdinfo", "--json", disk.uri))["exports"]
    missing = [name for name in CAN if not export[name]]
    sizes = [export[name] for name in ("export-size", "block_size_minimum", "block_size_preferred")]
    if missing or sizes != [size, 1, 4096]:
        raise DisagreementError(f"nbdinfo misses {', '.join(missing) or 'a size'} in {export}")
    run("nbdcopy", "--flush", source, disk.uri)
    run("nbdcopy", disk.uri, back)
    check_same(source, disk.image, size)
    check_same(source, back, size)
    return f"nbdcopy: {size >> 20} MiB both ways, sha256 {sha256(back, size)[:16]}..."


def fio(scratch: Path, *, transport: str, size: int) -> str:
    """What fio writes at random it finds again, over NBD and once more in the target's file."""
    require("fio", package="fio")
    # Once over all of it: with --time_based, fio loses count of what it wrote last, before any server.
    job = [*FIO, f"--size={size}"]
    with served(scratch, transport, size) as disk:
        report = run("fio", *job, "--ioengine=nbd", "--iodepth=32", f"--uri={disk.uri}", "--output-format=json")
    document = json.loads(report[report.index("{") :])["jobs"][0]
    if document["error"]:
        raise DisagreementError(report)
    run("fio", *job, "--ioengine=psync", f"--filename={disk.image}", "--verify_only")
    written, read = (document[way]["io_bytes"] for way in ("write", "read"))
    return f"fio: {written >> 20} MiB written, {read >> 20} MiB read and verified over {transport}, and in the file"


@contextlib.contextmanager
def served(scratch: Path, transport: str, size: int) -> Iterator[Disk]:
    """An image in `scratch`, served by a target, and by `nvme nbd` from there; both end in order, or it disagrees."""
    image, socket = scratch / "disk.img", scratch / "disk.sock"
    with image.open("wb") as file:
        file.truncate(size)
    url = f"nvme+{transport}://{free_loopback_address()}"
    uri = f"nbd+unix:///disk?socket={socket}"
    ends = ["--until-stdin-ends", "--json"]
    with (
        ServingProcess(["nvme", "target", "--namespace", str(image), "--listen", url, *ends]) as target,
        ServingProcess(["nvme", "nbd", url, "--listen", uri, *ends]) as nbd,
    ):
        yield Disk(uri, image)
        outcomes = nbd.stop(), target.stop()
    if any(outcomes) or socket.exists():
        left = ", and left the socket" if socket.exists() else ""
        raise DisagreementError(f"nbd and target ended with {outcomes}{left}")


def run(*command: str | Path) -> str:
    """What a program prints. DisagreementError with its own words when it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise DisagreementError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}")
    return done.stdout


def write_sparse(path: Path, size: int, *, seed: int) -> None:
    """A file of random data with holes."""
    rng = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size)
        for at in range(0, size, 1 << 20):
            file.seek(at + rng.randrange(64) * 512)
            file.write(rng.randbytes(rng.randrange(1, 512) * 1024)[: size - file.tell()])


def check_same(one: Path, other: Path, size: int) -> None:
    """DisagreementError when the first `size` bytes of two files differ."""
    if sha256(one, size) != sha256(other, size):
        raise DisagreementError(f"{one} and {other} differ in their first {size} bytes")


def sha256(path: Path, size: int) -> str:
    """The digest of the first `size` bytes, as text."""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


FIO: Sequence[str] = (
    "--name=verify",
    "--rw=randrw",
    "--bsrange=4k-128k",
    "--verify=crc32c",
    "--do_verify=1",
    "--verify_fatal=1",
    "--verify_state_save=0",
    "--fsync=64",
    "--randseed=4",
)
CAN = ("can_df", "can_fast_zero", "can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero")
LIMIT_S = 300
