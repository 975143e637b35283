"""The asking side: plain blocking calls."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from transports.control.directory import Json
from transports.control.errors import ControlError, NoAnswer


class ControlClient:
    """A connection to one process's control socket; a context manager.

    path: of the socket. timeout_s: how long to wait for any answer.
    ControlError when nobody listens there.
    """

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise ControlError(f"no process answers at {path}: {error.strerror or error}") from error
        self._lines = self._socket.makefile("rb")

    def snapshot(self) -> dict[str, Json]:
        """The process's state now. ControlError as for `command`."""
        return self._object(self._ask({"op": "snapshot"}))

    def subscribe(self, interval_ms: int) -> Iterator[dict[str, Json]]:
        """Snapshots every `interval_ms` milliseconds, for as long as the caller iterates and the process lives."""
        self._socket.settimeout(self._timeout_beyond(interval_ms))
        self._send({"op": "subscribe", "interval_ms": interval_ms})
        while True:
            try:
                yield self._object(self._answer())
            except EOFError:
                return

    def command(self, name: str, arguments: Mapping[str, Json] | None = None) -> Json:
        """Run a command of the process and return its result.

        ControlError when the process refuses or goes away; NoAnswer, which is one, when it does not answer in time.
        """
        return self._ask({"op": "command", "name": name, "arguments": dict(arguments or {})})

    def close(self) -> None:
        """Hang up; idempotent."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Json]) -> Json:
        self._send(request)
        try:
            return self._answer()
        except EOFError as error:
            raise ControlError("the process closed its control socket") from error

    def _send(self, request: dict[str, Json]) -> None:
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise ControlError(f"the process went away: {error.strerror or error}") from error

    def _answer(self) -> Json:
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise NoAnswer("the process did not answer in time") from error
        except ConnectionError as error:
            raise EOFError from error
        if not line:
            raise EOFError
        answer = json.loads(line)
        if not answer["ok"]:
            raise ControlError(str(answer["error"]))
        result: Json = answer["result"]
        return result

    def _timeout_beyond(self, interval_ms: int) -> float:
        return (self._socket.gettimeout() or 0.0) + interval_ms / 1000

    def _object(self, value: Json) -> dict[str, Json]:
        if not isinstance(value, dict):
            raise ControlError("the process answered something that is not a snapshot")
        return value
