"""fio in the guest: blocks written at random places, many at once, and every one of them read back and compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from interop.nvme_guest.fabric import DIGESTS
from interop.nvme_guest.session import Stage
from interop.outcome import DisagreementError


@dataclass(frozen=True, slots=True)
class Workload:
    """What fio does: random writes until each of `size_bytes` is written once, then reads that verify them.

    block_sizes: bytes, or a range `4k-32k`. depth: how many commands are under way. iops: at most, 0 for no limit.
    """

    size_bytes: int = 1 << 20
    block_sizes: str = "4k"
    depth: int = 32
    iops: int = 0

    def command(self, disk: str, *, seed: str = "1") -> str:
        """The command line, for the guest's shell."""
        return f"fio --filename={disk} --direct=1 --ioengine=libaio {self._words(seed)}"

    def nbd_command(self, uri: str, *, seed: str = "1") -> list[str]:
        """The command line for a disk that is served over NBD, for this machine."""
        return ["fio", "--ioengine=nbd", f"--uri={uri}", *self._words(seed).split()]

    def _words(self, seed: str) -> str:
        words = "--name=verify --rw=randwrite --verify=crc32c --verify_fatal=1 --output-format=json"
        words += f" --size={self.size_bytes} --bsrange={_range(self.block_sizes)} --iodepth={self.depth}"
        rate = f" --rate_iops={self.iops},{self.iops}" if self.iops else ""
        return f"{words} --randseed={seed}{rate}"


def verified(output: str, size_bytes: int) -> str:
    """What fio's JSON tells, in words; DisagreementError unless all was written, all was read, and nothing differed."""
    try:
        [job] = json.loads(output[output.index("{") :])["jobs"]
        read, written = job["read"]["io_bytes"], job["write"]["io_bytes"]
        depth = max(int(name.strip(">=")) for name, percent in job["iodepth_level"].items() if percent)
        error = job["error"]
    except (ValueError, KeyError, TypeError) as problem:
        raise DisagreementError(f"this is no report of fio's: {output[-500:]}") from problem
    if error or read != size_bytes or written != size_bytes:
        moved = f"{written} bytes written and {read} verified of {size_bytes}"
        raise DisagreementError(f"fio ends with error {error}, {moved}")
    return f"{job['write']['total_ios']} writes and {job['read']['total_ios']} reads, up to {depth} at once, verified"


def fio_verify(stage: Stage) -> str:
    """Random writes of mixed sizes at queue depth 32, each read back; over TCP, with each kind of digests."""
    kernel, fabric = stage.kernel, stage.fabric
    lines: list[str] = []
    with stage.target(str(stage.image())):
        for digests in DIGESTS if fabric.transport == "tcp" else (fabric.digests,):
            disk = kernel.connect(replace(fabric, digests=digests))
            praise = verified(kernel.run(MIXED.command(disk, seed=str(len(lines)))), MIXED.size_bytes)
            lines.append(f"digests {digests}: {praise}" if fabric.transport == "tcp" else praise)
            kernel.disconnect()
    return "; ".join(lines)


def _range(sizes: str) -> str:
    return sizes if "-" in sizes else f"{sizes}-{sizes}"


MIXED = Workload(size_bytes=512 << 10, block_sizes="4k-16k")
