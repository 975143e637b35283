"""Which hosts may connect, and which namespaces each of them has, changed while they do I/O."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Subsystem
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import NQN, sqe
from tests.stacks.nvme.fabrics_rig import BLOCK, FabricsRig, RigQueue, disk, host_nqn
from wire.nvme.identify_codec import IdentifyNamespace
from wire.nvme.opcodes import IoOpcode, LogPage
from wire.nvme.status import StatusCode

ONE, TWO = host_nqn("one"), host_nqn("two")


def test_a_host_that_may_not_connect_any_more_is_disconnected_and_others_stay() -> None:
    rig = FabricsRig()
    one, two = rig.host("one"), rig.host("two")
    rig.subsystem.allowed_hosts = [ONE, TWO]
    rig.settle()
    assert one.is_connected
    assert two.is_connected
    rig.subsystem.deny_host(ONE)
    rig.settle()
    assert (one.is_connected, two.is_connected) == (False, True)
    assert two.read() == 0
    refused = RigQueue(rig, rig.ports[0]).connect(host_nqn=ONE)
    assert (refused.status, refused.dw0) == (StatusCode.CONNECT_INVALID_HOST, 512 | 1 << 16)
    rig.subsystem.allow_host(ONE)
    assert rig.host("one").read() == 0


def test_commands_of_a_host_that_is_denied_end_in_the_store_and_nowhere_else() -> None:
    rig = FabricsRig()
    host = rig.host()
    free = rig.ports[0].pool.free_buffers
    cid = host.io.send(sqe(IoOpcode.READ, nsid=1), expect=BLOCK)
    waiting = host.io.send(sqe(IoOpcode.WRITE, nsid=1), data=bytes(BLOCK))
    (read,) = rig.target.poll_store_requests()
    rig.subsystem.allowed_hosts = []
    host.io.pump()
    assert host.io.answers[waiting].status == StatusCode.ABORTED_SQ_DELETION
    rig.target.handle_store_completions([read], rig.now)
    host.io.pump()
    rig.settle()
    assert host.io.answers[cid].status == 0
    assert not host.is_connected
    assert rig.ports[0].pool.free_buffers == free


def test_hosts_are_let_in_and_out_one_by_one() -> None:
    subsystem = Subsystem(NQN)
    with pytest.raises(LocalError, match="lets every host in"):
        subsystem.allow_host(ONE)
    with pytest.raises(LocalError, match="lets every host in"):
        subsystem.deny_host(ONE)
    subsystem.allowed_hosts = []
    assert not subsystem.admits(ONE)
    subsystem.allow_host(ONE)
    subsystem.allow_host(TWO)
    assert subsystem.allowed_hosts == {ONE, TWO}
    subsystem.deny_host(TWO)
    assert (subsystem.admits(ONE), subsystem.admits(TWO)) == (True, False)
    with pytest.raises(LocalError, match="may not connect"):
        subsystem.deny_host(TWO)
    subsystem.allowed_hosts = None
    assert subsystem.admits(TWO)


@pytest.mark.parametrize("name", ["", "one", "nqn.", "nqn." + "x" * 230])
def test_what_is_no_nqn_is_no_host(name: str) -> None:
    subsystem = disk()
    before = subsystem.allowed_hosts
    with pytest.raises(LocalError):
        subsystem.allowed_hosts = [ONE, name]
    with pytest.raises(LocalError):
        subsystem.set_visible_to(1, [name])
    assert subsystem.allowed_hosts is before
    assert subsystem.namespaces[1].visible_to is None


def test_a_host_is_kicked_and_may_come_back() -> None:
    rig = FabricsRig(ports=2)
    first, second, other = rig.host("one"), rig.host("one", port=1), rig.host("two")
    assert rig.subsystem.disconnect_host(ONE) == 2
    rig.settle()
    assert [each.is_connected for each in (first, second, other)] == [False, False, True]
    assert rig.subsystem.disconnect_host(ONE) == 0
    assert rig.host("one").read() == 0


def test_one_association_is_kicked() -> None:
    rig = FabricsRig()
    first, second = rig.host(), rig.host()
    rig.subsystem.disconnect_controller(first.cntlid)
    rig.settle()
    assert (first.is_connected, second.is_connected) == (False, True)
    with pytest.raises(LocalError, match="no controller"):
        rig.subsystem.disconnect_controller(first.cntlid)


def test_each_host_has_the_namespaces_that_are_shown_to_it() -> None:
    subsystem = Subsystem(NQN)
    for hosts in (None, [ONE], [TWO], []):
        subsystem.add_namespace(MemoryStore(16 * BLOCK), visible_to=hosts)
    rig = FabricsRig(subsystem)
    one, two = rig.host("one"), rig.host("two")
    assert (one.nsids(), two.nsids()) == ([1, 2], [1, 3])
    assert [one.read(nsid) for nsid in (1, 2, 3, 4)] == [0, 0, *2 * [StatusCode.INVALID_FIELD]]
    assert [two.read(nsid) for nsid in (1, 2, 3, 4)] == [0, StatusCode.INVALID_FIELD, 0, StatusCode.INVALID_FIELD]
    assert one.ana()[1][1] == [1, 2]
    assert two.ana()[1][1] == [1, 3]


def test_a_namespace_that_is_not_shown_is_inactive_in_every_way() -> None:
    subsystem = disk(16, 16)
    subsystem.set_visible_to(2, [TWO])
    host = FabricsRig(subsystem).host("one")
    assert host.admin.identify(0, nsid=2).data == bytes(4096)
    assert host.admin.identify(3, nsid=2).status == StatusCode.INVALID_FIELD
    assert host.admin.log_page(LogPage.SMART, 512, nsid=2).status == StatusCode.INVALID_FIELD
    for opcode in (IoOpcode.FLUSH, IoOpcode.READ, IoOpcode.WRITE, IoOpcode.COMPARE, IoOpcode.WRITE_ZEROES):
        answer = host.io.io(opcode, 0, 1, nsid=2, data=bytes(BLOCK) if opcode % 4 == 1 else b"")
        assert (answer.status, answer.word >> 15) == (StatusCode.INVALID_FIELD, 1), opcode
    assert host.nsids() == [1]


def test_a_change_of_mask_is_told_to_the_hosts_concerned() -> None:
    rig = FabricsRig(disk(16, 16))
    one, two = rig.host("one"), rig.host("two")
    rig.subsystem.set_visible_to(2, [ONE])
    assert (one.events(), two.events()) == ([], [0x00040002])
    assert (one.changed_nsids(), two.changed_nsids()) == ([], [2])
    rig.subsystem.show_namespace(2, TWO)
    assert (one.events(), two.events()) == ([], [0x00040002])
    assert (one.changed_nsids(), two.changed_nsids()) == ([], [2])
    assert two.read(2) == 0
    rig.subsystem.hide_namespace(2, ONE)
    assert (one.events(), two.events()) == ([0x00040002], [])
    assert one.nsids() == [1]


def test_a_namespace_that_nobody_sees_comes_and_goes_in_silence() -> None:
    rig = FabricsRig()
    host = rig.host()
    rig.subsystem.add_namespace(MemoryStore(16 * BLOCK), nsid=7, visible_to=[])
    rig.subsystem.resize_namespace(7)
    rig.subsystem.remove_namespace(7)
    assert host.events() == []
    assert host.changed_nsids() == []


def test_masks_are_changed_one_host_at_a_time_or_all_at_once() -> None:
    subsystem = disk()
    for change in (subsystem.show_namespace, subsystem.hide_namespace):
        with pytest.raises(LocalError, match="visible to every host"):
            change(1, ONE)
        with pytest.raises(LocalError, match="no namespace"):
            change(2, ONE)
    subsystem.set_visible_to(1, [])
    subsystem.show_namespace(1, ONE)
    subsystem.show_namespace(1, TWO)
    subsystem.hide_namespace(1, ONE)
    assert subsystem.namespaces[1].visible_to == {TWO}
    with pytest.raises(LocalError, match="not visible to"):
        subsystem.hide_namespace(1, ONE)
    subsystem.set_visible_to(1, None)
    assert subsystem.namespaces[1].is_visible_to(ONE)


def test_io_that_is_under_way_when_its_namespace_is_hidden_ends_in_good_order() -> None:
    rig = FabricsRig()
    host = rig.host()
    read = host.io.send(sqe(IoOpcode.READ, nsid=1), expect=BLOCK)
    write = host.io.send(sqe(IoOpcode.WRITE, nsid=1), data=bytes(BLOCK))
    rig.subsystem.set_visible_to(1, [])
    host.io.pump()
    assert host.io.answers[read].status == 0, "it had reached the store"
    assert host.io.answers[write].status == StatusCode.INVALID_FIELD
    assert host.read() == StatusCode.INVALID_FIELD
    rig.subsystem.set_visible_to(1, None)
    assert host.read() == 0


def test_more_changes_than_the_log_holds_are_told_as_all() -> None:
    subsystem = disk(1)
    rig = FabricsRig(subsystem)
    host = rig.host()
    host.admin.queue.controller.attachments.changed_nsids.update(range(1, 1026))  # type: ignore[union-attr]
    assert host.changed_nsids() == [0xFFFFFFFF]
    assert host.changed_nsids() == []


def test_a_reset_controller_has_no_news() -> None:
    rig = FabricsRig()
    host = rig.host()
    rig.subsystem.add_namespace(MemoryStore(16 * BLOCK))
    host.admin.set_property(0x14, 0)
    host.admin.set_property(0x14, 0x00460001)
    assert host.changed_nsids() == []
    assert host.nsids() == [1, 2]


def test_a_subsystem_serves_one_target() -> None:
    rig = FabricsRig()
    with pytest.raises(LocalError, match="served already"):
        FabricsRig(rig.subsystem)
    with pytest.raises(LocalError, match="there already"):
        rig.target.add_subsystem(Subsystem(NQN))
    subsystem = rig.target.remove_subsystem(NQN)
    assert FabricsRig(subsystem).host().read() == 0


def test_a_namespace_page_shows_what_its_host_has() -> None:
    host = FabricsRig().host()
    page = IdentifyNamespace.decode(host.admin.identify(0, nsid=1).data)
    assert (page.nsze, page.nuse, page.anagrpid) == (16, 16, 1)
