"""`baremetal rdma` and `--fault`, against processes that serve."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess, command_line, environment
from tests.apps.cli import LIMIT_S, baremetal, json_of, only_line, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def target(loopback_address: str) -> Iterator[ServingProcess]:
    words = ["nvme", "target", "--namespace", "mem:4MiB", "--listen", f"nvme+rdma://{loopback_address}"]
    with ServingProcess([*words, "--until-stdin-ends", "--json"], timeout_s=LIMIT_S) as process:
        yield process
        assert process.stop(LIMIT_S) == 0


def write(target: ServingProcess, directory: Path, *options: str) -> dict[str, object]:
    (directory / "data").write_bytes(bytes(range(256)) * 512)
    return json_of("nvme", "write", str(target.ready["url"]), "--file", str(directory / "data"), *options)


def test_devices_and_queue_pairs_of_a_process_are_shown(target: ServingProcess) -> None:
    address, pid = str(target.ready["host"]), str(target.pid)
    (snapshot,) = json.loads(baremetal("rdma", "devices", pid, "--json").stdout)
    assert snapshot["ports"][address]["state"] == "ACTIVE"
    assert snapshot["ports"][address]["gid"].endswith(address) or ":" in snapshot["ports"][address]["gid"]
    shown = baremetal("rdma", "devices", pid).stdout
    assert address in shown
    assert "ACTIVE" in shown
    assert f"nvme-target {pid}: no queue pairs" in baremetal("rdma", "qps", pid).stdout


def test_a_process_that_is_not_there_is_named_in_one_line(target: ServingProcess) -> None:
    for verb in ("devices", "qps", "counters", "faults"):
        line = only_line(baremetal("rdma", verb, "1"))
        assert "no process 1 of yours runs here" in line
        assert f"{target.pid} (nvme-target)" in line


def test_rules_are_added_to_a_running_process_reported_and_cleared(target: ServingProcess, tmp_path: Path) -> None:
    pid, address = str(target.pid), str(target.ready["host"])
    assert f"device {address}: no fault rules" in baremetal("rdma", "faults", pid).stdout
    baremetal("rdma", "faults", pid, "--add", "drop:opcode=ack|read,direction=tx,nth=1", "--add", "drop:opcode=uc")
    write(target, tmp_path)
    (told,) = json.loads(baremetal("rdma", "faults", pid, "--json").stdout)
    report = told["faults"][address]
    assert [rule["fired"] for rule in report["rules"]] == [1, 0]
    assert report["never_fired"] == [2]
    shown = baremetal("rdma", "faults", pid).stdout
    assert "rule 2, drop:opcode=uc: never fired" in shown
    baremetal("rdma", "faults", pid, "--clear")
    assert "no fault rules" in baremetal("rdma", "faults", pid).stdout


def test_faults_refuses_what_is_no_rule_and_no_device(target: ServingProcess) -> None:
    pid = str(target.pid)
    assert "action is one of drop" in only_line(baremetal("rdma", "faults", pid, "--add", "lose"))
    line = only_line(baremetal("rdma", "faults", pid, "--device", "192.0.2.77", "--clear"))
    assert "no device 192.0.2.77 here; there are: " in line


def test_a_command_reports_what_its_rules_did(target: ServingProcess, tmp_path: Path) -> None:
    rules = ["--fault", "drop:opcode=send,nth=3", "--fault", "mark:opcode=cnp"]
    document = write(target, tmp_path, *rules)
    report = document["faults"]
    assert isinstance(report, dict)
    assert [rule["fired"] for rule in report["rules"]] == [1, 0]
    back = ["--file", str(tmp_path / "back"), "--length", "128k"]
    done = baremetal("nvme", "read", str(target.ready["url"]), *back, *rules)
    assert done.returncode == 0, done.stderr
    assert "rule 2, mark:opcode=cnp: never fired" in done.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "data").read_bytes()


def test_a_plan_comes_from_a_file_and_its_mistakes_are_named(target: ServingProcess, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\naction = "duplicate"\nopcode = "send"\n')
    report = write(target, tmp_path, "--faults", str(plan))["faults"]
    assert isinstance(report, dict)
    assert report["rules"][0]["fired"] > 0
    plan.write_text('[[fault]]\naction = "duplicate"\nopcode = "snd"\n')
    done = baremetal("nvme", "read", str(target.ready["url"]), "--file", "x", "--faults", str(plan))
    assert f"{plan}:3: unknown opcode 'snd'" in only_line(done)
    assert done.returncode == 2


def test_perf_runs_under_faults_and_tells_them() -> None:
    rule = "drop:opcode=write,direction=tx,nth=20"
    result = json_of("perf", "rdma", "--op", "write", "--block-size", "16k", "--time", "100ms", "--fault", rule)
    assert result["errors"] == 0
    report = result["faults"]
    assert isinstance(report, dict)
    assert report["rules"][0]["fired"] == 1


def test_perf_nvme_runs_under_faults_and_tells_them() -> None:
    rules = ["--fault", "drop:opcode=send,direction=tx,nth=20", "--fault", "mark:opcode=uc"]
    words = ["perf", "nvme", "--rw", "randread", "--namespace", "mem:1MiB", "--time", "200ms", *rules]
    report = json_of(*words)["faults"]
    assert isinstance(report, dict)
    assert [rule["fired"] for rule in report["rules"]] == [1, 0]
    assert report["never_fired"] == [2]
    shown = baremetal(*words).stderr
    assert "RC_SEND_ONLY" in shown
    assert "rule 2, mark:opcode=uc: never fired" in shown


def test_a_command_that_fails_under_faults_tells_them_even_where_it_would_print_json(
    target: ServingProcess, tmp_path: Path
) -> None:
    written = tmp_path / "data"
    words = ["nvme", "compare", str(target.ready["url"]), "--file", str(written), "--json"]
    written.write_bytes(bytes([1]) * 4096)
    done = baremetal(*words, "--fault", "mark:opcode=send")
    assert done.returncode == 1
    assert json.loads(done.stdout)["faults"]["rules"][0]["fired"] > 0
    assert "rule 1, mark:opcode=send: fired " in done.stderr


@pytest.mark.parametrize("role", ["nvme-target", "perf"])
def test_a_serving_command_tells_at_its_end_what_its_rules_did(role: str, loopback_address: str) -> None:
    rules = ["--fault", "mark:opcode=ack", "--fault", "drop:opcode=uc", "--json"]
    serving = {
        "nvme-target": ["nvme", "target", "--namespace", "mem:1MiB", "--listen", f"nvme+rdma://{loopback_address}"],
        "perf": ["perf", "serve", "--listen", loopback_address],
    }[role]
    client = {
        "nvme-target": ["perf", "nvme", f"nvme+rdma://{loopback_address}", "--time", "50ms"],
        "perf": ["perf", "rdma", loopback_address, "--time", "50ms"],
    }[role]
    process = subprocess.Popen(
        command_line([*serving, *rules]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    process.stdout.readline()
    json_of(*client)
    process.send_signal(signal.SIGINT)
    last, words = process.communicate(timeout=LIMIT_S)
    report = json.loads(last)["faults"]
    assert report["rules"][0]["fired"] > 0
    assert report["never_fired"] == [2]
    assert words == ""
    assert process.returncode == 0


def test_a_process_that_has_much_to_say_at_its_end_is_stopped_in_good_order(loopback_address: str) -> None:
    serving = ["perf", "serve", "--listen", loopback_address, "--until-stdin-ends", "--json"]
    with ServingProcess([*serving, "--fault", "mark:opcode=rc"], timeout_s=LIMIT_S) as peer:
        json_of("perf", "rdma", loopback_address, "--time", "500ms", "--op", "write", "--block-size", "64k")
        assert peer.stop(LIMIT_S) == 0


def test_watching_ends_with_the_process_and_says_so(loopback_address: str) -> None:
    words = ["nvme", "target", "--namespace", "mem:4MiB", "--listen", f"nvme+rdma://{loopback_address}"]
    with ServingProcess([*words, "--until-stdin-ends", "--json"], timeout_s=LIMIT_S) as process:
        watching = subprocess.Popen(
            command_line(["rdma", "counters", str(process.pid), "--watch", "--interval", "50ms", "--json"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert watching.stdout is not None
        (first,) = json.loads(watching.stdout.readline())
        (second,) = json.loads(watching.stdout.readline())
        process.stop(LIMIT_S)
        _, words_said = watching.communicate(timeout=LIMIT_S)
    assert second["time_ns"] - first["time_ns"] >= 50_000_000
    assert watching.returncode == 1
    assert words_said == f"baremetal: ended meanwhile: {process.pid} (nvme-target)\n"


def test_queue_pairs_show_how_fast_they_go(loopback_address: str) -> None:
    serving = ["perf", "serve", "--listen", loopback_address, "--until-stdin-ends", "--json"]
    with ServingProcess(serving, timeout_s=LIMIT_S) as peer:
        busy = subprocess.Popen(
            command_line(["perf", "rdma", loopback_address, "--op", "write", "--time", "20s"]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        try:
            wait_until(lambda: "RTS" in baremetal("rdma", "qps", str(peer.pid)).stdout, busy)
            row = next(line for line in baremetal("rdma", "qps", str(peer.pid)).stdout.splitlines() if "RTS" in line)
        finally:
            busy.kill()
            busy.wait()
    cells = [cell.strip() for cell in row.split("│")]
    assert int(cells[-3].replace(",", "")) > 0, row
