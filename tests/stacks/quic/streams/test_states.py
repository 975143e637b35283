"""Both state machines of a stream, whole, against reviewed snapshots of RFC 9000 figures 2 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacks.quic.streams.states import RECEIVE_TABLE, SEND_TABLE, ReceiveState, SendState
from stacks.runtime import StateTable


@pytest.mark.parametrize(
    ("table", "snapshot"), [(SEND_TABLE, "states_send.txt"), (RECEIVE_TABLE, "states_receive.txt")]
)
def test_the_table_is_as_reviewed(table: StateTable[Any, Any], snapshot: str) -> None:
    drawn = table.render() + "\n" + table.to_mermaid()
    assert drawn == Path(__file__).with_name(snapshot).read_text()


def test_terminal_states_are_left_by_nothing() -> None:
    for table, ends in (
        (SEND_TABLE, (SendState.DATA_RECVD, SendState.RESET_RECVD)),
        (RECEIVE_TABLE, (ReceiveState.DATA_READ, ReceiveState.RESET_READ)),
    ):
        drawn = table.to_mermaid()
        for end in ends:
            assert f"    {end.name} -->" not in drawn
