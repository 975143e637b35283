"""`baremetal nvme resv-...`: what hosts of two names do to each other, and what a restart of the target remembers."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from apps.command_line import app
from apps.errors import explain
from apps.nvme.reservations import (
    parse_acquire_action,
    parse_key,
    parse_persistence,
    parse_type,
    parse_type_or_none,
    show_report,
)
from apps.processes import ServingProcess
from tests.apps.cli import LIMIT_S, baremetal, only_line
from wire.nvme.reservations import ReportedRegistrant, ReservationReport, ReservationType

MIB = 1 << 20
A = ("--host-nqn", "nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff")
B = ("--host-nqn", "nqn.2026-11.io.baremetal:other")
HOST_A = "00112233445566778899aabbccddeeff"

REPORT = ReservationReport(
    generation=12,
    kind=ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
    is_persistent=True,
    registrant_count=2,
    registrants=(
        ReportedRegistrant(bytes.fromhex(HOST_A), 0xA1, 0x1A, True),
        ReportedRegistrant(bytes(range(16)), 0xB2, 0xFFFF, False),
    ),
)


def serving(address: str, image: Path) -> ServingProcess:
    words = ["nvme", "target", "--namespace", str(image), "--namespace", "mem:1MiB", "--until-stdin-ends", "--json"]
    return ServingProcess([*words, "--listen", f"nvme+rdma://{address}"], timeout_s=LIMIT_S)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(MIB)
    return path


@pytest.fixture
def target(loopback_address: str, image: Path) -> Iterator[ServingProcess]:
    with serving(loopback_address, image) as process:
        yield process
        process.stop(LIMIT_S)


@pytest.fixture
def url(target: ServingProcess) -> str:
    return f"nvme+rdma://{target.ready['host']}"


def test_a_report_is_printed_as_nvme_cli_does() -> None:
    output = io.StringIO()
    show_report(REPORT, Console(file=output, width=40), as_json=False)
    assert output.getvalue() == (
        "\n"
        "NVME Reservation status:\n"
        "\n"
        "gen       : 12\n"
        "rtype     : 3\n"
        "regctl    : 2\n"
        "ptpls     : 1\n"
        "regctlext[0] :\n"
        "  cntlid     : 1a\n"
        "  rcsts      : 1\n"
        "  rkey       : a1\n"
        "  hostid     : 00112233445566778899aabbccddeeff\n"
        "regctlext[1] :\n"
        "  cntlid     : ffff\n"
        "  rcsts      : 0\n"
        "  rkey       : b2\n"
        "  hostid     : 000102030405060708090a0b0c0d0e0f\n"
        "\n"
    )


def test_a_report_as_json_has_nvme_clis_names() -> None:
    output = io.StringIO()
    show_report(REPORT, Console(file=output), as_json=True)
    document = json.loads(output.getvalue())
    assert (document["gen"], document["rtype"], document["regctl"], document["ptpls"]) == (12, 3, 2, 1)
    assert document["regctlext"][0] == {"cntlid": 26, "rcsts": 1, "rkey": 0xA1, "hostid": HOST_A}


def test_numbers_and_names_are_taken() -> None:
    assert parse_type("3") is parse_type("write-exclusive-registrants-only") is parse_type(3)
    assert (parse_acquire_action("preempt-and-abort"), parse_persistence("set")) == (2, 3)
    assert (parse_key("0xA1"), parse_key("161"), parse_key(161)) == (161, 161, 161)
    assert (parse_type_or_none("0"), parse_type_or_none(0), parse_type_or_none("exclusive-access")) == (0, 0, 2)


@pytest.mark.parametrize("wrong", ["0", "7", "exclusive", "", "-1"])
def test_another_type_is_refused_with_those_there_are(wrong: str) -> None:
    with pytest.raises(typer.BadParameter, match="6 exclusive-access-all-registrants"):
        parse_type(wrong)


@pytest.mark.parametrize("wrong", ["a1", "", "0x10000000000000000", "-1"])
def test_what_is_no_key_is_refused(wrong: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_key(wrong)


def run(*words: str) -> str:
    """What a command prints; AssertionError with what it raised when it fails."""
    result = CliRunner().invoke(app, ["nvme", *words])
    assert result.exception is None, result.exception
    return result.stdout


def refusal(*words: str) -> str:
    """What a command that must fail says."""
    result = CliRunner().invoke(app, ["nvme", *words])
    assert result.exception is not None
    return explain(result.exception)[0]


def without_controllers(report: str) -> dict[str, object]:
    """A report without the IDs of controllers, which come and go."""
    document = json.loads(report)
    assert isinstance(document, dict)
    for entry in document["regctlext"]:
        del entry["cntlid"]
    return document


@pytest.mark.slow
def test_two_hosts_share_a_namespace(url: str, tmp_path: Path) -> None:
    one, block = f"{url}/1", tmp_path / "block.bin"
    block.write_bytes(bytes(4096))
    assert run("resv-register", one, "--nrkey", "0xa1", *A) == "registered with namespace 1\n"
    words = ("--crkey", "0xa1", "--rtype", "write-exclusive", *A)
    assert json.loads(run("resv-acquire", one, *words, "--json"))["rtype"] == 1
    line = refusal("write", one, "--file", str(block), *B)
    assert "reservation conflict; another host has reserved" in line
    assert "read 1048576 bytes" in run("read", one, "--file", str(tmp_path / "copy.bin"), *B)
    assert "wrote 4096 bytes" in run("write", one, "--file", str(block), *A)
    line = refusal("resv-acquire", one, "--rtype", "2", *B)
    assert line.startswith("reservation acquire: reservation conflict; `nvme resv-report` shows who")
    assert json.loads(run("resv-register", one, "--nrkey", "2", *B, "--json"))["regctl"] == 2
    preempt = ("--crkey", "2", "--prkey", "0xa1", "--rtype", "2", "--racqa", "2", *B)
    assert run("resv-acquire", one, *preempt) == "preempted and aborted on namespace 1\n"
    assert "\nrtype     : 2\n" in run("resv-report", one, *A)
    assert "reservation conflict" in refusal("write", one, "--file", str(block), *A)
    report = json.loads(run("resv-release", one, "--crkey", "2", "--rtype", "2", *B, "--json"))
    assert (report["rtype"], report["regctl"]) == (0, 1)
    assert run("resv-register", one, "--crkey", "2", "--nrkey", "3", "--rrega", "replace", *B).startswith("replaced")
    assert run("resv-release", one, "--crkey", "3", "--rrela", "clear", *B) == "cleared namespace 1\n"
    assert run("resv-register", one, "--rrega", "1", "--iekey", *A) == "unregistered from namespace 1\n"


@pytest.mark.slow
def test_a_target_that_is_killed_remembers_what_was_to_persist(
    loopback_addresses: Iterator[str], image: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "disk.img.reservations"
    with serving(next(loopback_addresses), image) as target:
        one = f"nvme+rdma://{target.ready['host']}/1"
        run("resv-register", one, "--nrkey", "0xa1", "--cptpl", "set", *A)
        before = run("resv-acquire", one, "--crkey", "0xa1", "--rtype", "2", *A, "--json")
        os.kill(target.pid, signal.SIGKILL)
    assert kept.exists()
    with serving(next(loopback_addresses), image) as target:
        one = f"nvme+rdma://{target.ready['host']}/1"
        after = run("resv-report", one, *A, "--json")
        assert without_controllers(after) == without_controllers(before)
        assert json.loads(after)["ptpls"] == 1
        assert "reservation conflict" in refusal("read", one, "--file", "/dev/null", *B)
        run("resv-register", one, "--nrkey", "0xa1", "--cptpl", "clear", *A)
        assert target.stop(LIMIT_S) == 0
    assert not kept.exists()


@pytest.mark.slow
def test_memory_keeps_nothing_through_a_loss_of_power(url: str) -> None:
    line = refusal("resv-register", f"{url}/2", "--nrkey", "1", "--cptpl", "3")
    assert line.startswith("namespace 2 keeps no reservations through a loss of power (RESCAP); leave --cptpl out")
    assert refusal("resv-register", url).startswith("0 is no key to register; give --nrkey")


@pytest.mark.slow
def test_a_damaged_file_of_reservations_is_named(loopback_address: str, image: Path) -> None:
    kept = image.with_name("disk.img.reservations")
    kept.write_bytes(b"{}")
    line = refusal("target", "--namespace", str(image), "--listen", f"nvme+rdma://{loopback_address}")
    assert line.startswith(f"{kept}: reservations are damaged")


@pytest.mark.slow
def test_a_wrong_argument_is_status_two() -> None:
    done = baremetal("nvme", "resv-acquire", "nvme+rdma://127.0.0.2", "--rtype", "9")
    assert "6 exclusive-access-all-registrants" in only_line(done)
    assert done.returncode == 2
