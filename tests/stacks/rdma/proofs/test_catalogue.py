"""The catalogue is complete, and every test that it names exists and says which section it is about."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from stacks.rdma import AsyncEventType, WcStatus
from stacks.rdma.enums import Nak
from tests.stacks.rdma.proofs.catalogue import ASYNC_EVENTS, SECTIONS, STATUSES, SYNDROMES, Entry, rendered

TESTS = Path(__file__).parents[1]
DOCUMENT = Path(__file__).parents[4] / "docs" / "verbs-coverage.md"
ENTRIES = [entry for entries in SECTIONS.values() for entry in entries]
SOURCES = ("IBTA", "annex A", "libibverbs", "Linux rxe")
BEYOND = ("TM_ERR", "TM_RNDV_INCOMPLETE")
"""Statuses of libibverbs that no completion here can have."""


@cache
def named_tests(file: str) -> dict[str, str]:
    """The tests of a file, with what their docstring or, without one, the module's says."""
    module = ast.parse((TESTS / file).read_text())
    whole = ast.get_docstring(module) or ""
    return {
        node.name: f"{ast.get_docstring(node) or ''} {whole}"
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_has_tests_that_exist_and_name_a_section_or_else_a_reason(entry: Entry) -> None:
    assert bool(entry.tests) != bool(entry.reason)
    for test in entry.tests:
        file, name = test.split("::")
        assert name in named_tests(file), test
        assert any(source in named_tests(file)[name] for source in SOURCES), f"{test} names no section"


def test_every_status_and_event_is_listed_under_its_number() -> None:
    names = [status.name for status in WcStatus]
    assert [entry.name for entry in STATUSES] == [*names, *BEYOND]
    assert [int(status) for status in WcStatus] == list(range(len(names)))
    assert [entry.name for entry in ASYNC_EVENTS] == [kind.name for kind in AsyncEventType]
    assert [int(kind) for kind in AsyncEventType] == list(range(21))


def test_every_nak_code_is_listed() -> None:
    listed = [entry.name for entry in SYNDROMES]
    for code in Nak:
        assert f"NAK {int(code)}, {code.name.replace('_', ' ').lower()}".replace("psn", "PSN") in listed


def test_the_document_is_what_the_catalogue_prints() -> None:
    assert DOCUMENT.read_text() == rendered(), "python -m tests.stacks.rdma.proofs.catalogue > docs/verbs-coverage.md"
