"""The whole state x event outcome of every machine, as reviewed."""

from __future__ import annotations

from textwrap import dedent

import pytest

from stacks.nvme.host.controller_state import HOST_TABLE
from stacks.nvme.host.path_state import PATH_TABLE
from stacks.nvme.host.queue import HOST_QUEUE_TABLE
from stacks.nvme.target.controller_state import CONTROLLER_TABLE
from stacks.nvme.target.queue_state import QUEUE_TABLE

REVIEWED = {
    "controller": """\
                      DISABLED       READY          SHUTTING_DOWN  SHUT_DOWN  FAILED
        ENABLE        READY          ignore         READY          READY      ignore
        ENABLE_WRONG  FAILED         ignore         ignore         ignore     ignore
        DISABLE       ignore         DISABLED       DISABLED       DISABLED   DISABLED
        SHUT_DOWN     SHUTTING_DOWN  SHUTTING_DOWN  ignore         ignore     ignore
        FLUSHED       ignore         ignore         SHUT_DOWN      ignore     ignore
        FAIL          FAILED         FAILED         FAILED         FAILED     ignore
        """,
    "queue": """\
                    FRESH       CONNECTING  LIVE           DISCONNECTING  CLOSING  CLOSED
        BEGIN       CONNECTING  drop        drop           drop           drop     drop
        CONNECT     drop        LIVE        drop           drop           drop     drop
        REFUSE      drop        FRESH       drop           drop           drop     drop
        DISCONNECT  drop        drop        DISCONNECTING  drop           drop     drop
        CLOSE       CLOSING     CLOSING     CLOSING        CLOSING        ignore   ignore
        LOST        CLOSED      CLOSED      CLOSED         CLOSED         CLOSED   ignore
        """,
    "host controller": """\
                 NEW       STARTING  LIVE      STOPPING  CLOSED
        START    STARTING  error     error     error     error
        STARTED  drop      LIVE      drop      ignore    ignore
        STOP     CLOSED    STOPPING  STOPPING  ignore    ignore
        STOPPED  drop      drop      drop      CLOSED    ignore
        FAIL     CLOSED    CLOSED    CLOSED    CLOSED    ignore
        """,
    "host queue": """\
                IDLE     OPENING  OPEN    CLOSED
        OPEN    OPENING  error    error   error
        OPENED  drop     OPEN     drop    ignore
        LOST    CLOSED   CLOSED   CLOSED  ignore
        """,
    "path": """\
                   NEW         CONNECTING  LIVE      WAITING     STOPPING  REMOVED
        START      CONNECTING  error       error     error       error     error
        CONNECTED  drop        LIVE        drop      drop        drop      drop
        LOST       drop        WAITING     WAITING   drop        REMOVED   ignore
        RETRY      drop        drop        drop      CONNECTING  drop      drop
        GIVE_UP    drop        REMOVED     REMOVED   REMOVED     REMOVED   ignore
        STOP       REMOVED     STOPPING    STOPPING  REMOVED     ignore    ignore
        STOPPED    drop        drop        drop      drop        REMOVED   ignore
        """,
}


TABLES = [CONTROLLER_TABLE, QUEUE_TABLE, HOST_TABLE, HOST_QUEUE_TABLE, PATH_TABLE]


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_the_table_is_as_reviewed(table: object) -> None:
    assert table.render() == dedent(REVIEWED[table.name])  # type: ignore[attr-defined]
