"""The table of outside judges. A case is a function that gets a folder of its own and returns a line of praise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from interop.outcome import DisagreementError, require
from interop.tshark_judge import judge


@dataclass(frozen=True, slots=True)
class Case:
    """One judge.

    run: given an empty folder, returns what was compared; raises DisagreementError or MissingToolError.
    is_long: only with --long.
    """

    name: str
    run: Callable[[Path], str]
    is_long: bool = False


def linux_captures(_scratch: Path) -> str:
    """Wireshark reads the captures from Linux machines as we do, but for frames that it calls malformed itself."""
    return "; ".join(f"{path.stem}: {judge(path, allow_malformed=True)}" for path in sorted(CAPTURES.glob("*.pcapng")))


def demo_capture(scratch: Path) -> str:
    """Wireshark has no complaint about the capture of `baremetal demo`, and names its NVMe commands."""
    require("tshark", package="tshark")
    command = [sys.executable, "-m", "apps.main", "demo", "--directory", str(scratch), *DEMO_OPTIONS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    captures = sorted(scratch.rglob("*.pcapng"))
    if done.returncode or not captures:
        raise DisagreementError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return "; ".join(f"{path.name}: {_judge_ours(path)}" for path in captures)


def _judge_ours(path: Path) -> str:
    judgement = judge(path)
    missing = EVERY_SESSION - set(judgement.commands)
    if missing:
        raise DisagreementError(f"{path}: no {', '.join(sorted(missing))} among its NVMe commands")
    return str(judgement)


ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "tests" / "captures"
DEMO_OPTIONS = ("--size", "16MiB")
EVERY_SESSION = {"CONNECT", "PROPERTY_GET", "PROPERTY_SET", "IDENTIFY", "READ", "WRITE"}

CASES = (
    Case("tshark-linux-captures", linux_captures),
    Case("tshark-demo-capture", demo_capture),
)
