"""What an initiator sends for a program's calls: pairs that stay together, copies cut to size, admin commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.nvme.host import CommandFailed, FeatureValue, HostCommand, HostConfig, HostController, HostQueue, pages
from stacks.nvme.host.admin import read_feature, read_identify, read_log, write_feature
from stacks.nvme.host.command import fuse
from stacks.nvme.host.copying import copy_batches
from stacks.nvme.host.queue import HostQueueEvent
from stacks.nvme.host.script import Steps
from stacks.nvme.stores import MemoryStore
from stacks.runtime import LocalError
from stacks.runtime.errors import StackError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_rig import TcpRig
from wire.nvme.identify_codec import IdentifyNamespace
from wire.nvme.logs_codec import SmartLog
from wire.nvme.opcodes import AdminOpcode, FeatureId, FeatureSelect, IoOpcode, LogPage
from wire.nvme.status import StatusCode


def open_queue(entries: int) -> HostQueue:
    queue = HostQueue(1, entries)
    queue.apply(HostQueueEvent.OPEN)
    queue.apply(HostQueueEvent.OPENED)
    return queue


def pair() -> tuple[HostCommand, HostCommand]:
    first, second = HostCommand(IoOpcode.COMPARE), HostCommand(IoOpcode.WRITE)
    fuse(first, second)
    return first, second


def test_a_pair_goes_out_at_once_with_nothing_between() -> None:
    queue = open_queue(8)
    lone, (first, second) = HostCommand(IoOpcode.READ), pair()
    queue.submit(lone, 0)
    queue.submit_pair(first, 0)
    assert queue.outgoing == [lone, first, second]
    assert (lone.flags, first.flags, second.flags) == (0x40, 0x41, 0x42)
    assert len({command.cid for command in queue.outgoing}) == 3


def test_a_pair_waits_until_both_have_a_cid_and_is_not_overtaken() -> None:
    queue = open_queue(4)
    lone = [HostCommand(IoOpcode.READ) for _ in range(2)]
    for command in lone:
        queue.submit(command, 0)
    first, second = pair()
    queue.submit_pair(first, 0)
    late = HostCommand(IoOpcode.READ)
    queue.submit(late, 0)
    assert queue.outgoing == lone
    queue.complete(lone[0], 0)
    assert queue.outgoing == [*lone, first, second]
    queue.complete(lone[1], 0)
    assert queue.outgoing == [*lone, first, second, late]


def test_pairs_and_commands_keep_their_order_through_a_full_queue() -> None:
    queue = open_queue(4)
    submitted: list[HostCommand] = []
    for index in range(60):
        if index % 3:
            submitted.append(HostCommand(IoOpcode.READ))
            queue.submit(submitted[-1], 0)
        else:
            submitted += pair()
            queue.submit_pair(submitted[-2], 0)
    sent: list[HostCommand] = []
    for command in submitted:
        sent += queue.outgoing
        queue.outgoing.clear()
        assert queue.command_of(command.cid) is command
        queue.complete(command, 0)
    assert sent == submitted
    assert queue.in_flight == 0


def test_a_lost_queue_ends_both_halves_of_a_waiting_pair() -> None:
    queue = open_queue(3)
    blocker, (first, second) = HostCommand(IoOpcode.READ), pair()
    queue.submit(blocker, 0)
    queue.submit_pair(first, 0)
    ended: list[HostCommand] = []
    for command in (blocker, first, second):
        command.done = ended.append
    for command in queue.lost("gone"):
        queue.abandon(command)
    assert ended == [blocker, first, second]
    first, second = pair()
    first.done = second.done = ended.append
    queue.submit_pair(first, 0)
    assert ended[3:] == [first, second]
    assert second.status == StatusCode.HOST_PATH_ERROR


def test_a_queue_for_one_command_takes_no_pair() -> None:
    with pytest.raises(LocalError, match="not for a fused pair"):
        open_queue(2).submit_pair(pair()[0], 0)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 500)), min_size=1, max_size=20),
    st.integers(1, 300),
    st.integers(1, 400),
    st.integers(0, 4),
)
def test_copies_are_cut_to_what_the_controller_takes(
    wanted: list[tuple[int, int]], mssrl: int, mcl: int, msrc: int
) -> None:
    batches = list(copy_batches(wanted, IdentifyNamespace(mssrl=mssrl, mcl=mcl, msrc=msrc)))
    for batch in batches:
        assert 1 <= len(batch) <= msrc + 1
        assert all(1 <= blocks <= mssrl for _, blocks in batch)
        assert sum(blocks for _, blocks in batch) <= mcl
    flat = [block + at for batch in batches for block, blocks in batch for at in range(blocks)]
    assert flat == [block + at for block, blocks in wanted for at in range(blocks)]


def run(rig: TcpRig, host: HostController, steps: Steps) -> None:
    outcome: list[StackError | None] = []
    host.run(steps, outcome.append, rig.simulation.now)
    rig.initiator_host.wake()
    rig.run_until(lambda: bool(outcome))
    if outcome[0] is not None:
        raise outcome[0]


@pytest.fixture
def rig() -> TcpRig:
    return TcpRig(MemoryStore(4 << 20, block_bytes=512), cuts=False)


@pytest.fixture
def host(rig: TcpRig) -> HostController:
    return rig.connect(HostConfig(nqn=NQN))


def test_blocks_are_copied_verified_and_spoiled_without_moving_data(rig: TcpRig, host: HostController) -> None:
    namespace = host.namespace()
    data = bytes(range(256)) * 20
    assert rig.do(namespace.write(0, memoryview(data))) == 0
    assert rig.do(namespace.copy(100, [(8, 2), (0, 1)], is_fua=True)) == 0
    assert rig.read(namespace, 100, 3) == data[4096:5120] + data[:512]
    assert rig.do(namespace.verify(0, namespace.block_count)) == 0
    assert rig.do(namespace.write_uncorrectable(101, 1)) == 0
    spoiled = namespace.verify(100, 3)
    assert rig.do(spoiled) == StatusCode.UNRECOVERED_READ_ERROR
    assert spoiled.problem == "unrecovered read error"


@pytest.mark.parametrize(
    ("block", "ranges", "message"),
    [
        (0, [], "no ranges"),
        (0, [(8191, 2)], "blocks 8191 to 8192 are not in a namespace of 8192"),
        (8190, [(0, 2), (5, 1)], "blocks 8190 to 8192 are not in a namespace of 8192"),
    ],
)
def test_a_copy_that_does_not_fit_is_not_sent(
    host: HostController, block: int, ranges: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(LocalError, match=message):
        host.namespace().copy(block, ranges)


def test_a_controller_that_cannot_copy_is_not_asked_to(host: HostController) -> None:
    namespace = host.namespace()
    namespace.describe(IdentifyNamespace(nsze=100), block_bytes=512)
    with pytest.raises(LocalError, match="does not copy"):
        namespace.copy(0, [(1, 1)])


def test_pages_come_as_structures_and_numbers_as_bytes(rig: TcpRig, host: HostController) -> None:
    found: list[memoryview] = []
    run(rig, host, read_identify(found, cns=pages.CONTROLLER.cns, nsid=0, csi=0))
    assert pages.CONTROLLER.decode(found[0]).cntlid == host.cntlid
    run(rig, host, read_identify(found, cns=pages.ACTIVE_NAMESPACES.cns, nsid=0, csi=0))
    assert pages.ACTIVE_NAMESPACES.decode(found[1]) == [1]
    run(rig, host, log(host, found, pages.COMMAND_EFFECTS.number, pages.COMMAND_EFFECTS.length))
    effects = pages.COMMAND_EFFECTS.decode(found[2])
    assert AdminOpcode.IDENTIFY in effects.admin
    assert effects.io[IoOpcode.WRITE].lba_content == 1
    assert effects.io[IoOpcode.READ].lba_content == 0
    run(rig, host, log(host, found, pages.ANA.number, pages.ANA.length))
    assert [(group.group, nsids) for group, nsids in pages.ANA.decode(found[3]).groups] == [(1, [1])]
    run(rig, host, log(host, found, pages.SUPPORTED_LOGS.number, pages.SUPPORTED_LOGS.length))
    assert LogPage.SMART in pages.SUPPORTED_LOGS.decode(found[4])


def log(host: HostController, found: list[memoryview], page: int, length: int, *, retain: bool = False) -> Steps:
    return read_log(host, found, page=page, length=length, nsid=0xFFFFFFFF, retain=retain, parameter=0)


def test_a_log_longer_than_a_transfer_is_read_in_pieces(rig: TcpRig, host: HostController) -> None:
    host.identity.mdts = 1
    found: list[memoryview] = []
    commands = list(log_commands(host, found, retain=False))
    assert [command.cdw12 for command in commands] == [0, 8192, 16384]
    assert [command.cdw10 >> 15 & 1 for command in commands] == [1, 1, 0]
    assert len(found[0]) == 20000


def log_commands(host: HostController, found: list[memoryview], *, retain: bool) -> Iterator[HostCommand]:
    steps = log(host, found, LogPage.ANA, 20000, retain=retain)
    command = next(steps)
    while True:
        assert isinstance(command, HostCommand)
        yield command
        try:
            command = steps.send(command)
        except StopIteration:
            return


@pytest.mark.parametrize("length", [0, 3, -4])
def test_a_log_of_no_whole_dwords_is_not_asked_for(rig: TcpRig, host: HostController, length: int) -> None:
    with pytest.raises(LocalError, match="no positive multiple of 4"):
        run(rig, host, log(host, [], LogPage.SMART, length))


def test_errors_in_the_log_are_those_that_happened(rig: TcpRig, host: HostController) -> None:
    found: list[memoryview] = []
    run(rig, host, log(host, found, pages.ERRORS.number, pages.ERRORS.length))
    assert pages.ERRORS.decode(found[0]) == []
    with pytest.raises(CommandFailed, match="read log page 0x77: invalid log page"):
        run(rig, host, log(host, found, 0x77, 4))
    run(rig, host, log(host, found, pages.ERRORS.number, pages.ERRORS.length))
    assert [entry.error_count for entry in pages.ERRORS.decode(found[1])] == [1]


def test_features_are_set_and_read_back(rig: TcpRig, host: HostController) -> None:
    values: list[int] = []
    found: list[FeatureValue] = []
    fid = FeatureId.VOLATILE_WRITE_CACHE
    run(rig, host, write_feature(values, fid=fid, value=0, nsid=0, data=b"", is_saved=False))
    run(rig, host, read_feature(found, fid=fid, select=0, value=0, nsid=0))
    run(rig, host, read_feature(found, fid=fid, select=FeatureSelect.DEFAULT, value=0, nsid=0))
    run(rig, host, read_feature(found, fid=FeatureId.HOST_IDENTIFIER, select=0, value=1, nsid=0))
    assert [each.value for each in found[:2]] == [0, 1]
    assert found[2].data == host.config.host_identifier
    with pytest.raises(CommandFailed, match="feature not saveable"):
        run(rig, host, write_feature(values, fid=fid, value=0, nsid=0, data=b"", is_saved=True))
    smart: list[memoryview] = []
    run(rig, host, log(host, smart, pages.SMART.number, pages.SMART.length))
    assert isinstance(pages.SMART.decode(smart[0]), SmartLog)
