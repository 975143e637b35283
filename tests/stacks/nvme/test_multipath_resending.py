"""A subsystem over several paths: what is sent again, where, when and how often. With scripted controllers."""

from __future__ import annotations

from collections import Counter

import pytest

from stacks.nvme.host import HostCommand, Multipath, PathPolicy
from stacks.nvme.host.ana import INACCESSIBLE, OPTIMIZED, PERSISTENT_LOSS
from tests.stacks.nvme.multipath_rig import QUIET, Two
from tests.stacks.nvme.scripted import BLOCK, SECOND, ScriptedConnector, ScriptedController
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.status import StatusCode, status_word


def test_what_was_under_way_on_a_lost_path_goes_out_on_the_other_in_order() -> None:
    two = Two()
    transfers = [two.write(block) for block in range(50)]
    two.connector.lose("a")
    assert [command.cdw10 for command in two.b.held] == list(range(50))
    assert two.multipath.failovers == 50
    two.connector.answer_held("b")
    assert [(transfer.is_done, transfer.status) for transfer in transfers] == [(True, 0)] * 50


def test_what_waited_for_room_on_a_lost_path_goes_with_the_rest() -> None:
    connector = ScriptedConnector(a=ScriptedController(), b=ScriptedController())
    multipath = Multipath()
    connector.add(multipath, "a", queue_entries=4, **QUIET)
    connector.add(multipath, "b", queue_entries=4, **QUIET)
    transfers = [multipath.namespace(1).write(block, memoryview(bytes(BLOCK))) for block in range(20)]
    connector.run()
    connector.lose("a")
    blocks = []
    while held := connector.controllers["b"].held:
        blocks += [command.cdw10 for command in held]
        connector.answer_held("b")
    assert blocks == list(range(20))
    assert all(transfer.is_done and not transfer.status for transfer in transfers)


def test_what_no_path_takes_waits_for_one_and_is_sent_once() -> None:
    two = Two()
    before = [two.read(block) for block in range(3)]
    two.connector.lose("a")
    two.connector.lose("b")
    during = [two.read(block) for block in range(3, 6)]
    assert two.held == (0, 0)
    assert two.multipath.waiting == 6
    two.connector.advance(10 * SECOND)
    assert [command.cdw10 for command in two.a.held] == list(range(6))
    two.connector.answer_held("a")
    assert all(transfer.is_done and not transfer.status for transfer in before + during)
    assert two.multipath.waiting == 0


@pytest.mark.parametrize("status", [StatusCode.ANA_INACCESSIBLE, StatusCode.ANA_TRANSITION])
def test_a_command_refused_for_its_ana_state_goes_another_way_while_the_log_is_read(status: StatusCode) -> None:
    two = Two(ana=True)
    transfer = two.read()
    two.a.ana = {1: INACCESSIBLE}
    logs = two.a.admin.count(AdminOpcode.GET_LOG_PAGE)
    two.connector.answer_held("a", status_word(status))
    assert two.held == (0, 1)
    assert two.a.admin.count(AdminOpcode.GET_LOG_PAGE) == logs + 1
    two.connector.answer_held("b")
    assert (transfer.is_done, transfer.status) == (True, 0)


def test_with_every_path_inaccessible_commands_wait_until_one_is_again() -> None:
    two = Two(ana=True)
    two.ana(INACCESSIBLE, INACCESSIBLE)
    transfer = two.read()
    two.connector.advance(5000 * SECOND)
    assert not transfer.is_done
    assert two.held == (0, 0)
    two.ana(INACCESSIBLE, OPTIMIZED)
    assert two.held == (0, 1)


def test_a_namespace_that_every_path_has_lost_for_good_fails() -> None:
    two = Two(ana=True)
    two.ana(INACCESSIBLE, PERSISTENT_LOSS)
    transfer = two.read()
    assert not transfer.is_done
    two.ana(PERSISTENT_LOSS, PERSISTENT_LOSS)
    assert transfer.ending == "namespace 1 is lost for good on this path (ANA)"


