"""What a host does about silence: Abort, keep-alive, time limits, ANA transitions that do not end."""

from __future__ import annotations

import pytest

from stacks.nvme.host import HostConfig, HostController
from stacks.nvme.host.ana import CHANGE, OPTIMIZED
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.scripted import ANA_EVENT, BLOCK, SECOND, ScriptedConnector, ScriptedController
from wire.nvme.opcodes import AdminOpcode, FeatureId
from wire.nvme.status import StatusCode, status_word

ABORTED = status_word(StatusCode.ABORTED_BY_REQUEST)


def connect(controller: ScriptedController, **options: int) -> tuple[ScriptedConnector, HostController]:
    connector = ScriptedConnector(there=controller)
    config = HostConfig(nqn=NQN, **{"keep_alive_ms": 0, **options})  # type: ignore[arg-type]
    host = connector.connect("there", config, 0)
    connector.run()
    return connector, host


def block() -> memoryview:
    return memoryview(bytearray(BLOCK))


def test_a_late_command_is_aborted_when_its_time_is_over_and_no_earlier() -> None:
    controller = ScriptedController()
    connector, host = connect(controller)
    connector.advance(7 * SECOND)
    host.namespace().read(0, block())
    connector.advance(30 * SECOND - 1)
    assert controller.aborts == []
    connector.advance(1)
    (command,) = controller.held
    assert controller.aborts == [(1, command.cid)]
    assert host.watchdog.aborts == 1
    assert host.is_live


def test_an_aborted_command_ends_with_what_the_controller_says_and_the_others_go_on() -> None:
    controller = ScriptedController()
    connector, host = connect(controller)
    late, other = host.namespace().read(0, block()), host.namespace().read(1, block())
    connector.run()
    connector.answer(controller.held.pop())
    connector.advance(30 * SECOND)
    connector.answer_held("there", ABORTED)
    assert (late.status, other.status) == (StatusCode.ABORTED_BY_REQUEST, 0)
    connector.advance(300 * SECOND)
    assert host.is_live


def test_a_command_that_an_abort_does_not_end_ends_the_association() -> None:
    controller = ScriptedController()
    connector, host = connect(controller)
    transfer = host.namespace().read(0, block())
    connector.advance(40 * SECOND - 1)
    assert host.is_live
    connector.advance(1)
    assert host.failure == "the controller did not answer a command within 30 seconds, nor after an Abort"
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_an_answer_in_time_after_the_abort_is_an_answer() -> None:
    controller = ScriptedController()
    connector, host = connect(controller)
    transfer = host.namespace().read(0, block())
    connector.advance(39 * SECOND)
    connector.answer_held("there")
    assert (transfer.is_done, transfer.status) == (True, 0)
    connector.advance(100 * SECOND)
    assert host.is_live
    assert len(controller.aborts) == 1


def test_no_more_aborts_are_under_way_than_the_controller_takes() -> None:
    controller = ScriptedController(identity={"acl": 1})
    connector, host = connect(controller, abort_timeout_ns=10**6 * SECOND)
    for number in range(5):
        host.namespace().read(number, block())
    connector.advance(30 * SECOND)
    assert len(controller.aborts) == 2
    aborted = {cid for _, cid in controller.aborts}
    for command in [each for each in controller.held if each.cid in aborted]:
        controller.held.remove(command)
        connector.answer(command, ABORTED)
    connector.advance(10**7 * SECOND)
    assert len(controller.aborts) == 4


def test_a_command_that_waited_for_its_turn_is_not_late_for_that() -> None:
    controller = ScriptedController()
    connector, host = connect(controller, queue_entries=2)
    transfers = [host.namespace().read(number, block()) for number in range(4)]
    for _ in range(4):
        connector.advance(20 * SECOND)
        assert connector.answer_held("there") == 1
    assert all(transfer.is_done for transfer in transfers)
    assert controller.aborts == []


def test_an_admin_command_without_an_answer_ends_the_association() -> None:
    controller = ScriptedController()
    connector, host = connect(controller)
    controller.answers[AdminOpcode.GET_LOG_PAGE] = None
    connector.event("there", 0x00040002)
    connector.advance(30 * SECOND)
    assert host.failure == "the controller did not answer a command within 30 seconds"
    assert controller.aborts == []


@pytest.mark.parametrize("opcode", [AdminOpcode.FABRICS, AdminOpcode.IDENTIFY, AdminOpcode.SET_FEATURES])
def test_a_controller_that_falls_silent_during_bring_up_is_given_up(opcode: AdminOpcode) -> None:
    controller = ScriptedController(answers={opcode: None})
    connector, host = connect(controller)
    connector.advance(20 * SECOND - 1)
    assert not host.is_closed
    connector.advance(1)
    assert host.failure == "connecting took longer than 20 seconds"


