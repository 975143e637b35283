"""The end of a server: what is under way is finished and answered, and nobody waits for ever."""

from __future__ import annotations

from stacks.nvme.nbd.connection import CLIENT_TABLE
from tests.stacks.nvme.nbd.rig import NbdRig
from wire.nbd import CommandKind, NbdError, Option


def test_what_is_under_way_is_answered_and_what_comes_then_is_refused() -> None:
    rig = NbdRig()
    client = rig.client()
    rig.disk.is_held = True
    before = client.core.say_write(0, b"x" * 512)
    client.say()
    rig.server.stop()
    rig.host.wake()
    after = client.core.say_write(512, b"y" * 512)
    flush = client.core.say_request(CommandKind.FLUSH)
    reading = client.core.say_request(CommandKind.READ, 0, 512)
    client.say()
    assert [client.core.replies[cookie].error for cookie in (after, flush, reading)] == [NbdError.ESHUTDOWN] * 3
    assert not rig.server.is_drained
    rig.let_disk_go_on()
    assert client.finish(before)[0].error == 0
    rig.run_until(lambda: client.core.has_ended)
    assert client.core.failure == ""
    assert rig.server.is_drained
    assert rig.disk.memory[:1024] == b"x" * 512 + bytes(512)


def test_idle_clients_and_those_in_the_handshake_are_ended_and_nobody_else_gets_in() -> None:
    rig = NbdRig()
    idle, shaking = rig.client(), rig.connect()
    rig.server.stop()
    rig.server.stop()
    rig.host.wake()
    rig.run_until(lambda: idle.core.has_ended and shaking.core.has_ended)
    assert rig.server.is_drained
    assert rig.connect().core.has_ended


def test_an_answer_that_is_on_its_way_is_still_heard() -> None:
    rig = NbdRig()
    client = rig.connect()
    client.core.say_flags()
    client.core.say_option(Option.LIST)
    client.wake()
    rig.run_until(lambda: not client.core.outgoing)
    rig.run_for(10_000)
    rig.server.stop()
    rig.host.wake()
    rig.run_until(lambda: client.core.has_ended)
    assert rig.server.is_drained


def test_a_client_that_disconnects_meanwhile_is_done() -> None:
    rig = NbdRig()
    client = rig.client()
    rig.disk.is_held = True
    client.core.say_write(0, bytes(512))
    client.say()
    rig.server.stop()
    client.core.say_request(CommandKind.DISC)
    client.say()
    rig.let_disk_go_on()
    rig.run_until(lambda: client.core.has_ended)
    assert rig.server.is_drained


def test_the_states_of_a_client_are_those_that_were_reviewed() -> None:
    assert CLIENT_TABLE.render() == STATES


STATES = """\
              HANDSHAKE     TRANSMISSION  STOPPING  DRAINING  OVER
CHOSEN        TRANSMISSION  drop          drop      drop      drop
ABORTED       DRAINING      drop          drop      drop      drop
DISCONNECTED  drop          DRAINING      DRAINING  drop      drop
ENDED         DRAINING      DRAINING      DRAINING  ignore    ignore
STOP          DRAINING      STOPPING      ignore    ignore    ignore
DRAINED       drop          ignore        OVER      OVER      ignore
LOST          OVER          OVER          OVER      OVER      ignore
TIMED_OUT     OVER          drop          drop      drop      ignore
"""
