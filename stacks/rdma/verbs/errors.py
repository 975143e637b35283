"""Errors under pyverbs' names: each carries an errno, as a C program would see it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stacks.runtime.errors import StackError


class PyverbsError(Exception):
    """Base of the others. error_code: an errno, or -1 when there is none to name."""

    def __init__(self, msg: str, error_code: int = -1) -> None:
        if error_code != -1:
            msg = f"{msg}. Errno: {error_code}, {os.strerror(abs(error_code))}"
        super().__init__(msg)
        self.error_code = error_code


class PyverbsRDMAError(PyverbsError):
    """A verb failed; EOPNOTSUPP says that this device does not have it."""


class PyverbsUserError(PyverbsError):
    """The arguments make no sense, such as the name of a device that is not there."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg)


@contextmanager
def failing_with(what: str) -> Iterator[None]:
    """Turn whatever a core refuses into PyverbsRDMAError: `what`, the core's own words, and its errno."""
    try:
        yield
    except StackError as error:
        raise rdma_error(what, error) from error


def rdma_error(what: str, error: StackError) -> PyverbsRDMAError:
    """The PyverbsRDMAError for a refusal; EINVAL where the core names no errno."""
    return PyverbsRDMAError(f"{what}: {error}", getattr(error, "errno", None) or errno.EINVAL)


def unsupported(what: str) -> PyverbsRDMAError:
    """What to raise for a verb that this device does not have."""
    return PyverbsRDMAError(what, errno.EOPNOTSUPP)
