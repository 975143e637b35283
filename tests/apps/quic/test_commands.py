"""`baremetal quic serve` and `get` as processes over loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import apps.quic.running  # noqa: F401 - loaded once, and not in every fork
from apps.processes import ServingProcess, command_line, environment
from tests.apps.cli import LIMIT_S, baremetal, only_line, wait_until

pytestmark = pytest.mark.slow

BIG = 3_000_000


class Site:
    """A folder that is served at `url`, with its certificate in `ca`."""

    def __init__(self, folder: Path, address: str, *options: str) -> None:
        self.folder = folder
        self.ca = folder.parent / f"ca-{address}.pem"
        self.process = ServingProcess(
            [
                *("quic", "serve", str(folder), "--listen", f"{address}:0", "--name", address),
                *("--save-cert", str(self.ca), "--until-stdin-ends", "--json", *options),
            ],
            timeout_s=LIMIT_S,
        )
        self.url = str(self.process.ready["url"])

    def get(self, *words: str, into: Path) -> subprocess.CompletedProcess[str]:
        return baremetal("quic", "get", "--ca", str(self.ca), *words, "--directory", str(into))

    def get_json(self, *words: str, into: Path) -> dict[str, list[dict[str, object]]]:
        done = self.get(*words, "--json", into=into)
        assert done.returncode == 0, done.stderr
        document: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
        return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site") / "root"
    (root / "many").mkdir(parents=True)
    (root / "big").write_bytes(random.Random(1).randbytes(BIG))
    (root / "hello.txt").write_bytes(b"hello\n")
    (root / "empty").write_bytes(b"")
    with (root / "huge").open("wb") as file:
        file.truncate(4 << 30)
    for number in range(60):
        (root / "many" / f"f{number}").write_bytes(random.Random(number).randbytes(32))
    return root


@pytest.fixture(scope="module")
def site(folder: Path, loopback_addresses: Iterator[str]) -> Iterator[Site]:
    served = Site(folder, next(loopback_addresses))
    with served.process:
        yield served


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path


def test_file_arrives_whole(site: Site, into: Path) -> None:
    done = site.get(f"{site.url}big", into=into)
    assert done.returncode == 0, done.stderr
    assert (into / "big").read_bytes() == (site.folder / "big").read_bytes()
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{into / 'big'}  {BIG} bytes (2.861 MiB) at ")
    assert "QUIC version 1, h3, handshake" in second
    assert done.stderr == ""


@pytest.mark.parametrize("options", [["--http09"], ["--cipher", "chacha20"], ["--cc", "bbr3"], ["--no-offload"]])
def test_file_arrives_whole_in_other_ways(site: Site, into: Path, options: list[str]) -> None:
    document = site.get_json(f"{site.url}big", *options, into=into)
    assert (into / "big").read_bytes() == (site.folder / "big").read_bytes()
    assert document["connections"][0]["alpn"] == ("hq-interop" if options == ["--http09"] else "h3")


def test_many_files_share_one_connection(site: Site, into: Path) -> None:
    document = site.get_json(*[f"{site.url}many/f{number}" for number in range(60)], f"{site.url}empty", into=into)
    assert len(document["connections"]) == 1
    assert len(document["files"]) == 61
    for number in range(60):
        assert (into / f"f{number}").read_bytes() == (site.folder / "many" / f"f{number}").read_bytes()
    assert (into / "empty").read_bytes() == b""


def test_one_missing_file_fails_and_the_others_come(site: Site, into: Path) -> None:
    done = site.get(f"{site.url}nothing", f"{site.url}hello.txt", into=into)
    assert only_line(done) == f"baremetal: {site.url}nothing: the server answers 404, not found"
    assert [path.name for path in into.iterdir()] == ["hello.txt"]


def test_missing_file_of_old_http_is_a_reset(site: Site, into: Path) -> None:
    done = site.get(f"{site.url}nothing", "--http09", into=into)
    assert "broke it off" in only_line(done)
    assert list(into.iterdir()) == []


def test_standard_output_has_the_file_and_nothing_else(site: Site) -> None:
    done = baremetal("quic", "get", "--insecure", f"{site.url}hello.txt", "--output", "-")
    assert done.stdout == "hello\n"
    assert "handshake" in done.stderr


def test_sessions_resume_with_requests_in_the_first_flight(site: Site, into: Path) -> None:
    urls = [f"{site.url}many/f{number}" for number in range(5)]
    kept = ["--session", str(into / "sessions")]
    seen = [site.get_json(*urls, *kept, *more, into=into)["connections"][0] for more in ([], [], ["--no-early-data"])]
    assert [each["is_resumed"] for each in seen] == [False, True, True]
    assert [each["is_early_data_accepted"] for each in seen] == [False, True, False]
    for number in range(5):
        assert (into / f"f{number}").read_bytes() == (site.folder / "many" / f"f{number}").read_bytes()


def test_keys_are_updated_and_version_two_is_spoken(site: Site, into: Path) -> None:
    document = site.get_json(f"{site.url}big", "--key-update", "--version", "2", into=into)
    connection = document["connections"][0]
    assert connection["version"] == 2
    counters = connection["counters"]
    assert isinstance(counters, dict)
    assert counters["key_updates"] >= 1
    assert (into / "big").read_bytes() == (site.folder / "big").read_bytes()


def test_client_asks_for_an_upgrade_of_a_server_that_prefers_version_one(site: Site, into: Path) -> None:
    # Ours goes by its own preference (RFC 9368 4 leaves that to servers), so that 1 it stays.
    document = site.get_json(f"{site.url}hello.txt", "--upgrade", into=into)
    assert document["connections"][0]["version"] == 1


def test_small_window_takes_longer_and_brings_the_same(site: Site, into: Path) -> None:
    site.get_json(f"{site.url}big", "--window", "16k", into=into)
    assert (into / "big").read_bytes() == (site.folder / "big").read_bytes()


def test_server_asks_for_a_retry_and_for_version_two(folder: Path, loopback_address: str, into: Path) -> None:
    served = Site(folder, loopback_address, "--retry", "--version", "2", "--no-early-data")
    with served.process:
        document = served.get_json(f"{served.url}hello.txt", into=into)
        assert document["connections"][0]["version"] == 2
        assert served.process.stop(LIMIT_S) == 0
    assert (into / "hello.txt").read_bytes() == b"hello\n"


@pytest.mark.long
def test_client_moves_to_another_port_and_to_the_preferred_address(
    folder: Path, loopback_address: str, into: Path
) -> None:
    served = Site(folder, loopback_address, "--preferred", f"{loopback_address}:4434", "--qlog", str(into))
    with served.process:
        document = served.get_json(f"{served.url}hello.txt", f"{served.url}big", "--migrate", into=into)
        assert served.process.stop(LIMIT_S) == 0
    assert len(document["files"]) == 2
    assert (into / "big").read_bytes() == (folder / "big").read_bytes()
    (log,) = into.glob("*_server.sqlog")
    assert "path_challenge" in log.read_text()


def test_untrusted_certificate_is_refused_in_one_line(site: Site, into: Path) -> None:
    done = baremetal("quic", "get", f"{site.url}hello.txt", "--directory", str(into))
    line = only_line(done)
    assert "certificate is not trusted" in line
    assert "--ca FILE" in line
    assert list(into.iterdir()) == []


def test_nobody_there_is_told(loopback_address: str) -> None:
    line = only_line(baremetal("quic", "get", f"https://{loopback_address}:9/x", "--timeout", "3s"))
    assert f"nothing listens at {loopback_address} port 9" in line


def test_server_that_is_not_there_does_not_keep_others_from_answering(
    site: Site, loopback_address: str, into: Path
) -> None:
    done = site.get(f"{site.url}hello.txt", f"https://{loopback_address}:9/x", "--timeout", "2s", into=into)
    assert "nothing listens" in only_line(done)
    assert [path.name for path in into.iterdir()] == ["hello.txt"]


@pytest.mark.long
def test_reader_that_stops_is_told_of(site: Site) -> None:
    words = command_line(["quic", "get", "--insecure", f"{site.url}huge", "--output", "-"])
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(LIMIT_S) == 1
    assert errors == "baremetal: standard output: broken pipe, the transfer is not complete\n"


def test_unknown_host_is_told() -> None:
    assert "no-such-host.invalid" in only_line(baremetal("quic", "get", "https://no-such-host.invalid/x"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["http://a.test/"], "QUIC is for https"),
        (["https://a.test/x", "--cc", "vegas"], "vegas"),
        (["https://a.test/x", "--version", "3"], "version 1 and version 2"),
        (["https://a.test/x", "--version", "2", "--upgrade"], "--upgrade is from version 1 to 2"),
        (["https://a.test/x", "--window", "0"], "at least 1"),
        (["https://a.test/x", "--cipher", "des"], "aes128, aes256, chacha20"),
        (["https://a.test/x", "--alpn", "doq"], "h3 and hq-interop"),
        (["https://a.test/x", "https://b.test/x"], "would both be x"),
        (["https://a.test/x", "https://b.test/y", "--output", "z"], "--output is for one URL"),
        (["https://a.test/x", "--directory", "/missing"], "is no folder"),
        (["https://a.test/x", "--ca", "/missing"], "no such file"),
    ],
)
def test_wrong_arguments_are_one_line(words: list[str], problem: str) -> None:
    done = baremetal("quic", "get", *words)
    assert problem in only_line(done)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["/missing"], "is no folder"),
        ([".", "--cert", __file__], "--cert and --key go together"),
        ([".", "--cert", __file__, "--key", __file__], "no readable certificate"),
        ([".", "--listen", "a.test:1"], "no address and port"),
    ],
)
def test_wrong_arguments_of_the_server_are_one_line(words: list[str], problem: str) -> None:
    assert problem in only_line(baremetal("quic", "serve", *words))


def test_key_log_decrypts_both_ends(site: Site, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(into / "keys"))
    site.get_json(f"{site.url}hello.txt", into=into)
    labels = {line.split()[0] for line in (into / "keys").read_text().splitlines()}
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= labels


def test_capture_has_packets(site: Site, into: Path) -> None:
    site.get_json(f"{site.url}hello.txt", "--capture", str(into / "c.pcapng"), into=into)
    assert (into / "c.pcapng").stat().st_size > 2000


def _getting(site: Site, into: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(["quic", "get", "--ca", str(site.ca), f"{site.url}huge", "--directory", str(into), *words]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def _is_under_way(into: Path) -> bool:
    return any(path.stat().st_size > 100_000 for path in into.glob(".huge.*.part"))


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_interrupt_leaves_no_part_of_a_file(site: Site, into: Path, number: int, status: int) -> None:
    with _getting(site, into) as process:
        wait_until(lambda: _is_under_way(into), process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == status
    assert errors in {"baremetal: interrupted\n", ""}
    assert list(into.iterdir()) == []


def test_server_that_dies_is_told(folder: Path, loopback_address: str, into: Path) -> None:
    served = Site(folder, loopback_address)
    with served.process, _getting(served, into, "--timeout", "2s") as process:
        wait_until(lambda: _is_under_way(into), process)
        os.kill(served.process.pid, signal.SIGKILL)
        started = time.monotonic()
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "gone in the middle of it" in errors
    assert errors.count("\n") == 1
    assert time.monotonic() - started < 15
    assert list(into.iterdir()) == []


@pytest.mark.long
def test_server_that_is_told_to_end_says_so(folder: Path, loopback_address: str, into: Path) -> None:
    served = Site(folder, loopback_address)
    with served.process, _getting(served, into) as process:
        wait_until(lambda: _is_under_way(into), process)
        assert served.process.stop(LIMIT_S) == 0
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "ended the connection" in errors
    assert errors.count("\n") == 1
    assert list(into.iterdir()) == []


def test_full_disk_is_one_line(site: Site) -> None:
    done = baremetal("quic", "get", "--insecure", f"{site.url}big", "--output", "/dev/full")
    assert "no space left" in only_line(done)
