"""The table of nvme-cli's commands: it can be filled in, taken apart again, and notices what is wrong."""

from __future__ import annotations

import re

import pytest

from interop.guest.agent import Result
from interop.nvme_guest.changes import BEFORE_LIST, CHANGES, LIST, Change
from interop.nvme_guest.commands import FUNCTIONS, GROUPS
from interop.nvme_guest.commands.blocks import DEALLOCATING, EMPTY, FILL
from interop.nvme_guest.reservations import FUNCTIONS as RESERVATION_FUNCTIONS
from interop.nvme_guest.reservations import HOSTS
from interop.nvme_guest.reservations import ROWS as RESERVATION_ROWS
from interop.nvme_guest.rows import MARK, Row, complaints, filled, results, script
from interop.outcome import DisagreementError

NAMES = {"disk": "/dev/nvme0n1", "controller": "/dev/nvme0", "target": "-t rdma -a 192.0.2.1 -s 4420", "nqn": "nqn.x:y"}
ROW = Row("nvme id-ns {disk}", (r"^nsze +: 0x\w{4}$",))
ROWS = [
    row for rows in (*GROUPS.values(), FILL, DEALLOCATING, EMPTY, BEFORE_LIST, LIST, RESERVATION_ROWS) for row in rows
]
NAMES |= {name: f"/dev/{name}" for host in HOSTS for name in (host, f"{host}_controller")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_rows_name_only_what_is_known_and_their_patterns_compile(row: Row) -> None:
    for text in (row.command, FUNCTIONS, RESERVATION_FUNCTIONS, *row.prints):
        assert not re.search(r"\{[a-z]{2,}\}", filled(text, NAMES))
    for text in row.prints:
        re.compile(filled(text, NAMES))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.words)
def test_changes_name_only_what_is_known(change: Change) -> None:
    names = NAMES | {"host": "nqn.x:host", "place": "-t tcp -a 192.0.2.1 -s 4420", "there": "nvme+tcp://192.0.2.1:4421"}
    for text in (change.words, change.until):
        assert not re.search(r"\{[a-z]{2,}\}", filled(text, names))


def test_names_are_filled_in_and_other_braces_stay() -> None:
    assert filled(r"{disk}: \w{4} ${x}", NAMES) == r"/dev/nvme0n1: \w{4} ${x}"


def test_script_has_each_command_and_its_mark_in_order() -> None:
    text = script([ROW, Row("true")], NAMES)
    assert text.index("nvme id-ns /dev/nvme0n1") < text.index(MARK) < text.index("true")
    assert text.count(MARK) == 2


def test_output_is_taken_apart_by_rows() -> None:
    assert results(f"one\ntwo\n{MARK} 0\n{MARK} 3\n", 2) == [Result(0, "one\ntwo\n"), Result(3, "")]


def test_shell_that_ended_early_is_a_disagreement() -> None:
    with pytest.raises(DisagreementError, match="after 1 of 2 commands: half"):
        results(f"one\n{MARK} 0\nhalf", 2)


def test_right_output_and_status_are_no_complaint() -> None:
    assert complaints(ROW, Result(0, "NVME\nnsze    : 0x4000\n"), NAMES) == []


@pytest.mark.parametrize("result", [Result(0, "nsze : 0x1\n"), Result(1, "nsze : 0x4000\n"), Result(0, "")])
def test_other_output_or_status_is_a_complaint_with_the_output(result: Result) -> None:
    first, *rest = complaints(ROW, result, NAMES)
    assert first.startswith(f"nvme id-ns /dev/nvme0n1: status {result.status}")
    assert rest == result.output.splitlines()
