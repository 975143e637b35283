"""The cases, their command lines, and the page that tells what came of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import typer.main

from apps.command_line import app
from interop.outcome import DisagreementError
from interop.quic.catalogue import BY_NAME, CASES
from interop.quic.files import Files, compare
from interop.quic.matrix import cells_in_doubt, cells_with_ours
from interop.quic.page import END, START, write_page
from interop.quic.peers import FOREIGN, PEERS
from interop.quic.peers.peer import ClientTask, Connections, ServerTask, Wishes
from interop.quic.play import Cell, Played
from interop.quic.unable import UNABLE
from interop.quic.verdict import Outcome, Verdict

RUNNER = (
    "handshake transfer longrtt chacha20 multiplexing retry resumption zerortt http3 blackhole keyupdate ecn "
    "amplificationlimit handshakeloss transferloss handshakecorruption transfercorruption ipv6 v2 rebind-port "
    "rebind-addr connectionmigration goodput crosstraffic"
)
"""The cases of the QUIC interop runner at 1d6f655, in its order but for the last two, which it calls measurements."""


def test_there_is_every_case_of_the_runner() -> None:
    assert set(BY_NAME) == set(RUNNER.split())
    assert len(BY_NAME) == len(CASES)


def test_eight_cases_are_short() -> None:
    short = {case.name for case in CASES if case.is_short}
    assert short == {"handshake", "transfer", "retry", "resumption", "zerortt", "keyupdate", "transferloss", "http3"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_link_of_a_case_is_one_that_the_command_takes(case) -> None:  # type: ignore[no-untyped-def]
    link = typer.main.get_command(app).commands["link"]  # type: ignore[attr-defined]
    if case.between_namespaces:
        command, ends = link.commands["tun"], []
    else:
        command, ends = link.commands["udp"], ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"]
    assert command.make_context("link", [*ends, "--delay", case.delay, *case.link])


def test_who_is_unable_is_a_peer_and_the_case_is_there() -> None:
    for peer, role, case in UNABLE:
        assert peer in FOREIGN
        assert role in ("client", "server")
        assert case in BY_NAME


@pytest.mark.parametrize("name", PEERS)
def test_command_lines_tell_what_is_wished(name: str, tmp_path: Path) -> None:
    peer = PEERS[name]
    keys = tmp_path / "keys"
    wishes = Wishes(is_retrying=True, connections=Connections.EARLY, is_chacha=True, updates_keys=True)
    server = peer.server(
        ServerTask(
            wishes=wishes,
            address=("::1", 4433),
            directory=tmp_path,
            certificate=keys,
            key=keys,
            alpn="h3",
            key_log=keys,
        )
    )
    assert "::1" in " ".join(server.words)
    assert "4433" in " ".join(server.words)
    task = ClientTask(
        wishes=wishes,
        address=("::1", 4433),
        names=["a", "b", "c"],
        out=tmp_path,
        alpn="h3",
        key_log=keys,
        scratch=tmp_path,
    )
    words = " ".join(" ".join(command.words) for command in peer.client(task))
    for file in "abc":
        assert words.count(f"https://[::1]:4433/{file}") == 1
    assert "chacha20" in words.lower()
    assert "--key-update" in words


def test_every_cell_in_doubt_is_played_without_ours() -> None:
    case = BY_NAME["ecn"]
    failed = Verdict(Cell(case, "ours", "qh3"), Outcome.UNABLE, "no marks", "qh3 lacks")
    passed = Verdict(Cell(case, "ngtcp2", "ours"), Outcome.PASSED, "marks")
    assert {(cell.client, cell.server) for cell in cells_in_doubt([failed, passed])} == {
        ("aioquic", "qh3"),
        ("qh3", "qh3"),
        ("ngtcp2", "qh3"),
    }
    assert len(cells_with_ours([case])) == 1 + 2 * len(FOREIGN)


def test_the_page_tells_what_passed_what_failed_and_who_cannot(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    verdicts = [
        Verdict(Cell(BY_NAME["retry"], "ours", "ngtcp2"), Outcome.PASSED, "a token", played=Played(1.0, "a token")),
        Verdict(Cell(BY_NAME["ecn"], "ours", "aioquic"), Outcome.UNABLE, "marked none", "aioquic lacks: marks"),
        Verdict(Cell(BY_NAME["ecn"], "aioquic", "aioquic"), Outcome.UNABLE, "nothing | marked", "aioquic lacks: marks"),
        Verdict(Cell(BY_NAME["v2"], "ours", "ours"), Outcome.FAILED, "wrong\nversion"),
        Verdict(Cell(BY_NAME["goodput"], "ours", "qh3"), Outcome.PASSED, "", played=Played(1.0, "", (9000.0, 9100.0))),
    ]
    write_page(page, verdicts)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    for line in (
        "| retry | - | - | - | - | - | passed | - |",
        "| ecn | - | peer | - | - | - | - | - |",
        "| v2 | **failed** | - | - | - | - | - | - |",
        "| goodput | - | - | - | 9050 ± 50 kbit/s | - | - | - |",
        "* v2: ours from ours: wrong version",
        "* ecn: ours from aioquic: aioquic lacks: marks; seen: marked none",
        "| ngtcp2 | server | retry |",
        "| qh3 | server | goodput |",
    ):
        assert f"\n{line}\n" in text
    assert "| aioquic | server | ecn | lacks: " in text
    assert "| aioquic | nothing \\| marked |" in text


def test_files_that_differ_or_do_not_come_are_told(tmp_path: Path) -> None:
    names = Files((3, 4)).make(tmp_path / "served", random.Random(1))
    got = tmp_path / "got"
    got.mkdir()
    with pytest.raises(DisagreementError, match="2 of 2"):
        compare(tmp_path / "served", got, names)
    for name in names:
        (got / name).write_bytes((tmp_path / "served" / name).read_bytes())
    compare(tmp_path / "served", got, names)
    (got / names[0]).write_bytes(b"x")
    with pytest.raises(DisagreementError, match="differs: 1 bytes, 3"):
        compare(tmp_path / "served", got, names)
