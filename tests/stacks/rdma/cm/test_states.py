"""The whole state x event outcome of both sides, against reviewed snapshots."""

from pathlib import Path

import pytest

from stacks.rdma.cm.states import ACTIVE, PASSIVE, ConnectionEvent, ConnectionState
from stacks.runtime import StateTable


@pytest.mark.parametrize(("table", "snapshot"), [(ACTIVE, "states_active.txt"), (PASSIVE, "states_passive.txt")])
def test_the_table_is_as_reviewed(table: StateTable[ConnectionState, ConnectionEvent], snapshot: str) -> None:
    drawn = table.render() + "\n" + table.to_mermaid()
    assert drawn == Path(__file__).with_name(snapshot).read_text()


@pytest.mark.parametrize("table", [ACTIVE, PASSIVE])
def test_every_connection_that_was_established_passes_timewait(
    table: StateTable[ConnectionState, ConnectionEvent],
) -> None:
    commands = {ConnectionEvent.CONNECT, ConnectionEvent.ACCEPT, ConnectionEvent.REJECT, ConnectionEvent.ESTABLISH}
    for state in (ConnectionState.ESTABLISHED, ConnectionState.DREQ_SENT):
        for event in set(ConnectionEvent) - commands - {ConnectionEvent.DELAY}:
            assert table.apply(state, event) is not ConnectionState.CLOSED
