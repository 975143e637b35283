"""Logs in a folder."""

from __future__ import annotations

from pathlib import Path

from stacks.quic.qlog import QlogFiles
from stacks.quic.qlog.files import PIECE_BYTES
from tests.stacks.quic.qlog.memory import ODCID, started
from tests.stacks.quic.qlog.validator import problems


def _start(files: QlogFiles, *, is_client: bool) -> None:
    tracer = files(is_client=is_client)
    tracer.connection_started(
        0,
        local=("::1", 1),
        remote=("::1", 2),
        source_cid=b"",
        destination_cid=b"",
        original_destination_cid=ODCID,
    )
    for index in range(3000):
        tracer.packets_acked(index, 2, (index,))
    tracer.finish()


def test_each_end_of_a_connection_has_a_file_of_its_own(tmp_path: Path) -> None:
    files = QlogFiles(tmp_path / "logs", wall_clock="2026-11-28T12:00:00.000Z")
    _start(files, is_client=True)
    _start(files, is_client=False)
    names = sorted(each.name for each in (tmp_path / "logs").iterdir())
    assert names == [f"{ODCID.hex()}_client.sqlog", f"{ODCID.hex()}_server.sqlog"]
    for name in names:
        log = (tmp_path / "logs" / name).read_bytes()
        assert len(log) > 2 * PIECE_BYTES
        assert b'"wall_clock_time":"2026-11-28T12:00:00.000Z"' in log
        assert [each for each in problems(log) if "never sent" not in each] == []
        assert log.count(b"packets_acked") == 3000
    assert files.failure is None


def test_a_second_connection_of_the_same_client_has_a_log_of_its_own(tmp_path: Path) -> None:
    files = QlogFiles(tmp_path)
    for _ in range(3):
        started(files, is_client=False).finish()
    name = f"{ODCID.hex()}_server"
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"{name}.sqlog", f"{name}_2.sqlog", f"{name}_3.sqlog"]


def test_logs_of_connections_that_go_on_are_written_out_when_the_files_are_closed(tmp_path: Path) -> None:
    with QlogFiles(tmp_path) as files:
        tracer = started(files)
        tracer.ecn_state_updated(1, "testing")
        assert not list(tmp_path.iterdir())
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().count(b"\x1e") == 4
    tracer.ecn_state_updated(2, "capable")
    tracer.finish()
    assert path.read_bytes().count(b"\x1e") == 5
    assert problems(path.read_bytes()) == []


def test_a_folder_that_goes_away_is_told_and_stops_nothing(tmp_path: Path) -> None:
    files = QlogFiles(tmp_path / "logs")
    (tmp_path / "logs").rmdir()
    _start(files, is_client=True)
    assert isinstance(files.failure, FileNotFoundError)
