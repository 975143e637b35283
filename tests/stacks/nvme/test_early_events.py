"""Events that come while a host connects, and readings that the controller refuses: nothing is missed for good."""

from __future__ import annotations

import pytest

from stacks.nvme.host import HostCommand, HostConfig, Multipath
from stacks.nvme.host.ana import INACCESSIBLE, OPTIMIZED
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.scripted import (
    ANA_EVENT,
    BLOCK,
    NAMESPACE_EVENT,
    SECOND,
    Disk,
    ScriptedConnector,
    ScriptedController,
)
from wire.nvme.opcodes import AdminOpcode, IdentifyCns
from wire.nvme.status import StatusCode, status_word

REFUSED = status_word(StatusCode.INTERNAL_ERROR, do_not_retry=False)


class Hasty(ScriptedConnector):
    """Its controller sends an event as soon as the host begins to look at namespaces."""

    event_sent = 0

    def _answer_admin(self, controller: ScriptedController, command: HostCommand) -> None:
        is_look = command.opcode == AdminOpcode.IDENTIFY and command.cdw10 == IdentifyCns.NAMESPACE
        if is_look and controller.event_requests and not self.event_sent:
            self.event_sent = ANA_EVENT
            controller.ana = {1: INACCESSIBLE}
            self.answer(controller.event_requests.pop(0), dw0=ANA_EVENT)
        super()._answer_admin(controller, command)


def test_an_event_that_comes_before_the_association_is_live_is_acted_on_then() -> None:
    connector = Hasty(a=ScriptedController(ana={1: OPTIMIZED}))
    multipath = Multipath()
    path = connector.add(multipath, "a", keep_alive_ms=0)
    assert path.is_live
    assert connector.event_sent
    assert path.host is not None
    assert path.host.ana.state_of(1, 1) == INACCESSIBLE
    assert len(connector.controllers["a"].event_requests) == 1, "the next one is asked for"


@pytest.mark.parametrize("refusals_s", [0.5, 1.5, 20])
def test_an_ana_log_that_is_refused_is_read_again(refusals_s: float) -> None:
    controller = ScriptedController(ana={1: OPTIMIZED})
    connector = ScriptedConnector(a=controller)
    multipath = Multipath()
    path = connector.add(multipath, "a", keep_alive_ms=0)
    transfer = multipath.namespace(1).read(0, memoryview(bytearray(BLOCK)))
    connector.run()
    controller.answers[AdminOpcode.GET_LOG_PAGE] = REFUSED
    connector.answer_held("a", status_word(StatusCode.ANA_TRANSITION))
    connector.advance(int(refusals_s * SECOND))
    assert not transfer.is_done
    del controller.answers[AdminOpcode.GET_LOG_PAGE]
    # After twice ANATT without an idea of the state, the association is made anew, ten seconds later.
    connector.advance(20 * SECOND)
    assert path.is_live
    assert connector.answer_held("a") == 1
    assert transfer.status == 0


def test_a_list_of_namespaces_that_is_refused_is_read_again() -> None:
    controller = ScriptedController()
    connector = ScriptedConnector(a=controller)
    multipath = Multipath()
    connector.add(multipath, "a", keep_alive_ms=0)
    controller.disks[2] = Disk(uuid=b"disk disk disk 2")
    controller.answers[AdminOpcode.IDENTIFY] = REFUSED
    connector.event("a", NAMESPACE_EVENT)
    assert sorted(multipath.namespaces) == [1]
    asked = controller.admin.count(AdminOpcode.IDENTIFY)
    connector.advance(300 * SECOND)
    assert controller.admin.count(AdminOpcode.IDENTIFY) - asked < 12, "less and less often"
    del controller.answers[AdminOpcode.IDENTIFY]
    connector.advance(60 * SECOND)
    assert sorted(multipath.namespaces) == [1, 2]


class Vanishing(ScriptedConnector):
    """Its second namespace goes between the list and the look at it."""

    def _answer_admin(self, controller: ScriptedController, command: HostCommand) -> None:
        is_look = command.opcode == AdminOpcode.IDENTIFY and command.cdw10 == IdentifyCns.NAMESPACE
        if is_look and command.nsid == 2:
            del controller.disks[2]
            self.answer(command, status_word(StatusCode.INVALID_NAMESPACE, do_not_retry=True))
        else:
            super()._answer_admin(controller, command)


def test_a_namespace_that_goes_while_it_is_looked_at_is_left_out() -> None:
    connector = Vanishing(a=ScriptedController(disks={1: Disk(), 2: Disk(uuid=b"disk disk disk 2")}))
    multipath = Multipath()
    path = connector.add(multipath, "a", keep_alive_ms=0)
    assert path.is_live
    assert sorted(multipath.namespaces) == [1]


def test_a_reading_that_is_refused_is_forgotten_with_its_connection() -> None:
    controller = ScriptedController()
    connector = ScriptedConnector(a=controller)
    host = connector.connect("a", HostConfig(nqn=NQN, keep_alive_ms=0), 0)
    connector.run()
    controller.answers[AdminOpcode.IDENTIFY] = REFUSED
    connector.event("a", NAMESPACE_EVENT)
    connector.lose("a")
    asked = len(controller.admin)
    connector.advance(300 * SECOND)
    assert host.is_closed
    assert len(controller.admin) == asked
