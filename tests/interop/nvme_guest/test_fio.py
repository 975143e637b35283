"""What fio is told, and what its report must say before a run counts as verified."""

from __future__ import annotations

import json

import pytest

from interop.nvme_guest.fio import Workload, verified
from interop.outcome import DisagreementError


def report(*, read: int = 4096, written: int = 4096, error: int = 0) -> str:
    job = {
        "error": error,
        "read": {"io_bytes": read, "total_ios": 1},
        "write": {"io_bytes": written, "total_ios": 1},
        "iodepth_level": {"1": 3.0, "32": 97.0, ">=64": 0.0},
    }
    return f"fio: some warning\n{json.dumps({'jobs': [job]})}\n"


def test_all_written_and_all_read_is_verified() -> None:
    assert verified(report(), 4096) == "1 writes and 1 reads, up to 32 at once, verified"


@pytest.mark.parametrize("wrong", [{"read": 0}, {"read": 8192}, {"written": 2048}, {"error": 84}])
def test_less_than_everything_is_a_disagreement(wrong: dict[str, int]) -> None:
    with pytest.raises(DisagreementError, match="fio ends with error"):
        verified(report(**wrong), 4096)


@pytest.mark.parametrize("output", ["", "no json", "{}", '{"jobs": []}', '{"jobs": [{"error": 0}]}'])
def test_what_is_no_report_is_a_disagreement(output: str) -> None:
    with pytest.raises(DisagreementError, match="no report"):
        verified(output, 4096)


def test_command_verifies_at_the_depth_asked_for() -> None:
    words = Workload(size_bytes=8192, depth=7, iops=50).command("/dev/nvme0n1", seed="$round").split()
    assert {"--verify=crc32c", "--verify_fatal=1", "--direct=1", "--iodepth=7", "--bsrange=4k-4k"} <= set(words)
    assert {"--size=8192", "--rate_iops=50,50", "--randseed=$round"} <= set(words)
