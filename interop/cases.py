"""The table of outside judges. A case is a function that gets a folder of its own and returns a line of praise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from interop import nbd
from interop.congestion import cases as congestion
from interop.congestion.beside import beside
from interop.ethernet import ethernet_path
from interop.guest.shared import SharedGuest
from interop.nvme_guest.ana import ana_failover
from interop.nvme_guest.changes import changes
from interop.nvme_guest.command_line import command_line
from interop.nvme_guest.fabric import (
    RDMA,
    RDMA_IPV6,
    TCP,
    TCP_BOTH_DIGESTS,
    TCP_DATA_DIGEST,
    TCP_HEADER_DIGEST,
    TCP_IPV6,
    TCP_WORKERS,
    Fabric,
)
from interop.nvme_guest.filesystem import filesystem
from interop.nvme_guest.fio import fio_verify
from interop.nvme_guest.fused import fused
from interop.nvme_guest.initiator import initiator
from interop.nvme_guest.initiator_failover import initiator_failover
from interop.nvme_guest.linux_marks import linux_marks
from interop.nvme_guest.recovery import recovery
from interop.nvme_guest.reservations import reservations
from interop.nvme_guest.session import Act
from interop.nvme_guest.session import play as play_nvme
from interop.outcome import DisagreementError, require
from interop.pyverbs.case import rdma_core_tests
from interop.quic import cases as quic
from interop.quic.peers import FOREIGN
from interop.runner import Case
from interop.rxe_programs import PROGRAMS, Program, sweep
from interop.simulated_session import SimulatedSession
from interop.soft_roce import play
from interop.tcp_captures import tcp_captures
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


def session_matrix(scratch: Path) -> str:
    """The same for every path MTU, both IP versions, and losses up to one packet in ten."""
    require("tshark", package="tshark")
    lines = []
    for seed, (mtu, (family, addresses), percent) in enumerate(product(PATH_MTUS, FAMILIES, LOSSES), 1):
        name = f"mtu-{mtu}-{family}-loss-{percent}"
        path = scratch / f"{name}.pcapng"
        SimulatedSession(path, addresses, Impairments(loss=percent / 100), seed=seed, path_mtu=mtu).run()
        # tshark 4.0 fails inside data of Identify that comes in packets of 256 bytes; from 512 on it reads all of it.
        lines.append(f"{name}: {_judge_ours(path, EVERY_SIMULATED_SESSION, allow_malformed=mtu == 256)}")
    return "\n".join(lines)


def demo_capture(scratch: Path, options: Sequence[str] = ()) -> str:
    """Wireshark has no complaint about the capture of `baremetal demo`, and names its NVMe commands."""
    require("tshark", package="tshark")
    command = [sys.executable, "-m", "apps.main", "demo", "--directory", str(scratch), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    captures = sorted(scratch.rglob("*.pcapng"))
    if done.returncode or not captures:
        raise DisagreementError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return "; ".join(f"{path.name}: {_judge_ours(path, EVERY_SESSION, check_icrc=False)}" for path in captures)


def command_line_over_tcp(scratch: Path) -> str:
    """Wireshark has no complaint about what commands record of NVMe/TCP."""
    require("tshark", package="tshark")
    return "; ".join(f"{path.parent.name}/{path.name}: {judge(path)}" for path in tcp_captures(scratch))


def against_rxe(scratch: Path, program: Program) -> str:
    """A Linux guest's program and ours understand each other, in both directions."""
    return play(GUEST, program, program.conditions, scratch)


def against_rxe_sweep(scratch: Path, program: Program) -> str:
    """The same for many sizes, path MTUs, both IP versions and Ethernets, and with loss."""
    return "\n".join(play(GUEST, program, conditions, scratch) for conditions in sweep(program))


def nvme_with_linux(scratch: Path, act: Act, fabric: Fabric, *, multipath: bool = True) -> str:
    """The guest's kernel and our processes understand each other over NVMe, one as host and one as target."""
    return play_nvme(GUEST, scratch, act, fabric, multipath=multipath)


def nvme_case(fabric: Fabric, name: str, *, is_long: bool) -> Case:
    """The case of that name over that fabric."""
    return Case(f"nvme-{fabric.name}-{name}", partial(nvme_with_linux, act=NVME[name], fabric=fabric), is_long)


def _judge_ours(path: Path, expected: frozenset[str], *, allow_malformed: bool = False, check_icrc: bool = True) -> str:
    judgement = judge(path, allow_malformed=allow_malformed, check_icrc=check_icrc)
    missing = expected - set(judgement.commands)
    if missing:
        raise DisagreementError(f"{path}: no {', '.join(sorted(missing))} among its NVMe commands")
    return str(judgement)


