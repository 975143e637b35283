"""`baremetal perf rdma` and `baremetal rdma counters`, as processes over UDP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from apps.processes import ServingProcess
from tests.apps.cli import LIMIT_S, baremetal, json_of, only_line

pytestmark = pytest.mark.slow


@pytest.fixture
def peer(loopback_address: str) -> Iterator[ServingProcess]:
    words = ["perf", "serve", "--listen", loopback_address, "--memory", "4MiB", "--until-stdin-ends", "--json"]
    with ServingProcess(words, timeout_s=LIMIT_S) as process:
        yield process
        assert process.stop(LIMIT_S) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--op", "write"],
        ["--op", "read", "--verify", "--span", "1MiB"],
        ["--op", "randrw", "--mix", "30", "--verify", "--block-size", "4097", "--offset", "3", "--sges", "3"],
        ["--op", "randwrite", "--verify", "--mtu", "1024", "--no-offload", "--block-size", "16k"],
        ["--op", "send", "--block-size", "64", "--queue-depth", "64"],
        ["--op", "ping", "--block-size", "64"],
        ["--op", "write-imm", "--block-size", "64", "--queue-depth", "8"],
        ["--op", "fetch-add"],
        ["--op", "cmp-swp", "--queue-depth", "4"],
        ["--op", "write", "--qps", "5", "--block-size", "4k", "--queue-depth", "12"],
        ["--op", "randrw", "--qps", "40", "--queue-depth", "8", "--verify"],
        ["--transport", "uc", "--op", "write"],
        ["--transport", "uc", "--op", "send", "--block-size", "64"],
        ["--transport", "uc", "--latency"],
        ["--transport", "ud", "--op", "send", "--block-size", "64", "--qps", "3"],
        ["--transport", "ud", "--op", "send", "--block-size", "1000", "--latency", "--sges", "2"],
        ["--transport", "xrc", "--op", "send", "--block-size", "4k"],
        ["--transport", "xrc", "--op", "write-imm"],
        ["--transport", "xrc", "--op", "randrw", "--verify"],
        ["--latency", "--op", "write", "--mtu", "1024", "--offset", "3"],
        ["--latency", "--op", "read", "--block-size", "64"],
        ["--latency", "--op", "send", "--block-size", "64"],
        ["--latency", "--op", "fetch-add"],
    ],
    ids=" ".join,
)
def test_a_workload_runs_against_its_own_peer_and_finds_no_wrong_byte(options: list[str]) -> None:
    result = json_of("perf", "rdma", *options, "--time", "50ms")
    assert isinstance(result["operations"], int)
    assert result["operations"] > 0
    assert (result["errors"], result["mismatches"]) == (0, 0)
    assert isinstance(result["peer_cpu_ns"], int)


@pytest.mark.parametrize("op", ["write", "read", "send"])
def test_both_directions_are_counted(op: str) -> None:
    options = ["--op", op, "--bidirectional", "--qps", "3", "--block-size", "4k"]
    result = json_of("perf", "rdma", *options, "--time", "100ms")
    assert 0 < result["peer_operations"] < result["operations"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--op", "fetch-add", "--bidirectional"], "--bidirectional goes with --op write, read and send"),
        (["--op", "send", "--verify"], "--verify does not go with --op send"),
        (["--op", "ping", "--qps", "2"], "uses one queue pair"),
        (["--op", "send", "--transport", "ud"], "a datagram holds 4096 bytes, not 64 KiB"),
        (["--op", "fetch-add", "--all-sizes"], "--op fetch-add has 8 bytes"),
        (["--sizes", "64,huge"], "huge"),
        (["--plot", "figure.gif"], "name a .png or .html file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], problem: str) -> None:
    assert problem in only_line(baremetal("perf", "rdma", *options))


def test_a_sweep_is_a_list_with_each_size() -> None:
    done = baremetal("perf", "rdma", "--sizes", "64,4k,1MiB", "--time", "20ms", "--json")
    assert [each["block_bytes"] for each in json.loads(done.stdout)] == [64, 4096, 1 << 20]
    assert "4 KiB" in baremetal("perf", "rdma", "--sizes", "4k", "--time", "20ms").stdout


def test_many_queue_pairs_tell_what_each_takes() -> None:
    result = json_of("perf", "rdma", "--qps", "200", "--block-size", "64", "--time", "50ms")
    for key in ("qp_bytes", "peer_qp_bytes"):
        assert isinstance(result[key], int)
        assert 1000 < result[key] < 200_000
    assert json_of("perf", "rdma", "--time", "20ms")["qp_bytes"] is None


def test_two_clients_use_one_serving_process_and_its_counters_tell(peer: ServingProcess) -> None:
    address = str(peer.ready["address"])
    for _ in range(2):
        json_of("perf", "rdma", address, "--op", "send", "--block-size", "64", "--time", "20ms")
    done = baremetal("rdma", "counters", str(peer.pid), "--json")
    (snapshot,) = json.loads(done.stdout)
    assert (snapshot["role"], snapshot["pid"]) == ("perf", peer.pid)
    assert snapshot["devices"][address]["rcvd_pkts"] > 0
    assert address in baremetal("rdma", "counters", str(peer.pid)).stdout


def test_more_memory_than_the_peer_has_is_refused(peer: ServingProcess) -> None:
    done = baremetal("perf", "rdma", str(peer.ready["address"]), "--span", "1GiB")
    assert "the peer has 4 MiB" in only_line(done)


def test_a_peer_that_is_not_there_is_named(loopback_address: str) -> None:
    done = baremetal("perf", "rdma", loopback_address, "--time", "1s")
    assert f"no device answers at {loopback_address}; start a peer there" in only_line(done)
    assert "'elsewhere' is no IP address" in only_line(baremetal("perf", "rdma", "elsewhere"))


def test_an_address_that_is_taken_is_named(peer: ServingProcess) -> None:
    address = str(peer.ready["address"])
    line = only_line(baremetal("perf", "serve", "--listen", address))
    assert address in line
    assert "4791" in line


def test_counters_of_a_process_that_does_not_run_are_an_error() -> None:
    assert "no process 1 of yours runs here" in only_line(baremetal("rdma", "counters", "1"))


def test_an_interrupted_server_ends_with_status_zero(peer: ServingProcess) -> None:
    assert peer.stop() == 0
    assert "no process" in only_line(baremetal("rdma", "counters", str(peer.pid)))
