"""Power cuts under a writer that verifies, through host, binding, target and the store with faults: what was flushed is
there, also where writes are torn.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stacks.nvme.host import ReconnectPolicy
from stacks.nvme.stores import FaultyStore, VolatileStore, create_image, open_store
from tests.stacks.nvme.durable_model import BLOCK, DurableModel, Writer
from tests.stacks.nvme.path_rig import PathRig
from tests.stacks.nvme.transfers import SECOND

pytestmark = pytest.mark.slow

BLOCKS = 256
SIZE = BLOCKS * BLOCK


def cut_power(store: FaultyStore, transport: str, *, cuts: int, seed: int) -> Writer:
    """Cut the power `cuts` times at random moments; AssertionError for the first block that is not as it must be."""
    rng = random.Random(seed)
    rig = PathRig(store, tcp=int(transport == "tcp"), rdma=int(transport == "rdma"), seed=seed)
    namespace = rig.connect(policy=ReconnectPolicy(reconnect_delay=1))
    model = DurableModel(BLOCKS)
    writer = Writer(namespace, model, rng, depth=12)
    for _ in range(cuts):
        moment = writer.operations + 20 + int(rng.random() * 60)
        rig.run_until(lambda moment=moment: writer.operations >= moment)  # type: ignore[misc]
        rig.run_for(int(rng.random() * 50_000))
        rig.kill_target()
        store.power_cut()
        # What the target had said before still arrives.
        rig.run_for(SECOND // 10)
        model.cut(store)
        rig.start_target()
        assert writer.problems == []
    writer.is_stopped = True
    rig.run_until(lambda: writer.is_idle)
    assert writer.problems == []
    content = rig.read(namespace, 0, BLOCKS)
    assert content == b"".join(model.current(block) for block in range(BLOCKS))
    (path,) = rig.multipath.paths
    assert path.losses == model.lives == cuts
    return writer


def faulty(kind: str, folder: Path, seed: int) -> FaultyStore:
    if kind == "file":
        create_image(str(folder / "disk.img"), SIZE)
    inner = {"mem": f"mem:{SIZE}", "file": "file:disk.img"}[kind]
    store = open_store(f"faulty:{inner}+cache+seed={seed}", folder=folder)
    assert isinstance(store, FaultyStore)
    return store


def prove(kind: str, transport: str, folder: Path, *, cuts: int, seed: int) -> None:
    store = faulty(kind, folder, seed)
    try:
        writer = cut_power(store, transport, cuts=cuts, seed=seed)
        report = store.report()
        assert report.power_cuts == cuts
        assert writer.flushes > cuts
        assert min(report.dropped, report.torn) > cuts
    finally:
        store.close()


@pytest.mark.parametrize(("kind", "transport"), [("mem", "tcp"), ("file", "rdma")])
def test_power_cuts_lose_nothing_that_was_flushed(kind: str, transport: str, tmp_path: Path) -> None:
    prove(kind, transport, tmp_path, cuts=12, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["mem", "file"])
@pytest.mark.parametrize("transport", ["tcp", "rdma"])
@pytest.mark.parametrize("seed", range(3))
def test_fifty_power_cuts_lose_nothing_that_was_flushed(kind: str, transport: str, seed: int, tmp_path: Path) -> None:
    prove(kind, transport, tmp_path, cuts=50, seed=seed)


@pytest.mark.parametrize("transport", ["tcp", "rdma"])
def test_a_store_whose_flush_does_nothing_does_not_pass(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VolatileStore, "flush", lambda store: None)
    with pytest.raises(AssertionError, match="lost what was flushed"):
        cut_power(faulty("mem", tmp_path, 1), transport, cuts=6, seed=1)