def test_the_longer_timeout_of_commands_does_not_keep_a_bring_up_and_the_shorter_ends_it() -> None:
    controller = ScriptedController(answers={AdminOpcode.IDENTIFY: None})
    connector, host = connect(controller, command_timeout_ns=3 * SECOND)
    connector.advance(3 * SECOND)
    assert host.failure == "the controller did not answer a command within 3 seconds"


def test_keep_alives_go_out_at_half_the_timeout() -> None:
    controller = ScriptedController()
    connector, host = connect(controller, keep_alive_ms=4000)
    connector.advance(20 * SECOND)
    assert controller.admin.count(AdminOpcode.KEEP_ALIVE) == 10
    assert host.is_live


def test_a_keep_alive_without_an_answer_ends_the_association_after_its_timeout() -> None:
    controller = ScriptedController(answers={AdminOpcode.KEEP_ALIVE: None})
    connector, host = connect(controller, keep_alive_ms=4000)
    connector.advance(6 * SECOND - 1)
    assert host.is_live
    assert controller.admin.count(AdminOpcode.KEEP_ALIVE) == 1
    connector.advance(1)
    assert host.failure == "the controller did not answer a Keep Alive within 4 seconds"


def test_a_keep_alive_that_is_refused_ends_the_association() -> None:
    controller = ScriptedController(answers={AdminOpcode.KEEP_ALIVE: status_word(StatusCode.INVALID_OPCODE)})
    connector, host = connect(controller, keep_alive_ms=4000)
    connector.advance(2 * SECOND)
    assert host.failure == "the controller refused a Keep Alive: invalid opcode"


def test_the_loss_of_one_io_queue_is_the_loss_of_the_association() -> None:
    controller = ScriptedController()
    connector, host = connect(controller, io_queues=4)
    assert len(host.io_queues) == 4
    transfers = [host.namespace().read(number, block()) for number in range(8)]
    connector.run()
    host.handle_lost(host.io_queues[2], "one wire of four broke", connector.now)
    assert host.is_closed
    assert [transfer.ending for transfer in transfers] == ["one wire of four broke"] * 8


def test_late_answers_are_harmless() -> None:
    controller = ScriptedController()
    connector, host = connect(controller)
    host.namespace().read(0, block())
    connector.advance(30 * SECOND)
    (late,) = controller.held
    cid, queue = late.cid, host.io_queues[0]
    connector.answer_held("there", ABORTED)
    again = host.namespace().read(1, block())
    connector.run()
    assert queue.command_of(cid) is None
    assert queue.stale_cids == 1
    assert not again.is_done
    connector.lose("there")
    assert queue.command_of(cid) is None


def test_an_ana_group_that_stays_in_change_for_twice_anatt_ends_the_association() -> None:
    controller = ScriptedController(ana={1: OPTIMIZED, 2: OPTIMIZED})
    connector, host = connect(controller)
    controller.ana = {1: CHANGE, 2: OPTIMIZED}
    connector.event("there", ANA_EVENT)
    connector.advance(15 * SECOND)
    controller.ana = {1: CHANGE, 2: CHANGE}
    connector.event("there", ANA_EVENT)
    connector.advance(5 * SECOND - 1)
    assert host.is_live
    connector.advance(1)
    assert host.failure == "an ANA group is in the Change state for more than 20 seconds"


def test_an_ana_group_that_leaves_change_in_time_does_no_harm() -> None:
    controller = ScriptedController(ana={1: CHANGE})
    connector, host = connect(controller)
    connector.advance(19 * SECOND)
    controller.ana = {1: OPTIMIZED}
    connector.event("there", ANA_EVENT)
    connector.advance(100 * SECOND)
    assert host.is_live


def test_retry_delays_are_asked_for_where_the_controller_has_some() -> None:
    without, with_delays = ScriptedController(), ScriptedController(identity={"crdt1": 7, "crdt2": 20, "crdt3": 600})
    connect(without)
    assert FeatureId.HOST_BEHAVIOR not in [fid for fid, _ in without.features]
    _, host = connect(with_delays)
    assert (FeatureId.HOST_BEHAVIOR, b"\1".ljust(512, b"\0")) in with_delays.features
    assert [host.retry_delay_ns(crd) for crd in range(4)] == [0, 7 * SECOND // 10, 2 * SECOND, 60 * SECOND]
