"""What a target's process takes of memory, while it serves much more than a machine has."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess
from stacks.nvme.host import HostConfig
from stacks.nvme.stores import create_image
from stacks.nvme.sync import Namespace, connect

pytestmark = pytest.mark.slow

MIB, TIB = 1 << 20, 1 << 40
RESIDENT_MAX_BYTES = 200_000_000
DEPTH = 32


def peak_resident_bytes(process: int) -> int:
    """The most memory that a process has had at a time (VmHWM of proc(5))."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("/proc does not say")


def load(namespace: Namespace, rng: random.Random) -> None:
    """I/O of every size all over the namespace, many commands at a time."""
    memory = bytearray(DEPTH * MIB)
    region = namespace.register(memory)
    for length, rounds in ((4096, 60), (128 << 10, 20), (MIB, 8)):
        for count in range(rounds):
            start = namespace.submit_write if count % 4 == 0 else namespace.submit_read
            transfers = [
                start(int(rng.random() * (namespace.block_count - 256)), region, offset=index * MIB, length=length)
                for index in range(DEPTH)
            ]
            while not all(transfer.is_done for transfer in transfers):
                if not namespace.poll():
                    namespace.wait(1_000_000)
            assert not [transfer.problem for transfer in transfers if transfer.status]
        namespace.flush()


def test_a_target_of_a_tebibyte_stays_small(loopback_addresses: Iterator[str], tmp_path: Path) -> None:
    image = tmp_path / "big.img"
    create_image(str(image), TIB)
    there, here = next(loopback_addresses), next(loopback_addresses)
    words = ["nvme", "target", "--namespace", str(image), "--listen", f"nvme+rdma://{there}", "--json"]
    with ServingProcess([*words, "--until-stdin-ends"]) as target:
        with connect(f"nvme+rdma://{there}", local=here, config=HostConfig(io_queues=4)) as namespace:
            assert namespace.size_bytes == TIB
            load(namespace, random.Random(1))
        assert peak_resident_bytes(target.pid) < RESIDENT_MAX_BYTES
        print(f"peak {peak_resident_bytes(target.pid) / 1e6:.0f} MB")
        assert target.stop() == 0
