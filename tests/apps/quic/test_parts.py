"""URLs, folders, downloads and session files, each by itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import typer

from apps.errors import CommandError
from apps.quic import arguments
from apps.quic.documents import Document, Documents
from apps.quic.downloads import Download, Outflow, sink
from apps.quic.key_log import key_log
from apps.quic.session_file import SessionFile
from apps.quic.urls import Url, parse_url
from stacks.quic.configuration import VERSION_1, VERSION_2, Configuration
from stacks.quic.http3 import ALPN_HTTP09, ALPN_HTTP3
from stacks.quic.tls import Ticket
from stacks.quic.tls.context import DEFAULT_SUITES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.test/x", Url("a.test", 443, "/x")),
        ("a.test", Url("a.test", 443, "/")),
        ("a.test:4433/x?y=1", Url("a.test", 4433, "/x?y=1")),
        ("https://[::1]:4433/x", Url("::1", 4433, "/x")),
        ("https://a.test/ä b%20c", Url("a.test", 443, "/%C3%A4%20b%20c")),
        ("HTTPS://A.test/x#part", Url("a.test", 443, "/x")),
    ],
)
def test_urls(text: str, expected: Url) -> None:
    assert parse_url(text) == expected


@pytest.mark.parametrize("text", ["http://a.test/", "https://", "https://a.test:x/", "https://u@a.test/", "ftp://a/"])
def test_what_is_no_https_url_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="https://127.0.0.1:4433/file"):
        parse_url(text)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/a/b.txt", "b.txt"),
        ("/", "index.html"),
        ("/a/", "a"),
        ("/%2e%2e", "index.html"),
        ("/x%2Fy", "y"),
        ("/a?b=/c", "a"),
        ("/%00x", "_x"),
    ],
)
def test_file_names_are_no_paths(target: str, name: str) -> None:
    assert Url("h", 443, target).file_name == name


def test_authority_leaves_out_the_usual_port() -> None:
    assert Url("a.test", 443, "/").authority == "a.test"
    assert str(Url("::1", 4433, "/x")) == "https://[::1]:4433/x"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a b.txt").write_bytes(b"12345")
    (root / "index.html").write_bytes(b"<p>")
    (root / "sub" / "x").write_bytes(b"")
    (root / "inside").symlink_to(root / "sub" / "x")
    (tmp_path / "secret").write_bytes(b"s")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    return root


@pytest.mark.parametrize(
    ("path", "size"),
    [("/a%20b.txt", 5), ("/a%20b.txt?x", 5), ("/", 3), ("/sub/x", 0), ("/inside", 0), ("/sub/../index.html", 3)],
)
def test_files_inside_are_served(folder: Path, path: str, size: int) -> None:
    document = Documents(folder).open(path)
    assert isinstance(document, Document)
    assert document.size_bytes == size
    os.close(document.descriptor)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/sub", 404),
        ("/../secret", 404),
        ("/%2e%2e/secret", 404),
        ("/outside", 404),
        ("//etc/passwd", 404),
        ("/loop", 404),
        ("/pipe", 404),
        ("/" + "x" * 5000, 404),
        ("/a\0b", 400),
        ("relative", 400),
        ("", 400),
    ],
)
def test_everything_else_is_not(folder: Path, path: str, status: int) -> None:
    assert Documents(folder).open(path) == status


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Documents(folder / "index.html")


def test_download_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    download = Download(path)
    download.write(b"ne")
    download.write(b"w")
    assert path.read_bytes() == b"old"
    download.finish()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]
    download.discard()
    assert path.read_bytes() == b"new"


def test_discarded_download_leaves_nothing(tmp_path: Path) -> None:
    download = Download(tmp_path / "file")
    download.write(b"half")
    download.discard()
    download.discard()
    assert list(tmp_path.iterdir()) == []


def test_download_into_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot write in"):
        Download(tmp_path / "missing" / "file")
    with pytest.raises(CommandError, match="no regular file"):
        Download(tmp_path)


def test_devices_are_written_as_it_comes() -> None:
    into = sink(Path("/dev/null"))
    assert isinstance(into, Outflow)
    into.write(b"12")
    into.finish()
    assert into.size_bytes == 2


def test_full_disk_is_the_error_of_the_write() -> None:
    into = sink(Path("/dev/full"))
    with pytest.raises(CommandError, match="no space left on device, the transfer is not complete"):
        into.write(b"12")
    into.discard()


def _ticket(number: int, version: int = 1) -> bytes:
    return Ticket(
        version=version,
        alpn="h3",
        server_name="a",
        suite=0x1301,
        secret=b"s",
        identity=bytes([number]),
        age_add=0,
        issued_unix_ns=0,
        lifetime_ns=1,
        parameters=b"",
        has_early_data=True,
    ).to_bytes()


def test_sessions_survive_and_are_used_once(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    first = SessionFile(path)
    first.add("a:1", ticket=_ticket(1))
    first.add("a:1", ticket=_ticket(2, version=2), token=b"token")
    first.add("b:1", ticket=_ticket(3))
    first.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = SessionFile(path)
    ticket, token = second.take("a:1", version=1)
    assert (ticket and ticket.identity, token) == (b"\x01", b"token")
    ticket, token = second.take("a:1", version=None)
    assert (ticket and ticket.identity, token) == (b"\x02", b"")
    assert second.take("a:1", version=None) == (None, b"")
    assert second.take("b:1", version=2) == (None, b"")
    second.save()
    ticket, _ = SessionFile(path).take("b:1", version=None)
    assert ticket is not None


def test_only_the_newest_sessions_are_kept(tmp_path: Path) -> None:
    kept = SessionFile(tmp_path / "sessions")
    for number in range(20):
        kept.add("a:1", ticket=_ticket(number))
    taken = list(iter(lambda: kept.take("a:1", version=None)[0], None))
    assert [each.identity[0] for each in taken] == list(range(19, 11, -1))


@pytest.mark.parametrize("content", ["x", "{}", '{"format": "baremetal quic sessions 1"}', "[]"])
def test_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sessions"
    path.write_text(content)
    with pytest.raises(CommandError, match="no file of sessions"):
        SessionFile(path)


def test_key_log_is_appended_to_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    for word in ("one", "two"):
        with key_log() as log:
            assert log is not None
            log(word)
    assert path.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with pytest.raises(CommandError, match="SSLKEYLOGFILE"), key_log():
        pass
    monkeypatch.delenv("SSLKEYLOGFILE")
    with key_log() as log:
        assert log is None


def test_short_names_are_those_of_the_stack() -> None:
    assert arguments.VERSIONS == {"1": VERSION_1, "2": VERSION_2}
    assert (arguments.NEW_HTTP, arguments.OLD_HTTP) == (ALPN_HTTP3, ALPN_HTTP09)
    assert Configuration().max_probe_bytes == arguments.MAX_PROBE_BYTES
    assert set(arguments.CIPHERS.values()) == set(DEFAULT_SUITES)
