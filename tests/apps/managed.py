"""A target that serves and can be managed, in a thread of the test's own process: no process has to start."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trio

from apps.command_line import app
from apps.errors import explain
from apps.nvme.management.manager import Manager
from apps.nvme.management.verbs import VERBS
from stacks.nvme.aio import Server, serve
from stacks.nvme.configuration import ConfiguredTarget, TargetConfiguration
from tests.apps.cli import LIMIT_S
from transports.control import ControlServer, Json


class ManagedTarget:
    """configured, server: what serves. Nothing of it may be touched but through `run`, in its own thread."""

    def __init__(self, configuration: TargetConfiguration) -> None:
        self._configuration = configuration
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), daemon=True)
        self._ending: trio.Event | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self.server: Server | None = None
        self.configured: ConfiguredTarget | None = None
        self.is_over = False

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(LIMIT_S)

    def stop(self) -> None:
        if self._token is not None and self._ending is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._ending.set)
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def join(self) -> None:
        """Wait until it has ended by itself."""
        self._thread.join(LIMIT_S)
        assert self.is_over

    async def _main(self) -> None:
        self._ending, self._token = trio.Event(), trio.lowlevel.current_trio_token()
        with contextlib.closing(ConfiguredTarget(self._configuration)) as self.configured:
            async with serve(self.configured) as self.server:
                manager = Manager(self.configured, self.server, end=self._ending.set)
                control = ControlServer("nvme-target", self._snapshot, commands=manager.commands(VERBS))
                async with trio.open_nursery() as nursery:
                    await nursery.start(control.run)
                    self._is_up.set()
                    await self._ending.wait()
                    nursery.cancel_scope.cancel()
        self.is_over = True

    def _snapshot(self) -> dict[str, Json]:
        return {"listening": {str(port.url): {} for port in self._configuration.ports}}


@contextlib.contextmanager
def managed(configuration: TargetConfiguration) -> Iterator[ManagedTarget]:
    target = ManagedTarget(configuration)
    target.start()
    try:
        yield target
    finally:
        target.stop()


@pytest.fixture
def control_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the control sockets of this test alone."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


class Result:
    """What a command printed, the line it failed with, and its exit status."""

    def __init__(self, output: str, line: str, status: int) -> None:
        self.output = output
        self.line = line
        self.status = status

    @property
    def json(self) -> dict[str, object]:
        assert self.status == 0, self.line
        document = json.loads(self.output)
        assert isinstance(document, dict)
        return document


def command(*words: str) -> Result:
    """Run `baremetal WORDS...` in this process."""
    return _run(words)


def _run(words: Sequence[str]) -> Result:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            status = app(list(words), standalone_mode=False)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            line, number = explain(error)
            assert "\n" not in line
            return Result(output.getvalue(), line, number)
    return Result(output.getvalue(), "", status if isinstance(status, int) else 0)
