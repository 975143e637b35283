"""What an initiator makes of what a controller says, with the controller's answers written here."""

from __future__ import annotations

import pytest

from stacks.nvme.host import HostCommand, HostConfig, HostController, HostQueue
from stacks.nvme.host.bring_up import refresh_namespaces
from stacks.nvme.host.queue import HostQueueEvent
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN
from wire.nvme.identify_codec import IdentifyNamespace, LbaFormat
from wire.nvme.opcodes import AdminOpcode, IdentifyCns, IoOpcode
from wire.nvme.text import encode_nsids

Formats = dict[int, LbaFormat]


def refresh(host: HostController, formats: Formats) -> int:
    """Run the script against a controller with these namespaces; how many commands it took."""
    script = refresh_namespaces(host)
    command, count = next(script), 0
    while True:
        assert isinstance(command, HostCommand)
        answer_identify(command, formats)
        count += 1
        try:
            command = script.send(command)
        except StopIteration:
            return count


def answer_identify(command: HostCommand, formats: Formats) -> None:
    """What the controller answers to Identify of a list, or of a namespace."""
    assert command.opcode == AdminOpcode.IDENTIFY
    assert command.data is not None
    if command.cdw10 == IdentifyCns.ACTIVE_NAMESPACES:
        after = [nsid for nsid in sorted(formats) if nsid > command.nsid]
        command.data[:] = encode_nsids(after[:1024], 4096)
    else:
        lbaf = formats[command.nsid].encode().ljust(256, b"\0")
        command.data[:] = IdentifyNamespace(nsze=1000, lbaf=lbaf).encode()


@pytest.fixture
def host() -> HostController:
    return HostController(HostConfig(nqn=NQN), max_transfer_bytes=1 << 20)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 3000])
def test_any_number_of_namespaces_is_found(host: HostController, count: int) -> None:
    formats = {2 * index: LbaFormat(lbads=12) for index in range(1, count + 1)}
    assert refresh(host, formats) == count + count // 1024 + 1
    assert sorted(host.namespaces) == sorted(formats)


def test_the_list_of_namespaces_ends_with_the_last_possible_one(host: HostController) -> None:
    formats = {0xFFFFFFFE - index: LbaFormat(lbads=12) for index in range(1024)}
    assert refresh(host, formats) == 1025


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        (LbaFormat(lbads=0), r"2\^0 bytes"),
        (LbaFormat(lbads=8), r"2\^8 bytes"),
        (LbaFormat(lbads=17), r"2\^17 bytes"),
        (LbaFormat(lbads=255), r"2\^255 bytes"),
        (LbaFormat(lbads=12, ms=8), "8 bytes of metadata"),
    ],
)
def test_a_namespace_with_blocks_that_are_not_supported_is_hidden_with_the_reason(
    host: HostController, layout: LbaFormat, reason: str
) -> None:
    refresh(host, {1: layout, 2: LbaFormat(lbads=9), 3: LbaFormat(lbads=16)})
    assert sorted(host.namespaces) == [2, 3]
    with pytest.raises(LocalError, match=reason):
        host.namespace(1)


def test_a_namespace_whose_blocks_are_larger_than_one_command_may_move_is_hidden(host: HostController) -> None:
    host.identity.mdts = 1
    refresh(host, {1: LbaFormat(lbads=13), 2: LbaFormat(lbads=14)})
    assert sorted(host.namespaces) == [1]
    with pytest.raises(LocalError, match="16384 bytes are more than the 8192"):
        host.namespace(2)


def test_nobody_connects_without_saying_whereto() -> None:
    with pytest.raises(LocalError, match="say which subsystem"):
        HostController(HostConfig()).start(0)


def open_queue(entries: int = 3) -> HostQueue:
    queue = HostQueue(1, entries)
    queue.apply(HostQueueEvent.OPEN)
    queue.apply(HostQueueEvent.OPENED)
    return queue


def test_a_place_is_used_again_under_another_cid() -> None:
    queue = open_queue()
    cids = []
    for _ in range(20):
        command = HostCommand(IoOpcode.FLUSH.value, 1)
        queue.submit(command, 0)
        cids.append(command.cid)
        assert queue.command_of(command.cid) is command
        queue.complete(command, 0)
    assert {cid & 0xFFF for cid in cids} == {0}
    assert [cid >> 12 for cid in cids] == [index % 16 for index in range(20)]


def test_an_answer_that_comes_twice_does_not_end_the_next_command() -> None:
    queue = open_queue(entries=2)
    first, second = HostCommand(IoOpcode.FLUSH.value, 1), HostCommand(IoOpcode.FLUSH.value, 1)
    queue.submit(first, 0)
    queue.submit(second, 0)
    answered = first.cid
    queue.complete(first, 0)
    assert second.cid != answered
    assert queue.command_of(answered) is None
    assert (queue.stale_cids, queue.unknown_cids) == (1, 0)
    assert queue.command_of(second.cid) is second


def test_an_answer_to_nobody_is_counted() -> None:
    queue = open_queue()
    assert queue.command_of(0) is None
    assert queue.command_of(0xFFFF) is None
    assert (queue.stale_cids, queue.unknown_cids) == (0, 2)
