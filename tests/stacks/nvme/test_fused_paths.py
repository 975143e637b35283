"""Fused pairs of a host with several paths, over both transports: sent together, kept together, never sent twice."""

from __future__ import annotations

import pytest

from stacks.nvme.host import PathPolicy
from stacks.nvme.stores import MemoryStore
from stacks.runtime import LocalError
from tests.stacks.nvme.path_rig import BLOCK, PathRig, block_of
from tests.stacks.nvme.transfers import SECOND
from transports.simulation import Impairments
from wire.nvme.status import StatusCode

ZERO, ONE, TWO = block_of(0), block_of(1), block_of(2)


@pytest.mark.parametrize(("tcp", "rdma"), [(1, 0), (0, 1), (2, 2)])
def test_a_pair_is_one_step_over_any_path(tcp: int, rdma: int) -> None:
    rig = PathRig(tcp=tcp, rdma=rdma, policy=PathPolicy.ROUND_ROBIN)
    namespace = rig.connect()
    assert namespace.compare_and_write_blocks == 16
    assert rig.do(namespace.compare_and_write(5, ZERO, ONE)) == 0
    assert rig.do(namespace.compare_and_write(5, ZERO, TWO)) == StatusCode.COMPARE_FAILURE
    assert rig.do(namespace.compare_and_write(5, ONE, TWO, is_fua=True)) == 0
    large = memoryview(bytes(TWO) * 16)
    assert rig.do(namespace.compare_and_write(8, memoryview(bytes(16 * BLOCK)), large)) == 0
    assert rig.read(namespace, 5) == bytes(TWO)
    assert rig.read(namespace, 8, 16) == bytes(large)


@pytest.mark.parametrize("rdma", [0, 1])
def test_pairs_among_other_commands_on_short_queues_stay_together(rdma: int) -> None:
    rig = PathRig(tcp=1 - rdma, rdma=rdma)
    namespace = rig.connect(queue_entries=4, io_queues=1)
    transfers = []
    for number in range(12):
        transfers.append(namespace.write(20 + number, block_of(number)))
        transfers.append(namespace.compare_and_write(5, block_of(number), block_of(number + 1)))
        transfers.append(namespace.read(number, memoryview(bytearray(BLOCK))))
    rig.finish(*transfers)
    assert {transfer.status for transfer in transfers} == {0}
    assert rig.read(namespace, 5) == bytes(block_of(12))


def test_a_queue_without_room_for_two_commands_has_no_pairs() -> None:
    rig = PathRig()
    namespace = rig.connect(queue_entries=2, io_queues=1)
    assert namespace.compare_and_write_blocks == 0
    with pytest.raises(LocalError, match="no fused compare and write"):
        namespace.compare_and_write(0, ZERO, ONE)
    assert rig.do(namespace.write(0, ONE)) == 0


class Watched(MemoryStore):
    """A store that counts what it writes."""

    writes = 0

    def write(self, block: int, data: object) -> None:
        self.writes += 1
        super().write(block, data)  # type: ignore[arg-type]


def test_a_pair_whose_path_goes_fails_and_is_not_sent_another_way() -> None:
    # It may have been done: then sending it again would fail to compare, and half of it would be another command.
    store = Watched(64 * BLOCK)
    rig = PathRig(store, tcp=2)
    namespace = rig.connect()
    transfer, beside = namespace.compare_and_write(5, ZERO, ONE), namespace.write(6, TWO)
    rig.run_for(1000)
    rig.close_port(rig.addresses[0])
    rig.finish(transfer, beside)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    assert beside.status == 0, "which is sent another way"
    assert store.writes <= 2
    expected = rig.read(namespace, 5)
    assert rig.do(namespace.compare_and_write(5, memoryview(expected), TWO)) == 0


def test_a_pair_without_a_path_waits_for_one() -> None:
    rig = PathRig()
    namespace = rig.connect()
    rig.kill_target()
    rig.run_until(lambda: not rig.multipath.is_live)
    transfer = namespace.compare_and_write(5, ZERO, ONE)
    rig.run_for(SECOND)
    assert not transfer.is_done
    rig.start_target()
    assert rig.do(transfer) == 0
    assert rig.read(namespace, 5) == bytes(ONE)


def test_a_pair_that_no_path_will_take_fails_as_a_whole() -> None:
    rig = PathRig()
    namespace = rig.connect()
    rig.kill_target()
    rig.run_until(lambda: not rig.multipath.is_live)
    transfer = namespace.compare_and_write(5, ZERO, ONE)
    rig.multipath.stop(rig.simulation.now)
    rig.finish(transfer)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    assert transfer.problem


@pytest.mark.parametrize("seed", range(3))
def test_a_lossy_network_does_not_take_pairs_apart(seed: int) -> None:
    rig = PathRig(tcp=0, rdma=1, seed=seed, impairments=Impairments(loss=0.02, duplication=0.02, reordering=0.02))
    namespace = rig.connect()
    for number in range(30):
        pairs = [namespace.compare_and_write(5, block_of(number), block_of(number + 1)) for _ in range(3)]
        rig.finish(*pairs)
        assert sorted(pair.status for pair in pairs) == [0] + [StatusCode.COMPARE_FAILURE] * 2
    assert rig.read(namespace, 5) == bytes(block_of(30))
