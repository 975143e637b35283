"""`baremetal nvme nbd`: a namespace over NBD, ending in order, and one line for everything that can be wrong."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess, command_line, environment
from stacks.nvme.nbd import NbdUri, parse_uri
from tests.apps.cli import LIMIT_S, baremetal, only_line, wait_until
from tests.stacks.nvme.nbd.test_sockets import SocketClient
from transports.control import ControlClient, running_processes
from wire.nbd import CommandKind, NbdError

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.fixture(params=["rdma", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def target_at(address: str, transport: str = "tcp", *, namespace: str = "mem:16MiB") -> ServingProcess:
    words = ["nvme", "target", "--namespace", namespace, "--listen", f"nvme+{transport}://{address}"]
    return ServingProcess([*words, "--until-stdin-ends", "--json"], timeout_s=LIMIT_S)


def nbd_of(url: str, *options: str) -> ServingProcess:
    return ServingProcess(["nvme", "nbd", url, *options, "--until-stdin-ends", "--json"], timeout_s=LIMIT_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "disk.sock"


@pytest.fixture
def url(loopback_address: str) -> Iterator[str]:
    with target_at(loopback_address) as process:
        yield f"nvme+tcp://{loopback_address}"
        assert process.stop(LIMIT_S) == 0


def test_a_namespace_is_a_disk_over_both_transports_and_both_kinds_of_sockets(
    loopback_address: str, transport: str, path: Path
) -> None:
    url = f"nvme+{transport}://{loopback_address}"
    listen = ["--listen", f"nbd+unix:///disk?socket={path}", "--listen", "nbd://127.0.0.1:0"]
    with target_at(loopback_address, transport), nbd_of(url, *listen) as process:
        assert (process.ready["size_bytes"], process.ready["block_bytes"]) == (16 * MIB, 4096)
        assert process.ready["name"] == "disk"
        uris = [parse_uri(uri) for uri in process.ready["uris"]]  # type: ignore[attr-defined]
        assert uris[0] == NbdUri("", 0, str(path), "disk")
        clients = [SocketClient(uri) for uri in uris]
        data = random.Random(1).randbytes(3 * MIB)
        for client, other, offset in (*zip(clients, reversed(clients), (0, 4 * MIB + 17), strict=True),):
            client.finish(client.say_write(offset, data))
            client.finish(client.say_request(CommandKind.FLUSH))
            cookie = other.say_request(CommandKind.READ, offset, len(data))
            other.finish(cookie)
            assert other.replies[cookie].data == data
        for client in clients:
            client.close()
        assert process.stop(LIMIT_S) == 0
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_use_it_and_ends_when_told_to(url: str, path: Path, number: signal.Signals) -> None:
    words = ["nvme", "nbd", url, "--listen", f"nbd+unix:///?socket={path}", "--export", "my disk"]
    with subprocess.Popen(
        command_line(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        wait_until(path.exists, process)
        client = SocketClient(NbdUri("", 0, str(path)))
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()  # or the block would wait for ever
        client.until(lambda: False)
        client.socket.close()
    assert (process.returncode, err) == (0, "")
    uri = f"nbd+unix:///my%20disk?socket={path}"
    assert f"serving {uri}" in out
    assert f"nbdinfo '{uri}'" in out
    assert f"qemu-img info '{uri}'" in out
    assert "16 MiB in blocks of 4096 bytes: nvme+tcp://" in out
    assert not path.exists()


def test_a_read_only_export_refuses_changes(url: str, path: Path) -> None:
    with nbd_of(url, "--listen", f"nbd+unix:///?socket={path}", "--read-only") as process:
        assert process.ready["is_read_only"] is True
        client = SocketClient(NbdUri("", 0, str(path)))
        cookie = client.say_write(0, bytes(4096))
        client.finish(cookie)
        assert client.replies[cookie].error == NbdError.EPERM
        client.close()


def test_its_control_socket_tells_who_uses_it_and_how_much(url: str, path: Path) -> None:
    with nbd_of(url, "--listen", f"nbd+unix:///?socket={path}") as process:
        client = SocketClient(NbdUri("", 0, str(path)))
        client.finish(client.say_write(0, bytes(8192)), client.say_request(CommandKind.READ, 0, 4096))
        (entry,) = (each for each in running_processes("nvme-nbd") if each.pid == process.pid)
        with ControlClient(entry.path) as control:
            state = control.snapshot()
        assert state["is_connected"] is True
        assert state["uris"] == [f"nbd+unix:///?socket={path}"]
        assert state["clients"] == [{"remote": ["", 0], "under_way": 0}]
        counters = state["nbd"]
        assert isinstance(counters, dict)
        assert (counters["reads"], counters["writes"], counters["bytes_written"]) == (1, 1, 8192)
        client.close()


def test_a_target_that_comes_back_is_waited_for(loopback_address: str, tmp_path: Path, path: Path) -> None:
    image, url = tmp_path / "disk.img", f"nvme+tcp://{loopback_address}"
    image.touch()
    os.truncate(image, MIB)
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(target_at(loopback_address, namespace=str(image)))
        stack.enter_context(nbd_of(url, "--listen", f"nbd+unix:///?socket={path}", "--reconnect-delay", "0.1"))
        client = SocketClient(NbdUri("", 0, str(path)))
        client.finish(client.say_write(0, b"before".ljust(4096)))
        os.kill(target.pid, signal.SIGKILL)
        target.stop()
        written = client.say_write(4096, b"meanwhile".ljust(4096))
        client.socket.sendall(client.outgoing)
        client.outgoing.clear()
        stack.enter_context(target_at(loopback_address, namespace=str(image)))
        cookie = client.say_request(CommandKind.READ, 0, 8192)
        client.finish(written, cookie)
        assert (client.replies[written].error, client.replies[cookie].error) == (0, 0)
        assert client.replies[cookie].data.split() == [b"before", b"meanwhile"]
        client.close()


def test_a_target_that_is_gone_is_an_error_for_clients_and_one_line(loopback_address: str, path: Path) -> None:
    words = ["nvme", "nbd", f"nvme+tcp://{loopback_address}", "--listen", f"nbd+unix:///?socket={path}"]
    words += ["--ctrl-loss-tmo", "0"]
    with (
        target_at(loopback_address) as target,
        subprocess.Popen(
            command_line(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
        ) as process,
    ):
        wait_until(path.exists, process)
        client = SocketClient(NbdUri("", 0, str(path)))
        client.finish(client.say_write(0, bytes(4096)))
        os.kill(target.pid, signal.SIGKILL)
        _, err = process.communicate(timeout=LIMIT_S)
        client.until(lambda: False)
        client.socket.close()
    assert process.returncode == 1
    assert err.startswith("baremetal: the ")
    assert f"target at {loopback_address}:4420" in err
    assert err.endswith("; see that it runs, and repeat\n")
    assert err.count("\n") == 1
    assert not path.exists()


def test_a_place_that_cannot_be_had_is_one_line(url: str, path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number = taken.getsockname()[1]
        done = baremetal("nvme", "nbd", url, "--listen", f"nbd://127.0.0.1:{number}")
        assert f"cannot listen on 127.0.0.1 port {number}: it is taken" in only_line(done)
    path.write_text("precious")
    done = baremetal("nvme", "nbd", url, "--listen", f"nbd+unix:///?socket={path}")
    assert f"{path} is there already and no socket, and is left alone" in only_line(done)
    path.unlink()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(path))
        other.listen()
        done = baremetal("nvme", "nbd", url, "--listen", f"nbd+unix:///?socket={path}")
        assert f"cannot listen at {path}: it is taken" in only_line(done)
    done = baremetal("nvme", "nbd", url, "--listen", f"nbd+unix:///?socket={path.parent / 'missing' / 'x'}")
    assert "no such file or directory" in only_line(done)


def test_a_target_that_is_not_there_is_one_line(loopback_address: str) -> None:
    done = baremetal("nvme", "nbd", f"nvme+tcp://{loopback_address}", "--listen", "nbd://127.0.0.1:0")
    assert "is a target running there?" in only_line(done)


WRONG = [
    (["--listen", "disk.sock"], "is no NBD URI; one looks like nbd://127.0.0.1:10809/disk"),
    (["--listen", "nbd://224.0.0.1"], "is the address of a group"),
    (["--listen", "nbd://127.0.0.1/a", "--export", "b"], "name a and b; leave all but one out"),
    (["--export", "x" * 4097], "up to 4096 bytes"),
]


@pytest.mark.parametrize(("options", "says"), WRONG)
def test_wrong_arguments_are_one_line_and_status_2(options: list[str], says: str) -> None:
    done = baremetal("nvme", "nbd", "nvme+tcp://127.0.0.1", *options)
    assert says in only_line(done)
    assert done.returncode == 2


def test_help_names_the_uris() -> None:
    out = baremetal("nvme", "nbd", "--help").stdout
    assert "nbd+unix:///NAME?socket=PATH" in out
