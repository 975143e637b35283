"""The file server and the fetcher as cores, in virtual time: what the commands are made of."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from apps.quic.documents import Documents
from apps.quic.fetching import Fetch, Fetcher
from apps.quic.file_server import FileServer
from apps.quic.http_events import pass_on
from apps.quic.urls import Url
from stacks.quic.connection import Connection
from stacks.quic.http3 import BodyReceived, Http3, HttpEvent, ResponseReceived, StreamAborted
from stacks.quic.tls import Ticket
from tests.stacks.quic.rig import Rig, client_configuration, server_configuration
from transports.simulation import Impairments

MILLISECOND, SECOND = 1_000_000, 1_000_000_000
H3 = client_configuration(alpn=("h3",))


class Site:
    """A file server on a simulated network, and a folder for what clients fetch."""

    def __init__(self, folder: Path, *, loss: float = 0.0, alpn: tuple[str, ...] = ("h3",), **changes: object) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.into = folder / "into"
        self.into.mkdir()
        self.seen: list[tuple[str, str, int]] = []
        self.rig = Rig(
            impairments=Impairments(delay_ns=10 * MILLISECOND, loss=loss),
            client=client_configuration(alpn=alpn),
            server=server_configuration(alpn=alpn, **changes),
        )
        self.server = FileServer(self.rig.server, Documents(self.root), on_request=lambda *what: self.seen.append(what))

    def fetcher(self, *names: str, ticket: Ticket | None = None, **options: object) -> Fetcher:
        fetches = [Fetch(Url("bm.test", 443, f"/{name}"), self.into / name) for name in names]
        connection = self.rig.connect(ticket=ticket)
        is_early = connection.tls.is_early_data_offered
        alpn = ticket.alpn if ticket is not None and is_early else ""
        return Fetcher(connection, fetches, now=self.rig.now, early_alpn=alpn, **options)  # type: ignore[arg-type]

    def step(self, *fetchers: Fetcher) -> None:
        """Two milliseconds of the network, and a pass of each service."""
        self.rig.run(2 * MILLISECOND)
        while self.server.pump(self.rig.now):
            self.rig.server_host.wake()
        self.rig.server_host.wake()
        for fetcher in fetchers:
            fetcher.pump(self.rig.now)
        self.rig.client_host.wake()

    def run(self, *fetchers: Fetcher, limit_ns: int = 60 * SECOND) -> None:
        end = self.rig.now + limit_ns
        while self.rig.now < end and not all(fetcher.is_over for fetcher in fetchers):
            self.step(*fetchers)


def test_files_of_all_sizes_arrive_under_loss(tmp_path: Path) -> None:
    site = Site(tmp_path, loss=0.03)
    for size in (0, 1, 127, 70_000, 600_000):
        (site.root / str(size)).write_bytes(random.Random(size).randbytes(size))
    fetcher = site.fetcher(*[str(size) for size in (0, 1, 127, 70_000, 600_000)])
    site.run(fetcher)
    for path in site.root.iterdir():
        assert (site.into / path.name).read_bytes() == path.read_bytes()
    assert fetcher.failure is None
    assert site.server.counters.answers == {200: 5}
    assert site.server.counters.body_bytes == 670_128


def test_progress_and_length_are_told(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.root / "x").write_bytes(bytes(100_000))
    told: list[int] = []
    fetcher = site.fetcher("x", on_bytes=told.append)
    site.run(fetcher)
    assert sum(told) == 100_000
    assert fetcher.fetches[0].expected_bytes == 100_000
    assert fetcher.fetches[0].ended_ns > fetcher.fetches[0].started_ns


def test_connection_ends_on_both_sides_when_all_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.root / "x").write_bytes(b"1")
    fetcher = site.fetcher("x")
    site.run(fetcher)
    for _ in range(20):
        site.step()
    assert site.server.client_count == 0


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _http(site: Site) -> tuple[Connection, Http3]:
    """A client's HTTP/3 by hand."""
    connection = site.rig.connect(H3)
    while not connection.tls.is_complete:
        site.step()
    return connection, Http3(connection)


def _events(site: Site, connection: Connection, http: Http3, *, passes: int = 60) -> list[HttpEvent]:
    found: list[HttpEvent] = []
    for _ in range(passes):
        site.rig.client_host.wake()
        site.step()
        while (event := connection.poll_event()) is not None:
            pass_on(event, http)
        found += iter(lambda: http.poll_event(site.rig.now), None)
    return found


@pytest.mark.parametrize(
    ("method", "path", "status", "length"),
    [
        ("GET", "/x", 200, 5),
        ("HEAD", "/x", 200, 0),
        ("POST", "/x", 405, 0),
        ("GET", "/../x", 404, 0),
        ("GET", "relative", 400, 0),
    ],
)
def test_methods_and_paths(tmp_path: Path, method: str, path: str, status: int, length: int) -> None:
    site = Site(tmp_path)
    (site.root / "x").write_bytes(b"12345")
    connection, http = _http(site)
    http.request("bm.test", path, method=method)
    response, *bodies = _events(site, connection, http)
    assert isinstance(response, ResponseReceived)
    assert response.status == status
    expected = {"HEAD": None, "GET": "5" if status == 200 else "0"}.get(method, "0")
    assert dict(response.headers).get("content-length") == expected
    assert sum(len(body.data) for body in bodies if isinstance(body, BodyReceived)) == length
    assert site.seen == [(method, path, status)]


