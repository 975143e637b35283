"""`nvme target --workers`: what it goes together with."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from apps.command_line import app

WRONG = {
    "rdma alone": (["--listen", "nvme+rdma://127.0.0.2"], "--workers is for TCP ports"),
    "no listen": ([], "--workers is for TCP ports"),
    "a capture": (["--listen", "nvme+tcp://127.0.0.2", "--capture", "run.pcapng"], "--capture does not see what"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_workers_do_not_go_together_with_is_said(name: str) -> None:
    words, expected = WRONG[name]
    result = CliRunner().invoke(app, ["nvme", "target", "--namespace", "mem:1MiB", "--workers", "2", *words])
    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())
