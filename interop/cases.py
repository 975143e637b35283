"""The table of outside judges. A case is a function that gets a folder of its own and returns a line of praise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from interop.ethernet import ethernet_path
from interop.outcome import DisagreementError, require
from interop.runner import Case
from interop.simulated_session import SimulatedSession
from interop.tshark_judge import judge
from transports.simulation import Impairments


def linux_captures(_scratch: Path) -> str:
    """Wireshark reads the captures from Linux machines as we do, but for frames that it calls malformed itself."""
    return "; ".join(f"{path.stem}: {judge(path, allow_malformed=True)}" for path in sorted(CAPTURES.glob("*.pcapng")))


def simulated_sessions(scratch: Path) -> str:
    """Wireshark has no complaint about sessions of our own in virtual time, over both IP versions, and with loss."""
    require("tshark", package="tshark")
    lines = []
    for name, addresses, impairments in SESSIONS:
        path = scratch / f"{name}.pcapng"
        SimulatedSession(path, addresses, impairments).run()
        lines.append(f"{name}: {_judge_ours(path, EVERY_SIMULATED_SESSION)}")
    return "; ".join(lines)


def demo_capture(scratch: Path) -> str:
    """Wireshark has no complaint about the capture of `baremetal demo`, and names its NVMe commands."""
    require("tshark", package="tshark")
    command = [sys.executable, "-m", "apps.main", "demo", "--directory", str(scratch), *DEMO_OPTIONS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    captures = sorted(scratch.rglob("*.pcapng"))
    if done.returncode or not captures:
        raise DisagreementError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return "; ".join(f"{path.name}: {_judge_ours(path, EVERY_SESSION, check_icrc=False)}" for path in captures)


def _judge_ours(path: Path, expected: frozenset[str], *, check_icrc: bool = True) -> str:
    judgement = judge(path, check_icrc=check_icrc)
    missing = expected - set(judgement.commands)
    if missing:
        raise DisagreementError(f"{path}: no {', '.join(sorted(missing))} among its NVMe commands")
    return str(judgement)


ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "tests" / "captures"
DEMO_OPTIONS = ("--size", "16MiB")
EVERY_SESSION = frozenset({"CONNECT", "PROPERTY_GET", "PROPERTY_SET", "IDENTIFY", "READ", "WRITE"})
EVERY_SIMULATED_SESSION = EVERY_SESSION | {"GET_LOG_PAGE", "FLUSH", "COMPARE", "WRITE_ZEROES", "DATASET_MANAGEMENT"}
IPV4, IPV6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
SESSIONS = (
    ("ipv4", IPV4, Impairments()),
    ("ipv6", IPV6, Impairments()),
    ("lossy", IPV4, Impairments(loss=0.02, duplication=0.02, reordering=0.02)),
)

CASES = (
    Case("tshark-linux-captures", linux_captures),
    Case("tshark-simulated-sessions", simulated_sessions),
    Case("tshark-demo-capture", demo_capture),
    Case("ethernet-mtu-1500", ethernet_path),
)
