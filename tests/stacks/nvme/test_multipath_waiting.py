"""A subsystem over several paths: waiting for one, failing, stopping, and paths that come and go."""

from __future__ import annotations

import pytest

from stacks.nvme.host import Multipath, PathPolicy
from stacks.runtime import LocalError
from tests.stacks.nvme.multipath_rig import QUIET, Two
from tests.stacks.nvme.scripted import BLOCK, SECOND, ScriptedConnector, ScriptedController
from wire.nvme.status import StatusCode, status_word


def test_fast_fail_ends_what_waits_and_what_comes_later_at_once() -> None:
    two = Two(fast_io_fail_tmo=5)
    transfers = [two.read(block) for block in range(3)]
    two.connector.lose("a", "the first wire broke")
    two.connector.lose("b", "the second wire broke")
    two.a.is_there = two.b.is_there = False
    two.connector.advance(5 * SECOND - 1)
    assert not any(transfer.is_done for transfer in transfers)
    two.connector.advance(1)
    assert [transfer.ending for transfer in transfers] == ["the first wire broke"] * 3
    assert [transfer.status for transfer in transfers] == [StatusCode.HOST_PATH_ERROR] * 3
    late = two.read()
    assert late.is_done
    assert late.ending
    assert not two.multipath.is_over
    two.a.is_there = True
    two.connector.advance(10 * SECOND)
    after = two.read()
    assert len(two.a.held) == 1
    assert not after.is_done


def test_fast_fail_of_one_path_leaves_the_other_to_wait_for() -> None:
    two = Two(fast_io_fail_tmo=5)
    two.connector.lose("a")
    two.connector.advance(3 * SECOND)
    two.connector.lose("b")
    two.a.is_there = two.b.is_there = False
    transfer = two.read()
    two.connector.advance(3 * SECOND)
    assert not transfer.is_done
    two.connector.advance(2 * SECOND)
    assert transfer.is_done


def test_the_controller_loss_timeout_of_the_last_path_ends_everything() -> None:
    two = Two(ctrl_loss_tmo=60)
    transfer = two.read()
    two.connector.lose("a")
    two.connector.lose("b")
    two.a.is_there = two.b.is_there = False
    two.connector.advance(60 * SECOND - 1)
    assert not transfer.is_done
    two.connector.advance(1)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    assert transfer.ending.endswith("given up after 60 seconds")
    assert two.multipath.is_over
    assert "given up after 60 seconds" in two.multipath.failure
    with pytest.raises(LocalError, match="given up"):
        two.multipath.namespace(1)
    assert two.connector.policies == {}


def test_only_so_many_commands_wait() -> None:
    two = Two(waiting_max=10)
    namespace = two.namespace
    accepted = [two.read(block) for block in range(20)]
    two.connector.lose("a")
    two.connector.lose("b")
    refused = [namespace.read(block, memoryview(bytearray(BLOCK))) for block in range(5)]
    assert two.multipath.waiting == 20, "what was accepted before is kept"
    assert [transfer.ending for transfer in refused] == ["20 commands wait for a path already"] * 5
    two.connector.advance(10 * SECOND)
    two.connector.answer_held("a")
    assert all(transfer.is_done and not transfer.status for transfer in accepted)


def test_stopping_ends_what_is_under_way_and_what_waits() -> None:
    two = Two()
    under_way = two.read()
    two.connector.answer_held("a", status_word(StatusCode.NAMESPACE_NOT_READY, retry_delay=0))
    assert not under_way.is_done
    two.multipath.stop(two.connector.now)
    two.connector.run()
    assert (under_way.status, under_way.ending) == (StatusCode.HOST_PATH_ERROR, "shut down")
    assert two.multipath.is_over
    assert two.multipath.failure == ""


def test_stopping_ends_what_waits_for_its_delay() -> None:
    two = Two()
    two.multipath.remove(two.to_b, 0)
    two.a.identity.update(crdt1=600)
    two.to_a.reset(0)
    two.connector.run()
    transfer = two.read()
    two.connector.answer_held("a", status_word(StatusCode.COMMAND_INTERRUPTED, retry_delay=1))
    assert two.multipath.waiting == 1
    two.multipath.stop(two.connector.now)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    two.connector.advance(100 * SECOND)
    assert two.connector.policies == {}


def test_stopping_while_every_path_is_down_ends_what_waits() -> None:
    two = Two()
    transfer = two.read()
    two.connector.lose("a")
    two.connector.lose("b")
    two.multipath.stop(two.connector.now)
    assert transfer.status == StatusCode.HOST_PATH_ERROR
    two.connector.run()
    assert two.multipath.is_over
    assert two.connector.policies == {}
    assert two.connector.hosts == []


def test_a_path_that_is_taken_away_gives_its_commands_to_the_others() -> None:
    two = Two()
    transfer = two.write(3)
    two.multipath.remove(two.to_a, two.connector.now)
    two.connector.run()
    assert two.multipath.paths == [two.to_b]
    assert [command.cdw10 for command in two.b.held] == [3]
    two.connector.answer_held("b")
    assert (transfer.is_done, transfer.status) == (True, 0)


def test_a_path_that_comes_later_is_used() -> None:
    connector = ScriptedConnector(a=ScriptedController(), b=ScriptedController())
    multipath = Multipath(policy=PathPolicy.ROUND_ROBIN)
    connector.add(multipath, "a", **QUIET)
    namespace = multipath.namespace()
    connector.add(multipath, "b", **QUIET)
    for block in range(4):
        namespace.read(block, memoryview(bytearray(BLOCK)))
    connector.run()
    assert [len(connector.controllers[each].held) for each in "ab"] == [2, 2]