def test_client_that_reads_nothing_holds_little_in_memory(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with (site.root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    _, http = _http(site)
    http.request("bm.test", "/huge")
    for _ in range(300):
        site.rig.client_host.wake()
        site.step()
    assert site.server.counters.body_bytes < 16 << 20


def test_cancelled_answer_closes_its_file(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with (site.root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    before = _open_files()
    connection, http = _http(site)
    stream_id = http.request("bm.test", "/huge")
    _events(site, connection, http, passes=10)
    assert _open_files() == before + 1
    http.cancel(stream_id)
    _events(site, connection, http, passes=30)
    assert _open_files() == before
    assert site.server.counters.aborted == 1


def test_lost_client_closes_its_files(tmp_path: Path) -> None:
    site = Site(tmp_path, max_idle_timeout_ns=2 * SECOND)
    with (site.root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    before = _open_files()
    connection, http = _http(site)
    http.request("bm.test", "/huge")
    _events(site, connection, http, passes=10)
    site.rig.network.detach(site.rig.client_host)
    for _ in range(3000):
        site.step()
    assert _open_files() == before
    assert site.server.client_count == 0


def test_file_that_shrinks_breaks_its_answer_off(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path = site.root / "x"
    path.write_bytes(bytes(8 << 20))
    connection, http = _http(site)
    stream_id = http.request("bm.test", "/x")
    found = _events(site, connection, http, passes=12)
    assert any(isinstance(event, BodyReceived) for event in found)
    os.truncate(path, 1000)
    found += _events(site, connection, http, passes=400)
    assert StreamAborted(stream_id, 0x10C, is_sending=False) in found
    assert not any(isinstance(event, BodyReceived) and event.is_end for event in found)


def test_fetch_that_fails_leaves_nothing_and_the_others_come(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.root / "x").write_bytes(b"1")
    fetcher = site.fetcher("missing", "x")
    site.run(fetcher)
    assert [fetch.problem for fetch in fetcher.fetches] == ["the server answers 404, not found", ""]
    assert [path.name for path in site.into.iterdir()] == ["x"]


def test_early_requests_are_answered_before_the_handshake_is_done(tmp_path: Path) -> None:
    """One round trip for the file, where it takes two without a ticket."""
    site = Site(tmp_path)
    (site.root / "x").write_bytes(b"1")
    first = site.fetcher("x", wants_ticket=True)
    site.run(first)
    ticket = Ticket.from_bytes(first.tickets[-1])
    took = [fetch.ended_ns - fetch.started_ns for fetch in first.fetches]
    again = site.fetcher("x", ticket=ticket, wants_ticket=True)
    started = site.rig.now
    site.run(again)
    assert again.connection.tls.is_early_data_accepted
    assert again.fetches[0].ended_ns - started < 30 * MILLISECOND
    assert again.fetches[0].ended_ns - started < 45 * MILLISECOND + took[0]
    assert again.tickets


def test_early_requests_that_are_rejected_are_answered_all_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.root / "x").write_bytes(b"1")
    first = site.fetcher("x", wants_ticket=True)
    site.run(first)
    ticket = Ticket.from_bytes(first.tickets[-1])
    for expected in (True, False):  # a ticket is good for 0-RTT once
        (site.into / "x").unlink()
        again = site.fetcher("x", ticket=ticket)
        site.run(again)
        assert again.failure is None
        assert again.connection.tls.is_resumed
        assert again.connection.tls.is_early_data_accepted == expected
        assert (site.into / "x").read_bytes() == b"1"


@pytest.mark.parametrize("alpn", ["h3", "hq-interop"])
def test_many_files_come_over_few_streams(tmp_path: Path, alpn: str) -> None:
    site = Site(tmp_path, alpn=(alpn,), max_streams_bidi=10)
    names = [f"f{number}" for number in range(120)]
    for name in names:
        (site.root / name).write_bytes(name.encode())
    fetcher = site.fetcher(*names)
    site.run(fetcher)
    assert [(site.into / name).read_bytes() for name in names] == [name.encode() for name in names]


def test_end_of_the_server_is_told_to_clients(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with (site.root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    fetcher = site.fetcher("huge")
    while not fetcher.fetches[0].size_bytes:
        site.step(fetcher)
    site.server.close(site.rig.now)
    site.rig.server_host.wake()
    for _ in range(20):
        site.step(fetcher)
    assert fetcher.is_over
    assert fetcher.failure is not None
    assert (fetcher.failure.code, fetcher.failure.by_peer) == (0x100, True)
    assert site.server.counters.requests == 1