GUEST = SharedGuest()
"""Of all cases that need one; who runs cases ends it."""
ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "tests" / "captures"
EVERY_SESSION = frozenset({"CONNECT", "PROPERTY_GET", "PROPERTY_SET", "IDENTIFY", "READ", "WRITE"})
EVERY_SIMULATED_SESSION = EVERY_SESSION | {
    *("GET_LOG_PAGE", "FLUSH", "COMPARE", "WRITE_ZEROES", "DATASET_MANAGEMENT", "COPY", "VERIFY", "WRITE_UNCORRECTABLE")
}
IPV4, IPV6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
NVME: dict[str, Act] = {
    "filesystem": filesystem,
    "fio": fio_verify,
    "recovery": recovery,
    "commands": command_line,
    "changes": changes,
    "fused": fused,
    "initiator": initiator,
}
"""By the last part of a case's name: `nvme-FABRIC-NAME`. Over TCP, fio and the initiator try all digests."""
NVME_SHORT = {
    RDMA: ("filesystem", "fio", "recovery", "initiator"),
    TCP: ("fio", "recovery", "commands", "changes", "fused", "initiator"),
    TCP_BOTH_DIGESTS: ("filesystem",),
    TCP_WORKERS: ("filesystem",),
}
NVME_LONG = {
    RDMA: ("commands", "changes", "fused"),
    TCP: ("filesystem",),
    TCP_HEADER_DIGEST: ("filesystem", "recovery", "commands"),
    TCP_DATA_DIGEST: ("filesystem", "recovery", "commands"),
    TCP_BOTH_DIGESTS: ("recovery", "commands"),
    TCP_WORKERS: ("fio", "recovery", "commands", "changes"),
    RDMA_IPV6: ("filesystem", "fio", "initiator"),
    TCP_IPV6: ("filesystem", "fio", "initiator"),
}
MIB = 1 << 20
PATH_MTUS = (256, 512, 1024, 2048, 4096)
FAMILIES = (("ipv4", IPV4), ("ipv6", IPV6))
LOSSES = (0, 1, 10)
"""Percent of the packets."""
SESSIONS = (
    ("ipv4", IPV4, Impairments()),
    ("ipv6", IPV6, Impairments()),
    ("lossy", IPV4, Impairments(loss=0.02, duplication=0.02, reordering=0.02)),
)

CASES = (
    Case("tshark-linux-captures", linux_captures),
    Case("tshark-simulated-sessions", simulated_sessions),
    Case("tshark-demo-capture", partial(demo_capture, options=("--size", "16MiB"))),
    Case("tshark-tcp-captures", command_line_over_tcp),
    Case("ethernet-mtu-1500", ethernet_path),
    *(Case(f"rxe-{program.name}", partial(against_rxe, program=program)) for program in PROGRAMS),
    *(nvme_case(fabric, name, is_long=False) for fabric, names in NVME_SHORT.items() for name in names),
    Case("nvme-ana-failover", partial(nvme_with_linux, act=ana_failover, fabric=RDMA)),
    Case("nvme-reservations", partial(nvme_with_linux, act=reservations, fabric=TCP, multipath=False)),
    Case("nbd-tools-tcp", partial(nbd.tools, transport="tcp", size=16 * MIB)),
    Case("nbd-fio-tcp", partial(nbd.fio, transport="tcp", size=16 * MIB)),
    Case("nbd-fio-rdma", partial(nbd.fio, transport="rdma", size=16 * MIB)),
    Case("pyverbs", rdma_core_tests),
    *(Case(f"quic-{peer}", partial(quic.with_peer, peer=peer)) for peer in FOREIGN),
    Case("kernel-bbr-live", partial(congestion.live, congestion="bbr", seconds=24)),
    Case("kernel-cubic-live", partial(congestion.live, congestion="cubic", seconds=15)),
    Case("kernel-beside-ours-live", beside),
    Case("quic-matrix", quic.all_cells, is_long=True),
    Case("tshark-session-matrix", session_matrix, is_long=True),
    *(
        Case(f"kernel-envelope-{name}", partial(congestion.envelopes, congestion=name), is_long=True)
        for name in ("reno", "cubic", "bbr")
    ),
    Case("tshark-full-demo-capture", demo_capture, is_long=True),
    Case("nbd-tools-rdma-long", partial(nbd.tools, transport="rdma", size=512 * MIB), is_long=True),
    Case("nbd-fio-tcp-long", partial(nbd.fio, transport="tcp", size=1024 * MIB), is_long=True),
    Case("nbd-fio-rdma-long", partial(nbd.fio, transport="rdma", size=1024 * MIB), is_long=True),
    Case("nvme-initiator-failover", partial(nvme_with_linux, act=initiator_failover, fabric=RDMA), is_long=True),
    Case(
        "nvme-tcp-workers-reservations",
        partial(nvme_with_linux, act=reservations, fabric=TCP_WORKERS, multipath=False),
        is_long=True,
    ),
    Case("nvme-linux-marks", partial(linux_marks, GUEST), is_long=True),
    *(nvme_case(fabric, name, is_long=True) for fabric, names in NVME_LONG.items() for name in names),
    *(
        Case(f"rxe-{program.name}-sweep", partial(against_rxe_sweep, program=program), is_long=True)
        for program in PROGRAMS
    ),
)
