"""Whoever runs a target is told what a store raised, once for each kind."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest
import trio

from stacks.nvme.aio import connect, serve
from stacks.nvme.host import CommandFailed
from stacks.nvme.serving.store_reports import StoreReports
from stacks.nvme.stores import Store
from stacks.nvme.stores.contract import READ, StoreRequest, fail
from stacks.nvme.target import Subsystem, Target
from stacks.nvme.url import NvmeUrl

NQN = "nqn.2026-11.io.baremetal:own"


class Own(Store):
    """A store of thirty lines, with a mistake."""

    block_bytes, block_count = 4096, 256

    def read(self, block: int, into: memoryview) -> None:
        """Never works."""
        raise ValueError(f"unlucky {block}")


class Told(list[str]):
    """What a target with two namespaces says of its stores."""

    def __init__(self) -> None:
        super().__init__()
        self.subsystem = Subsystem(NQN)
        self.namespaces = [self.subsystem.add_namespace(Own()) for _ in range(2)]
        self.target = Target([self.subsystem])
        self.target.on_store_failure = StoreReports(self.target, self.append)

    def fails(self, index: int, error: Exception) -> None:
        request = StoreRequest()
        request.verb = READ
        fail(request, error)
        self.target.tell_store_failure(self.namespaces[index], request.failure, request.trace)


def raised(message: str) -> ValueError:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_an_exception_is_told_once_for_each_namespace_with_its_type_text_and_line() -> None:
    told = Told()
    for message in ("unlucky 1", "unlucky 2"):
        told.fails(0, raised(message))
    told.fails(1, raised("unlucky 3"))
    assert len(told) == 2
    assert told[0].startswith(f"namespace 1 of {NQN}: its store raised ValueError: unlucky 1 (")
    assert "test_store_reports.py, line " in told[0]
    assert "in raised)" in told[0]
    assert "\n" not in told[0]
    assert told[1].startswith(f"namespace 2 of {NQN}: its store raised ValueError: unlucky 3 (")


def test_the_words_of_the_operating_system_are_told_with_the_namespace() -> None:
    told = Told()
    for number in (errno.EIO, errno.ENOSPC, errno.EIO):
        told.fails(0, OSError(number, os.strerror(number)))
    assert [line.partition(": ")[2].partition(";")[0] for line in told] == [
        "input/output error",
        "no space left on device",
    ]
    assert told[0].startswith(f"namespace 1 of {NQN}: ")


def test_the_traceback_is_shown_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAREMETAL_DEBUG", "1")
    told = Told()
    told.fails(0, raised("unlucky"))
    assert "raise ValueError(message)\n" in told[0]
    assert told[0].endswith("\nValueError: unlucky")


def test_a_server_tells_by_itself(loopback_addresses: Iterator[str], caplog: pytest.LogCaptureFixture) -> None:
    url = NvmeUrl("tcp", next(loopback_addresses))

    async def main() -> None:
        async with serve(url, Own()), connect(url) as namespace:
            for block in range(2):
                with pytest.raises(CommandFailed):
                    await namespace.read(block)

    trio.run(main)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "namespace 1 of nqn.2026-11.io.baremetal:disk: its store raised ValueError: unlucky 0"
    ]
