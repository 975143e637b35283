"""A flow of ours and one of the kernel on one link at once, by `baremetal lab run --real`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from apps.link.report import INVALID
from apps.processes import command_line, environment
from interop.congestion.bottleneck import require_congestion, require_namespaces
from interop.outcome import DisagreementError, MissingToolError
from transports.namespaces import FOLDER


def beside(scratch: Path) -> str:
    """Our CUBIC beside the kernel's: they fill the link together, neither starves, and nothing is left behind."""
    require_namespaces()
    require_congestion("cubic")
    path = scratch / "beside.toml"
    path.write_text(EXPERIMENT)
    before = _namespaces()
    manifest, status = _run(path, scratch)
    for _ in range(ATTEMPTS - 1):
        if status == INVALID:
            manifest, status = _run(path, scratch)
    if left := _namespaces() - before:
        raise DisagreementError(f"network namespaces are left: {', '.join(sorted(left))}")
    real, metrics = manifest["real"], manifest["metrics"]
    if status == INVALID:
        raise MissingToolError(f"this machine is too busy for real time: {real['reason']}")
    _judge(metrics)
    shares = ", ".join(f"{name} {metrics[f'{name}.goodput_bps'] / 1e6:.1f} Mbit/s" for name in ("ours", "kernel"))
    return f"{shares}; utilisation {metrics['utilisation']:.3f}, delay p95 {metrics['delay_p95_ns'] / 1e6:.1f} ms"


def _judge(metrics: dict[str, float]) -> None:
    """A buffer of one product never runs empty under two CUBICs (their sum falls to no less than 0.7 of twice that)."""
    wrong = []
    if not 0.95 <= metrics["utilisation"] <= 1.001:
        wrong.append(f"utilisation is {metrics['utilisation']:.3f}, not 0.95 to 1")
    for name in ("ours", "kernel"):
        if metrics[f"{name}.share"] < SHARE:
            wrong.append(f"{name} has {metrics[f'{name}.share']:.2f} of its fair share, less than {SHARE}")
    # Empty, the way takes 20 ms and a packet 0.6 ms; a full queue of one product 40 ms more.
    if not 20.6e6 <= metrics["delay_p50_ns"] <= metrics["delay_p99_ns"] <= 60.7e6:
        wrong.append(f"delays are {metrics['delay_p50_ns'] / 1e6:.1f} to {metrics['delay_p99_ns'] / 1e6:.1f} ms")
    if wrong:
        raise DisagreementError("\n".join(wrong))


def _run(path: Path, scratch: Path) -> tuple[dict[str, dict[str, float]], int]:
    words = command_line(["lab", "run", str(path), "--real", "--json", "--output", str(scratch / "results")])
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=TIMEOUT_S, check=False)
    if done.returncode not in (0, INVALID):
        raise DisagreementError(done.stderr.strip() or f"status {done.returncode}")
    manifest: dict[str, dict[str, float]] = json.loads(done.stdout)
    return manifest, done.returncode


def _namespaces() -> set[str]:
    # Those of others who run at the same time have other names.
    return {each.name for each in FOLDER.glob("lab*")} if FOLDER.is_dir() else set()


EXPERIMENT = """\
name = "beside"
duration = "10s"
warmup = "2s"
[topology]
kind = "dumbbell"
rate = "20Mbit/s"
rtt = "40ms"
buffer = "1bdp"
[[flow]]
name = "ours"
controller = "cubic"
[[flow]]
name = "kernel"
sender = "linux:cubic"
"""
ATTEMPTS = 3
SHARE = 0.3
TIMEOUT_S = 120
