"""The benchmark table: medians of interleaved rounds, null and a reason for what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.bench.lab import LOADS, dumbbell, events_per_second
from apps.bench.probes import Cpus, Probe, Readings
from apps.bench.rows import Row, probes, rows
from apps.bench.session import Session
from apps.errors import CommandError
from stacks.lab.runners.virtual import VirtualRunner
from tests.apps.cli import baremetal, only_line

CPUS = Cpus(0, 0)


def rising(name: str, *values: float) -> Probe:
    """A probe whose reading is the next of `values`."""
    source = iter(values)
    return Probe((name,), f"measure {name}", lambda _: {name: next(source)})


def failing(name: str) -> Probe:
    def take(_: Cpus) -> Readings:
        raise CommandError("the yardstick is missing; buy one")

    return Probe((name,), f"measure {name}", take)


def session(*probes: Probe, progress: Callable[[str], None] = lambda _: None) -> Session:
    result = Session(probes, progress)
    result.run(3, CPUS)
    return result


def test_a_row_is_the_median_with_its_spread_and_the_ratio_to_its_yardstick() -> None:
    result = session(rising("ours", 30, 10, 20), rising("theirs", 80, 40, 10)).result(
        Row("ours", "MB/s", "theirs", "x")
    )
    keys = ("value", "min", "max", "yardstick", "yardstick_value", "ratio", "command", "unit")
    assert [result[key] for key in keys] == [20, 10, 30, "theirs", 40, 0.5, "measure ours", "MB/s"]
    assert "reason" not in result


def test_a_missing_yardstick_leaves_null_and_the_reason() -> None:
    result = session(rising("ours", 1, 2, 3), failing("theirs")).result(Row("ours", "MB/s", "theirs", "x"))
    assert (result["value"], result["yardstick_value"], result["ratio"]) == (2, None, None)
    assert result["reason"] == "the yardstick is missing; buy one"


def test_a_row_that_cannot_be_measured_is_null_itself() -> None:
    result = session(failing("ours")).result(Row("ours", "MB/s", None, "x"))
    assert (result["value"], result["min"], result["max"], result["ratio"]) == (None, None, None, None)


def test_probes_take_turns_and_one_that_failed_is_not_tried_again() -> None:
    order: list[str] = []
    session(rising("a", 1, 2, 3), failing("b"), rising("c", 1, 2, 3), progress=order.append)
    assert order == ["a", "b", "c", "a", "c", "a", "c"]


def test_every_row_and_every_yardstick_has_a_probe() -> None:
    measured = {name for probe in probes() for name in probe.names}
    assert {row.name for row in rows()} <= measured
    assert {row.yardstick for row in rows() if row.yardstick} <= measured


def test_the_rows_of_the_promise_are_there_in_order() -> None:
    assert [row.name for row in rows()][:25] == [
        "rdma_write_1MiB",
        "rdma_write_cpu",
        "rdma_write_odd",
        "rdma_send_64B_qd64",
        "rdma_lat_64B",
        "nvme_tcp_4k_randread_qd32",
        "nvme_tcp_4k_ddgst",
        "nvme_tcp_128k_read",
        "nvme_tcp_qd1",
        "nvme_tcp_conns4",
        "nvme_rdma_4k_randread_qd32",
        "nvme_rdma_128k_read",
        "codec_bth",
        "rdma_write_1MiB_vs_ucx",
        "rdma_write_4KiB",
        "rdma_write_64B_qd64",
        "rdma_lat_64B_vs_ucx",
        "rdma_read_1MiB",
        "rdma_multi_qp",
        "rdma_bidi",
        "nbd_4k_randread_qd32",
        "nbd_4k_randread_qd32_vs_qemu",
        "lab_events",
        "lab_events_1000_flows",
        "lab_sweep_2_cores",
    ]


@pytest.mark.slow
def test_bench_writes_rows_with_what_they_ran(tmp_path: Path) -> None:
    done = baremetal("bench", "--only", "codec_bth", "--rounds", "1", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "bench.json").read_text())
    (row,) = document["rows"]
    assert row["name"] == "codec_bth"
    assert 0 < row["ratio"] < 100
    assert document["machine"]["python"]


def test_the_laboratory_is_measured_by_what_crosses_the_bottleneck() -> None:
    small = dumbbell("cubic", 2, rate_bps=20_000_000, duration_ns=1_000_000_000)
    record = VirtualRunner().run(small, lambda _: None)
    # A link of 20 Mbit/s that is full for a second sends 1667 packets of 1500 bytes.
    assert record.events == pytest.approx(1667, rel=0.15)
    assert events_per_second(small) > 0
    assert [load.flows[0].count for load in LOADS.values()] == [10, 1000]


def test_a_row_that_does_not_exist_is_named() -> None:
    assert "no row warp_drive; there are rdma_write_1MiB" in only_line(baremetal("bench", "--only", "warp_drive"))