def test_a_refusal_for_now_is_repeated_after_the_delay_that_it_names() -> None:
    two = Two()
    two.multipath.remove(two.to_b, 0)
    controller = two.a
    controller.identity.update(crdt1=5, crdt2=20, crdt3=100)
    two.to_a.reset(0)
    two.connector.run()
    transfer = two.read()
    for crd, delay_ns in ((1, SECOND // 2), (2, 2 * SECOND), (3, 10 * SECOND), (0, 0)):
        two.connector.answer_held("a", status_word(StatusCode.COMMAND_INTERRUPTED, retry_delay=crd))
        if delay_ns:
            assert two.multipath.waiting == 1
            two.connector.advance(delay_ns - 1)
            assert controller.held == []
            two.connector.advance(1)
        assert len(controller.held) == 1
    two.connector.answer_held("a")
    assert (transfer.is_done, transfer.status, two.multipath.retries) == (True, 0, 4)


def test_a_refusal_is_repeated_five_times() -> None:
    two = Two()
    transfer = two.read()
    for _ in range(5):
        two.connector.answer_held("a", status_word(StatusCode.UNRECOVERED_READ_ERROR))
        assert not transfer.is_done
    two.connector.answer_held("a", status_word(StatusCode.UNRECOVERED_READ_ERROR))
    assert transfer.status == StatusCode.UNRECOVERED_READ_ERROR
    assert two.multipath.retries == 5


def test_dnr_is_final() -> None:
    two = Two()
    transfer = two.read()
    two.connector.answer_held("a", status_word(StatusCode.INTERNAL_PATH_ERROR, do_not_retry=True))
    assert transfer.status == StatusCode.INTERNAL_PATH_ERROR
    assert two.held == (0, 0)


def test_a_path_error_that_every_path_answers_does_not_go_round_for_ever() -> None:
    two = Two(PathPolicy.ROUND_ROBIN)
    transfer = two.read()
    answered = 0
    while not transfer.is_done:
        answered += two.connector.answer_held("a", status_word(StatusCode.INTERNAL_PATH_ERROR))
        answered += two.connector.answer_held("b", status_word(StatusCode.INTERNAL_PATH_ERROR))
    assert answered == 6
    assert transfer.status == StatusCode.INTERNAL_PATH_ERROR


def test_a_difference_that_compare_finds_is_an_answer() -> None:
    two = Two()
    transfer = two.namespace.compare(0, memoryview(bytes(BLOCK)))
    two.connector.run()
    two.connector.answer_held("a", status_word(StatusCode.COMPARE_FAILURE))
    assert transfer.status == StatusCode.COMPARE_FAILURE


def test_a_reservation_command_is_not_sent_again_once_it_may_have_been_carried_out() -> None:
    two = Two()
    ended: list[HostCommand] = []
    for _ in range(2):
        command = HostCommand(IoOpcode.RESERVATION_ACQUIRE.value, 1, data=memoryview(bytes(16)), done=ended.append)
        assert two.to_a.host is not None
        two.to_a.host.submit_io(command)
    two.connector.run()
    two.connector.lose("a")
    assert [command.status for command in ended] == [StatusCode.HOST_PATH_ERROR] * 2
    assert two.held == (0, 0)


def test_an_error_of_the_medium_is_repeated_where_it_came_from_or_elsewhere_but_ends_once() -> None:
    two = Two(PathPolicy.ROUND_ROBIN)
    ended: Counter[int] = Counter()
    for block in range(8):
        two.namespace.write(block, memoryview(bytes(BLOCK)), done=lambda _, block=block: ended.update([block]))
    two.connector.run()
    two.connector.answer_held("a", status_word(StatusCode.WRITE_FAULT))
    two.connector.lose("b")
    while two.a.held or two.b.held:
        two.connector.answer_held("a")
        two.connector.answer_held("b")
    assert ended == Counter(range(8))
