"""The state table: what it answers, and how it is drawn."""

import enum

import pytest

from stacks.runtime import DROP, IGNORE, LocalError, StateTable


class Lamp(enum.IntEnum):
    OFF = 0
    ON = 1
    BROKEN = 2


class Touch(enum.IntEnum):
    PRESS = 0
    STORM = 1
    WIND = 2


LAMP: StateTable[Lamp, Touch] = StateTable(
    "lamp",
    Lamp,
    events=Touch,
    entries={
        (Lamp.OFF, Touch.PRESS): Lamp.ON,
        (Lamp.ON, Touch.PRESS): Lamp.OFF,
        (Lamp.ON, Touch.STORM): Lamp.BROKEN,
        (Lamp.OFF, Touch.STORM): Lamp.BROKEN,
        (Lamp.ON, Touch.WIND): Lamp.ON,
        (Lamp.OFF, Touch.WIND): IGNORE,
    },
    commands=[Touch.PRESS],
)


def test_an_entry_gives_the_next_state() -> None:
    assert LAMP.apply(Lamp.OFF, Touch.PRESS) is Lamp.ON


def test_an_ignored_event_is_told_from_a_dropped_one() -> None:
    assert LAMP.apply(Lamp.OFF, Touch.WIND) is IGNORE
    assert LAMP.apply(Lamp.BROKEN, Touch.WIND) is DROP


def test_a_command_without_entry_is_the_callers_mistake() -> None:
    with pytest.raises(LocalError, match="lamp: PRESS is not possible in state BROKEN"):
        LAMP.apply(Lamp.BROKEN, Touch.PRESS)


def test_the_whole_table_renders_as_text() -> None:
    assert LAMP.render() == (
        "       OFF     ON      BROKEN\n"
        "PRESS  ON      OFF     error\n"
        "STORM  BROKEN  BROKEN  drop\n"
        "WIND   ignore  ON      drop\n"
    )


def test_the_graph_shows_only_changes_of_state_and_joins_parallel_edges() -> None:
    assert LAMP.to_mermaid() == (
        "stateDiagram-v2\n"
        "    [*] --> OFF\n"
        "    OFF --> ON: PRESS\n"
        "    ON --> OFF: PRESS\n"
        "    ON --> BROKEN: STORM\n"
        "    OFF --> BROKEN: STORM\n"
    )
