"""The table of rdma-core's tests, and what counts as a skip that is right."""

from __future__ import annotations

import errno

import pytest

from interop.pyverbs.absent import absent
from interop.pyverbs.case import is_agreed
from interop.pyverbs.table import Row, written
from stacks.rdma.verbs import PyverbsRDMAError

OK = Row("tests.test_qp.QPTest.test_create", "ok", "")
KNOWN = Row("tests.test_qp.QPTest.test_raw", "skip", "Create Raw Packet QP with attrs is not supported")
UNKNOWN = Row("tests.test_qp.QPTest.test_ud", "skip", "Create UD QP with attrs is not supported")
FAILED = Row("tests.test_pd.PDTest.test_alloc", "FAIL", "Traceback\n  File\nValueError: a | b\n")


def test_only_known_skips_are_agreed() -> None:
    assert [is_agreed(row) for row in (OK, KNOWN, UNKNOWN, FAILED)] == [True, True, False, False]


def test_the_table_has_a_row_for_each_test_and_the_sums() -> None:
    text = written([OK, KNOWN, UNKNOWN, FAILED])
    assert "4 tests: 1 ok, 2 skipped, 1 failed." in text
    assert "| test_qp | QPTest.test_create | ok |  |" in text
    assert "rxe has none either" in text
    assert "to be done" in text
    assert "| test_pd | PDTest.test_alloc | FAIL | ValueError: a / b |" in text


def test_a_name_of_a_vendor_is_a_class_that_cannot_be_made() -> None:
    made = absent("Mlx5Context")
    assert made.__name__ == "Mlx5Context"
    with pytest.raises(PyverbsRDMAError) as caught:
        made(attr=None)
    assert caught.value.error_code == errno.EOPNOTSUPP
