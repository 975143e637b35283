"""The answering side: a trio task in the process that is looked at."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import trio

from transports.control.directory import Json, control_directory, socket_path
from transports.control.errors import ControlError

Command = Callable[[Mapping[str, Json]], Json | Awaitable[Json]]
"""What runs for a command: takes its arguments, returns its result, or something to await it of, while other clients
are answered; an exception becomes the answer.
"""


class ControlServer:
    """The control socket of this process.

    role: what the process is, in small letters and hyphens ("nvme-target"); part of the socket's name.
    snapshot: called for every snapshot; returns the state as JSON.
    commands: by name.
    directory: where the socket is made; `control_directory()` when None.
    ControlError for a bad role or a folder that cannot be used.
    """

    def __init__(
        self,
        role: str,
        snapshot: Callable[[], dict[str, Json]],
        *,
        commands: Mapping[str, Command] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.path = socket_path(role, directory or control_directory())
        self._role = role
        self._snapshot = snapshot
        self._commands = dict(commands or {})
        self._places = trio.CapacityLimiter(CLIENTS)

    async def run(self, *, task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, then remove the socket. Reports its path when clients can connect."""
        listener = trio.SocketListener(await self._listen())
        try:
            async with listener:
                task_status.started(self.path)
                await trio.serve_listeners(self._serve, [listener])
        finally:
            self.path.unlink(missing_ok=True)

    async def _listen(self) -> trio.socket.SocketType:
        """A listening socket at `path`. It gets that name once it listens: a name nobody answers at is removed."""
        unfinished = self.path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        await listening.bind(str(unfinished))
        listening.listen(CLIENTS)
        unfinished.rename(self.path)
        return listening

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with self._places, stream:
            try:
                await self._answer_lines(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def _answer_lines(self, stream: trio.SocketStream) -> None:
        pending = bytearray()
        async for chunk in stream:
            pending += chunk
            while (end := pending.find(b"\n")) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                await self._answer(line, stream.send_all)
            if len(pending) > LINE_BYTES:
                return

    async def _answer(self, line: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        while True:
            reply, again_ms = await self._reply(line)
            await send(reply)
            if not again_ms:
                return
            await trio.sleep(again_ms / 1000)

    async def _reply(self, line: bytes) -> tuple[bytes, int]:
        """What to answer, and after how many milliseconds to answer again, 0 for never."""
        try:
            request = parse_request(line)
            if request["op"] == "subscribe":
                return _encode({"ok": True, "result": self._state()}), _interval_ms(request)
            result = self._perform(request)
            return _encode({"ok": True, "result": await result if isinstance(result, Awaitable) else result}), 0
        except ControlError as error:
            return _encode({"ok": False, "error": str(error)}), 0
        except Exception as error:  # noqa: BLE001  # a command's defect is its caller's news, not this process's end
            return _encode({"ok": False, "error": f"{type(error).__name__}: {error}"}), 0

    def _perform(self, request: dict[str, Json]) -> Json | Awaitable[Json]:
        if request["op"] == "snapshot":
            return self._state()
        name, arguments = request.get("name"), request.get("arguments", {})
        if request["op"] != "command" or not isinstance(name, str) or not isinstance(arguments, dict):
            raise ControlError("an operation is snapshot, subscribe, or command with a name and arguments")
        if name not in self._commands:
            raise ControlError(f"no command {name!r} here; there are: {', '.join(sorted(self._commands)) or 'none'}")
        return self._commands[name](arguments)

    def _state(self) -> dict[str, Json]:
        return {"role": self._role, "pid": os.getpid(), **self._snapshot()}


def _interval_ms(request: dict[str, Json]) -> int:
    interval_ms = request.get("interval_ms", 1000)
    if not isinstance(interval_ms, int) or not 10 <= interval_ms <= HOUR_MS:
        raise ControlError(f"interval_ms is 10 to {HOUR_MS}, not {interval_ms!r}")
    return interval_ms


def _encode(reply: dict[str, Json]) -> bytes:
    return json.dumps(reply).encode() + b"\n"


def parse_request(line: bytes) -> dict[str, Json]:
    """The request of one line, with its "op". ControlError when it is no such object."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("a request is one JSON object a line") from error
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise ControlError('a request is a JSON object with an "op"')
    return request


CLIENTS = 16
LINE_BYTES = 65536
HOUR_MS = 3_600_000
