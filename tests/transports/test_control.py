"""The control socket: what a client is told, what is refused, and which sockets are left lying about."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import trio

from transports.control import ControlClient, ControlError, ControlServer, Json, control_directory, running_processes
from transports.control.server import Command


def refuse(_: Mapping[str, Json]) -> Json:
    raise ControlError("not today")


def add(arguments: Mapping[str, Json]) -> Json:
    return int(str(arguments["a"])) + 1


def leak(_: Mapping[str, Json]) -> Json:
    return object()  # type: ignore[return-value]  # what no JSON can say


def serve(folder: Path, use: Callable[[Path], Awaitable[None]], **more: Command) -> None:
    """Run a server with three commands and `more` in `folder`, and `use` with the path of its socket beside it."""

    async def main() -> None:
        commands: dict[str, Command] = {"add": add, "refuse": refuse, "leak": leak, **more}
        server = ControlServer("probe", lambda: {"frames": 7}, commands=commands, directory=folder)
        with trio.fail_after(55):
            async with trio.open_nursery() as nursery:
                await use(await nursery.start(server.run))
                nursery.cancel_scope.cancel()

    trio.run(main)


def ask(path: Path, question: Callable[[ControlClient], Json]) -> Awaitable[Json]:
    """Put one question to the server at `path` from a thread, where a blocking client belongs."""

    def blocking() -> Json:
        with ControlClient(path) as client:
            return question(client)

    return trio.to_thread.run_sync(blocking)


def test_snapshot_names_the_process_and_its_state(tmp_path: Path) -> None:
    async def use(path: Path) -> None:
        answer = await ask(path, lambda client: client.snapshot())
        assert answer == {"role": "probe", "pid": os.getpid(), "frames": 7}

    serve(tmp_path, use)


def test_subscription_sends_snapshots_until_the_client_has_enough(tmp_path: Path) -> None:
    async def use(path: Path) -> None:
        def two(client: ControlClient) -> Json:
            snapshots = client.subscribe(10)
            return [next(snapshots)["frames"], next(snapshots)["frames"]]

        assert await ask(path, two) == [7, 7]

    serve(tmp_path, use)


def test_command_returns_its_result_and_passes_its_refusal_on(tmp_path: Path) -> None:
    async def use(path: Path) -> None:
        assert await ask(path, lambda client: client.command("add", {"a": 1})) == 2
        with pytest.raises(ControlError, match="not today"):
            await ask(path, lambda client: client.command("refuse"))
        with pytest.raises(ControlError, match="there are: add, leak, refuse"):
            await ask(path, lambda client: client.command("multiply"))

    serve(tmp_path, use)


def test_a_command_that_takes_its_time_holds_nobody_else_up(tmp_path: Path) -> None:
    may_end = trio.Event()

    async def slow(arguments: Mapping[str, Json]) -> Json:
        await may_end.wait()
        if arguments:
            raise ControlError("too late")
        return "done"

    async def use(path: Path) -> None:
        answers: list[Json] = []

        async def wait(arguments: dict[str, Json]) -> None:
            try:
                answers.append(await ask(path, lambda client: client.command("slow", arguments)))
            except ControlError as error:
                answers.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, {})
            nursery.start_soon(wait, {"x": 1})
            assert await ask(path, lambda client: client.snapshot())
            assert not answers
            may_end.set()
        assert sorted(map(str, answers)) == ["done", "too late"]

    serve(tmp_path, use, slow=slow)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b"[" * 60_000,
        b"\xff",
        b'{"op": 3}',
        b'{"op": "dance"}',
        b'{"op": "subscribe", "interval_ms": 0}',
        b'{"op": "command", "name": "add", "arguments": {"a": "one"}}',
        b'{"op": "command", "name": "add"}',
        b'{"op": "command", "name": "leak"}',
    ],
    ids=lambda line: line[:60],
)
def test_a_bad_line_is_answered_and_the_next_one_still_served(tmp_path: Path, line: bytes) -> None:
    async def use(path: Path) -> None:
        stream = await trio.open_unix_socket(str(path))
        async with stream:
            await stream.send_all(line + b'\n{"op": "snapshot"}\n')
            received = b""
            while received.count(b"\n") < 2:
                received += await stream.receive_some()
        first, second = received.splitlines()
        assert b'"ok": false' in first
        assert b'"frames": 7' in second

    serve(tmp_path, use)


def test_an_exception_of_a_command_becomes_its_answer(tmp_path: Path) -> None:
    async def use(path: Path) -> None:
        with pytest.raises(ControlError, match="KeyError: 'a'"):
            await ask(path, lambda client: client.command("add"))

    serve(tmp_path, use)


def test_a_client_that_never_ends_its_line_is_hung_up_on(tmp_path: Path) -> None:
    async def use(path: Path) -> None:
        stream = await trio.open_unix_socket(str(path))
        async with stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x" * 4_000_000)

    serve(tmp_path, use)


def test_running_processes_lists_the_living_and_removes_the_dead(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "probe-1.sock"))
    (tmp_path / "notes.txt").touch()

    async def use(path: Path) -> None:
        assert [entry.path for entry in running_processes("probe", directory=tmp_path)] == [path]
        assert running_processes("other", directory=tmp_path) == []
        assert not (tmp_path / "probe-1.sock").exists()

    serve(tmp_path, use)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_second_server_of_the_same_role_has_a_name_of_its_own(tmp_path: Path) -> None:
    async def use(path: Path) -> None:
        second = ControlServer("probe", dict, directory=tmp_path)
        assert second.path.name == f"probe-{os.getpid()}.2.sock"
        assert path != second.path

    serve(tmp_path, use)


def test_a_client_of_nobody_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no process answers"):
        ControlClient(tmp_path / "probe-1.sock")


def test_the_folder_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "baremetal").mkdir(mode=0o755)
    assert stat.S_IMODE(control_directory().stat().st_mode) == 0o700


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "baremetal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControlError, match="is not a folder"):
        control_directory()


@pytest.mark.parametrize("role", ["", "Upper", "a b", "../x"])
def test_a_role_is_a_plain_name(tmp_path: Path, role: str) -> None:
    with pytest.raises(ControlError, match="role"):
        ControlServer(role, dict, directory=tmp_path)
