"""Persist Through Power Loss: what a command has answered to is there after a restart, wherever the power goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.reservations import FileReservations, MemoryReservations, ReservationStore, open_reservations
from stacks.nvme.target.reservations.record import decode_record, encode_record
from stacks.nvme.target.reservations.state import ReservationState
from stacks.runtime import LocalError
from tests.stacks.nvme.forking_folder import ForkingFolder, PowerCut
from tests.stacks.nvme.reservation_rig import KEY_A, KEY_B, KEY_C, Node, ReservationRig
from wire.nvme.reservations import PersistenceChange, RegisterAction, ReservationType
from wire.nvme.status import StatusCode

SET, CLEAR = PersistenceChange.SET, PersistenceChange.CLEAR
WE, EA, WE_RO, EA_RO, WE_AR, EA_AR = ReservationType
NAME = "disk.img.reservations"

Steps = tuple[Callable[[Node, Node], int], ...]
HISTORY: Steps = (
    lambda a, b: a.register(KEY_A),
    lambda a, b: b.register(KEY_B, persistence=SET),
    lambda a, b: a.acquire(KEY_A, WE),
    lambda a, b: b.preempt(KEY_B, KEY_A, EA_AR),
    lambda a, b: a.register(KEY_C),
    lambda a, b: a.replace(KEY_C, KEY_A),
    lambda a, b: a.release(KEY_A, EA_AR),
    lambda a, b: a.register(KEY_A, persistence=CLEAR),
    lambda a, b: a.acquire(KEY_A, EA),
    lambda a, b: a.register(0, current=KEY_A, action=RegisterAction.UNREGISTER, persistence=SET),
    lambda a, b: b.clear(KEY_B),
)


def state_of(rig: ReservationRig) -> ReservationState:
    return rig.subsystem.namespaces[1].reservations.state


def kept(state: ReservationState) -> ReservationState:
    """What of a state outlives a loss of power."""
    return state if state.is_persistent else ReservationState()


def started(kept_in: ReservationStore) -> tuple[ReservationRig, Node, Node]:
    rig = ReservationRig(MemoryStore(1 << 20), kept=kept_in)
    return rig, rig.host("a"), rig.host("b")


def run(folder: ForkingFolder) -> list[ReservationState]:
    """The state before and after each step of the history that the folder lets happen."""
    states = []
    try:
        rig, a, b = started(FileReservations(folder, NAME))
        states.append(state_of(rig))
        for step in HISTORY:
            assert step(a, b) == 0
            states.append(state_of(rig))
    except PowerCut:
        pass
    return states


WHOLE = ForkingFolder()
STATES = run(WHOLE)


def test_the_history_saves_and_forgets_several_times() -> None:
    assert len(STATES) == len(HISTORY) + 1
    assert [state.is_persistent for state in STATES] == [False] * 2 + [True] * 6 + [False] * 2 + [True] * 2
    assert WHOLE.operations == 8 * 4 + 2


@pytest.mark.parametrize("cut_at", range(WHOLE.operations + 1))
def test_the_power_may_go_at_any_moment(cut_at: int) -> None:
    folder = ForkingFolder()
    folder.cut_at = cut_at
    answered = run(folder)
    assert answered == STATES[: len(answered)]
    possible = [kept(state) for state in STATES[len(answered) - 1 : len(answered) + 1]]
    for left in folder.after_cut():
        rig, _, _ = started(FileReservations(left, NAME))
        assert state_of(rig) in possible


@pytest.mark.parametrize("fail_at", range(WHOLE.operations))
def test_a_save_that_fails_fails_the_command_and_changes_nothing(fail_at: int) -> None:
    folder = ForkingFolder()
    folder.fail_at = fail_at
    rig, a, b = started(FileReservations(folder, NAME))
    failures: list[str] = []
    rig.target.on_store_failure = lambda _, failure: failures.append(failure)
    for step, before, after in zip(HISTORY, STATES, STATES[1:], strict=False):
        status = step(a, b)
        if status:
            assert status == StatusCode.WRITE_FAULT
            assert state_of(rig) == before
            assert step(a, b) == 0
        assert state_of(rig) == after
        # Whoever comes back from here finds what was answered last, whatever the failure has left behind.
        assert {state_of(started(FileReservations(left, NAME))[0]) == kept(after) for left in folder.after_cut()} == {
            True
        }
    assert failures == ["input/output error"]


def test_after_a_save_that_failed_the_next_command_saves_even_what_was_saved_before() -> None:
    folder = ForkingFolder()
    rig, a, _ = started(FileReservations(folder, NAME))
    assert [a.register(KEY_A, persistence=SET), a.acquire(KEY_A, WE)] == [0, 0]
    folder.fail_at = folder.operations + 3
    assert a.release(KEY_A, WE) == StatusCode.WRITE_FAULT
    assert {state_of(started(FileReservations(left, NAME))[0]).kind for left in folder.after_cut()} == {WE, None}
    assert a.acquire(KEY_A, WE) == 0
    assert {state_of(started(FileReservations(left, NAME))[0]).kind for left in folder.after_cut()} == {WE}
    assert state_of(rig).kind == WE


def test_a_restart_finds_registrants_reservation_and_generation(tmp_path: Path) -> None:
    path = tmp_path / NAME
    rig, a, b = started(open_reservations(path))
    assert [a.register(KEY_A, persistence=SET), b.register(KEY_B), a.acquire(KEY_A, EA_RO)] == [0, 0, 0]
    before = a.report()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
    rig, a, b = started(open_reservations(path))
    assert a.report() == before
    assert (a.write(), b.write(), rig.host("stranger").read()) == (0, 0, StatusCode.RESERVATION_CONFLICT)
    assert b.register(0xBB) == StatusCode.RESERVATION_CONFLICT


def test_without_persistence_a_restart_finds_nothing_and_no_file_is_made(tmp_path: Path) -> None:
    _, a, _ = started(open_reservations(tmp_path / NAME))
    assert [a.register(KEY_A), a.acquire(KEY_A, EA)] == [0, 0]
    assert list(tmp_path.iterdir()) == []
    _, a, b = started(open_reservations(tmp_path / NAME))
    assert (a.report().registrants, a.report().generation, b.write()) == ((), 0, 0)


def test_turning_persistence_off_takes_the_file_away(tmp_path: Path) -> None:
    _, a, _ = started(open_reservations(tmp_path / NAME))
    a.register(KEY_A, persistence=SET)
    assert a.register(KEY_A, persistence=CLEAR) == 0
    assert list(tmp_path.iterdir()) == []
    assert a.report().registrants[0].key == KEY_A


def test_nothing_is_saved_that_is_saved_already() -> None:
    memory = MemoryReservations()
    _, a, b = started(memory)
    a.register(KEY_A)
    a.acquire(KEY_A, WE)
    assert memory.saves == 0
    a.register(KEY_A, persistence=SET)
    assert memory.saves == 1
    a.acquire(KEY_A, WE)
    b.release(KEY_B, WE)
    b.read()
    a.report()
    assert memory.saves == 1


def test_a_command_waits_for_its_save_and_the_next_one_for_its_turn() -> None:
    memory = MemoryReservations()
    rig, a, b = started(memory)
    a.register(KEY_A, persistence=SET)
    rig.is_storing = False
    first, second = a.send_register(KEY_C, current=KEY_A, action=2), b.send_register(KEY_B)
    assert (a.io.status(first), b.io.status(second)) == (None, None)
    # Nothing is in force before it is saved.
    assert [entry.key for entry in a.report_now().registrants] == [KEY_A]
    rig.stored()
    rig.pump()
    assert (a.io.status(first), b.io.status(second)) == (0, None)
    rig.stored()
    rig.pump()
    assert b.io.status(second) == 0
    assert decode_record(memory.record).registrants == {a.host_id: KEY_C, b.host_id: KEY_B}


def test_a_queue_that_stops_leaves_its_save_to_go_on_and_its_later_commands_undone() -> None:
    memory = MemoryReservations()
    rig, a, b = started(memory)
    a.register(KEY_A, persistence=SET)
    rig.is_storing = False
    begun, waiting = a.send_register(KEY_C, current=KEY_A, action=2), a.send_register(0xDD, current=KEY_C, action=2)
    a.io.queue.stop()
    other = b.send_register(KEY_B)
    for _ in range(3):
        rig.stored()
        rig.pump()
    assert [a.io.status(begun), a.io.status(waiting)] == [0, StatusCode.ABORTED_SQ_DELETION]
    assert b.io.status(other) == 0
    assert decode_record(memory.record).registrants == {a.host_id: KEY_C, b.host_id: KEY_B}


def test_a_lost_connection_does_not_hold_the_others_up() -> None:
    rig, a, b = started(MemoryReservations())
    a.register(KEY_A, persistence=SET)
    rig.is_storing = False
    a.send_register(KEY_C, current=KEY_A, action=2)
    a.send_register(0xDD, current=KEY_C, action=2)
    a.lose()
    other = b.send_register(KEY_B)
    for _ in range(3):
        rig.stored()
        rig.pump()
    assert b.io.status(other) == 0
    assert [entry.key for entry in b.report_now().registrants] == [KEY_C, KEY_B]


@pytest.mark.parametrize("state", STATES)
def test_a_record_holds_the_whole_state(state: ReservationState) -> None:
    assert decode_record(encode_record(state)) == kept(state)


DOCUMENT = json.loads(encode_record(STATES[5]))
ENTRY = DOCUMENT["registrants"][0]
DAMAGE: dict[str, object] = {
    "version": 2,
    "generation": -1,
    "type": 7,
    "holder": "00" * 16,
    "registrants": [],
}


@pytest.mark.parametrize("field", DAMAGE)
def test_a_damaged_record_is_not_taken_for_none(field: str) -> None:
    with pytest.raises(LocalError, match="damaged"):
        decode_record(json.dumps({**DOCUMENT, field: DAMAGE[field]}).encode())
    with pytest.raises(LocalError, match="damaged"):
        decode_record(json.dumps({key: value for key, value in DOCUMENT.items() if key != field}).encode())


@pytest.mark.parametrize(
    "entry",
    [
        {**ENTRY, "key": 0},
        {**ENTRY, "key": 1 << 64},
        {**ENTRY, "key": "a"},
        {**ENTRY, "host_id": "00"},
        {**ENTRY, "host_id": 5},
        {**ENTRY, "host_id": "zz" * 16},
        7,
    ],
)
def test_a_damaged_registrant_is_refused(entry: object) -> None:
    with pytest.raises(LocalError, match="damaged"):
        decode_record(json.dumps({**DOCUMENT, "registrants": [entry]}).encode())


@pytest.mark.parametrize("record", [b"{", b"[]", b"null", b"\xff", b"7", encode_record(STATES[5])[:-10]])
def test_what_is_no_record_is_refused(record: bytes) -> None:
    with pytest.raises(LocalError, match="damaged"):
        decode_record(record)


def test_a_holder_must_be_registered() -> None:
    with pytest.raises(LocalError, match="not registered"):
        decode_record(json.dumps({**DOCUMENT, "type": 1, "holder": "ee" * 16}).encode())


def test_a_namespace_with_a_damaged_record_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"{}")
    with pytest.raises(LocalError, match="damaged"):
        started(open_reservations(path))


def test_a_record_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(LocalError, match=f"{NAME}: is a directory"):
        open_reservations(tmp_path / NAME).load()


def test_a_folder_that_is_not_there_fails_the_save(tmp_path: Path) -> None:
    _, a, _ = started(open_reservations(tmp_path / "nowhere" / NAME))
    assert a.register(KEY_A, persistence=SET) == StatusCode.WRITE_FAULT
    assert a.report().registrants == ()
