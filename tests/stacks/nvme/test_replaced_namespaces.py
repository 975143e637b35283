"""A number that another namespace gets: what was meant for the old one never reaches the new one."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from stacks.nvme.host import Multipath
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.multipath_rig import PATIENT, QUIET
from tests.stacks.nvme.path_rig import BLOCK, PathRig, block_of
from tests.stacks.nvme.scripted import NAMESPACE_EVENT, Disk, ScriptedConnector, ScriptedController
from tests.stacks.nvme.transfers import SECOND


def test_whoever_asks_for_the_number_gets_the_new_namespace() -> None:
    rig = PathRig(MemoryStore(64 * BLOCK), MemoryStore(64 * BLOCK), tcp=2)
    rig.connect()
    old = rig.multipath.namespace(2)
    rig.subsystem.remove_namespace(2)
    rig.run_for(SECOND)
    assert sorted(rig.multipath.namespaces) == [1]
    store = MemoryStore(32 * BLOCK)
    rig.subsystem.add_namespace(store, nsid=2, identifier=uuid.uuid4())
    rig.run_for(SECOND)
    new = rig.multipath.namespace(2)
    assert new.block_count == 32
    assert rig.do(old.write(0, block_of(1))) != 0
    assert rig.do(new.write(1, block_of(2))) == 0
    assert rig.read(new, 0, 2) == bytes(BLOCK) + bytes(block_of(2))


def test_who_has_the_old_namespace_is_told_even_if_another_path_may_still_come() -> None:
    controller = ScriptedController()
    connector = ScriptedConnector(a=controller, b=ScriptedController(is_there=False))
    multipath = Multipath()
    connector.add(multipath, "a", policy=PATIENT, **QUIET)
    connector.add(multipath, "b", policy=replace(PATIENT, retries_first=True), **QUIET)
    old = multipath.namespace(1)
    controller.disks[1] = Disk(uuid=b"disk disk disk 2")
    connector.event("a", NAMESPACE_EVENT)
    writes = [old.write(block, block_of(1)) for block in range(3)]
    connector.run()
    assert all("its identifiers differ" in write.problem for write in writes)
    assert multipath.waiting == 0


@pytest.mark.parametrize("is_answered", [False, True])
def test_commands_for_the_old_namespace_are_not_sent_to_the_new_one(is_answered: bool) -> None:
    controller = ScriptedController()
    connector = ScriptedConnector(a=controller)
    multipath = Multipath()
    connector.add(multipath, "a", policy=PATIENT, **QUIET)
    old = multipath.namespace(1)
    under_way = old.write(0, block_of(1))
    connector.run()
    assert len(controller.held) == 1
    controller.disks[1] = Disk(uuid=b"disk disk disk 2")
    connector.event("a", NAMESPACE_EVENT)
    late = old.write(1, block_of(1))
    connector.run()
    assert late.is_done
    assert "its identifiers differ" in late.problem
    if is_answered:
        connector.answer_held("a")
        assert under_way.status == 0
    else:
        connector.lose("a")
        connector.advance(20 * SECOND)
        assert under_way.is_done
        assert under_way.status
    assert controller.held == []
    fresh = multipath.namespace(1)
    fresh.write(0, block_of(2))
    connector.run()
    assert len(controller.held) == 1
