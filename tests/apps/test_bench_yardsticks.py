"""Other projects' programs as yardsticks: what they print is read by column, and what fails gives a reason."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from apps.bench.probes import Cpus
from apps.bench.yardsticks import (
    fi_microseconds,
    fi_pingpong,
    measure,
    ucx,
    ucx_columns,
    ucx_median,
    ucx_megabytes,
    ucx_thousands,
)
from apps.errors import CommandError

UCX_PUT_BW_64B = """\
iterations,50.0_percentile_lat,avg_lat,overall_lat,avg_bw,overall_bw,avg_mr,overall_mr
400000,0.597,2.520,2.520,24.22,24.22,396790,396790
"""
UCX_PUT_LAT_64B = """\
iterations,50.0_percentile_lat,avg_lat,overall_lat,avg_bw,overall_bw,avg_mr,overall_mr
2000,10.445,66.152,66.152,0.92,0.92,15117,15117
"""
FI_PINGPONG = """\
bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec
64      20k     =20k     2.4m        2.76s      0.93      68.90       0.01
"""
CPUS = Cpus(*(2 * sorted(os.sched_getaffinity(0))[:1]))


def test_bandwidth_of_ucx_1_13_is_converted_to_powers_of_ten() -> None:
    assert ucx_megabytes(ucx_columns(UCX_PUT_BW_64B)) == pytest.approx(24.22 * 1.048576)


def test_rate_and_median_of_ucx_1_13_have_their_columns() -> None:
    assert ucx_thousands(ucx_columns(UCX_PUT_BW_64B)) == 396.79
    assert ucx_median(ucx_columns(UCX_PUT_LAT_64B)) == 10.445


def test_half_a_round_trip_is_fi_pingpongs_transfer() -> None:
    assert fi_microseconds(FI_PINGPONG) == 68.9


@pytest.mark.parametrize("printed", ["", "one line", "a,b\n1,2\n", UCX_PUT_BW_64B + "1,2\n"])
def test_output_that_is_not_known_is_a_reason_and_no_figure(printed: str) -> None:
    with pytest.raises(CommandError, match="ucx_perftest printed no figures"):
        ucx_columns(printed)
    with pytest.raises(CommandError, match="fi_pingpong printed no figures"):
        fi_microseconds(printed)


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="ucx_perftest is missing; .*apt install ucx-utils"):
        ucx("put", "ucp_put_bw", 64, iterations=1, reading=ucx_thousands).take(CPUS)
    with pytest.raises(CommandError, match="fi_pingpong is missing; .*apt install libfabric-bin"):
        fi_pingpong("fi").take(CPUS)


def test_the_test_of_ucx_stands_in_the_command() -> None:
    command = ucx("put", "ucp_put_bw", 64, iterations=400, reading=ucx_thousands).command
    assert command == "UCX_TLS=tcp UCX_NET_DEVICES=lo ucx_perftest 127.0.0.1 -t ucp_put_bw -s 64 -n 400 -w 20 -f -v"


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


@pytest.mark.slow
def test_a_client_that_fails_tells_why() -> None:
    with pytest.raises(CommandError, match="the cable burnt"):
        measure(python("input()"), python("raise SystemExit('the cable burnt')"), CPUS, environment=os.environ)


@pytest.mark.slow
def test_a_client_that_is_refused_tries_again(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    first = (
        f"import os; seen = {str(seen)!r}\nif not os.path.exists(seen): open(seen, 'w'); raise SystemExit('refused')"
    )
    waits = "import time; time.sleep(60)"
    printed = measure(python(waits), python(first + "\nprint('figures')"), CPUS, environment=os.environ)
    assert printed == "figures\n"
