"""Programs of rdma-core and perftest in a Linux guest with rdma_rxe, against `interop.peers`, each side serving once.

    guest: rping -s  <-- tap -->  python -m interop.peers rping --remote GUEST
    guest: rping -c  <-- tap -->  python -m interop.peers rping

A run passes when both sides end with status 0, ours found every byte right, the guest's complains of none, and the
capture of the run holds: Wireshark finds no packet malformed and reads every field as we do, and all 32 bits of every
ICRC are right. XRC, FLUSH and ATOMIC WRITE have no peer in rxe of Linux 6.1.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interop.guest.machine import ADDRESSES, GuestError, Job, Machine
from interop.guest.network import OURS
from interop.guest.shared import SharedGuest
from interop.outcome import DisagreementError
from interop.tshark_judge import judge

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run varies.

    size: of a message, in bytes. count: of messages or round trips. is_ipv6: the family of addresses. mtu: of the
    Ethernet. path_mtu: bytes; None for the largest that fits. loss: percent of what the guest sends.
    """

    size: int = 4000
    count: int = 10
    is_ipv6: bool = False
    mtu: int = 9000
    path_mtu: int | None = None
    loss: int = 0

    def __str__(self) -> str:
        family = "IPv6" if self.is_ipv6 else "IPv4"
        path = f", path MTU {self.path_mtu}" if self.path_mtu else ""
        loss = f", loss {self.loss} %" if self.loss else ""
        return f"{self.count} x {self.size} bytes, {family}, MTU {self.mtu}{path}{loss}"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the guest, and what ours has to do.

    serve, connect: the guest's command lines, with fields of `_fields` in braces. peer: as `interop.peers` knows it.
    port: TCP or rdma_cm port. options: for the peer. complaint: what the guest prints, at status 0, when data is wrong.
    is_endless: the guest's server serves for good. varies: which conditions it knows.
    """

    name: str
    serve: str
    connect: str
    peer: str
    port: int
    options: tuple[str, ...] = ()
    complaint: str = "mismatch|invalid data|[Ff]ail|error:"
    is_endless: bool = False
    varies: tuple[str, ...] = ("size", "path_mtu", "mtu", "is_ipv6", "loss")
    conditions: Conditions = Conditions()


def play(shared: SharedGuest, program: Program, conditions: Conditions, scratch: Path) -> str:
    """Run a program in both directions; what was checked, a line each. DisagreementError: which, and with what."""
    machine = shared.machine(conditions.mtu)
    lines = []
    for guest_serves in (True, False):
        direction = "guest serves" if guest_serves else "guest connects"
        run = _Run(machine, program, conditions)
        capture = scratch / f"{direction.replace(' ', '-')}-{_slug(conditions)}.pcapng"
        started = time.monotonic()
        try:
            with machine.capture(capture), _loss(machine, conditions.loss):
                praise = run.with_guest_serving() if guest_serves else run.with_guest_connecting()
        except GuestError:
            shared.discard()
            raise
        except DisagreementError as error:
            raise DisagreementError(f"{direction}, {conditions}: {error}") from error
        seconds = time.monotonic() - started
        lines.append(f"{direction}, {conditions}: {praise}; {judge(capture)}; {seconds:.1f} s")
    return "\n".join(lines)


class _Run:
    """One run of a program in one direction."""

    def __init__(self, machine: Machine, program: Program, conditions: Conditions) -> None:
        self._machine = machine
        self._program = program
        self._conditions = conditions

    def with_guest_serving(self) -> str:
        """Ours tries until the guest's is there."""
        job = self._start_guest(self._program.serve)
        with self._start_ours("--remote", ADDRESSES[self._conditions.is_ipv6]) as ours:
            return self._finish(job, ours, is_server=True)

    def with_guest_connecting(self) -> str:
        """Ours says when it is there."""
        with self._start_ours() as ours:
            assert ours.stdout is not None
            if ours.stdout.readline() != "ready\n":
                raise DisagreementError(f"ours: {ours.communicate(timeout=SECONDS)[1].strip()}")
            return self._finish(self._start_guest(self._program.connect), ours, is_server=False)

    def _start_guest(self, template: str) -> Job:
        command = template.format(**_fields(self._program, self._conditions))
        return self._machine.agent.start(command, seconds=SECONDS)

    def _start_ours(self, *words: str) -> subprocess.Popen[str]:
        conditions, program = self._conditions, self._program
        words += ("--own", _own(conditions), "--port", str(program.port))
        words += ("--size", str(conditions.size), "--count", str(conditions.count))
        words += ("--path-mtu", str(conditions.path_mtu)) if conditions.path_mtu else ()
        words += tuple(word for option in program.options for word in ("--option", option))
        command = self._machine.namespace.command(sys.executable, "-m", "interop.peers", program.peer, *words)
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _finish(self, job: Job, ours: subprocess.Popen[str], *, is_server: bool) -> str:
        try:
            output, errors = ours.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            output, errors = "", f"not done after {SECONDS} s"
        finally:
            ours.kill()
        is_ended = ours.returncode != 0 or (self._program.is_endless and is_server)
        if is_ended:
            self._machine.agent.end(job)
        guest = self._machine.agent.wait(job)
        if ours.returncode or (guest.status and not is_ended) or re.search(self._program.complaint, guest.output):
            tail = "\n".join(line[:200] for line in guest.output.splitlines()[-TAIL_LINES:])
            raise DisagreementError(
                f"ours ended with {ours.returncode}: {errors.strip()}\nthe guest's with {guest.status}:\n{tail}"
            )
        return output.splitlines()[-1]


class _loss:  # noqa: N801 (used like a function)
    """Within the block, the guest loses some percent of the packets that it sends."""

    def __init__(self, machine: Machine, percent: int) -> None:
        self._machine = machine
        self._percent = percent

    def __enter__(self) -> None:
        if self._percent:
            self._machine.run(f"tc qdisc replace dev eth0 root netem loss {self._percent}%")

    def __exit__(self, *_: object) -> None:
        if self._percent:
            self._machine.run("tc qdisc del dev eth0 root")


def _fields(program: Program, conditions: Conditions) -> dict[str, object]:
    return {
        "guest": ADDRESSES[conditions.is_ipv6],
        "host": _own(conditions),
        "port": program.port,
        "size": conditions.size,
        "count": conditions.count,
        "mtu": conditions.path_mtu or USUAL_PATH_MTU,
        "gid": 2 if conditions.is_ipv6 else 1,
    }


def _own(conditions: Conditions) -> str:
    return OURS[conditions.is_ipv6].partition("/")[0]


def _slug(conditions: Conditions) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", str(conditions)).strip("-").lower()


SECONDS = 60
USUAL_PATH_MTU = 1024
"""Of programs that are told one; those that connect by rdma_cm take the largest that fits."""
TAIL_LINES = 8

PERFTEST = "-x {gid} -p {port} -s {size} -n {count} -m {mtu} -F"
ATOMIC_PERFTEST = "-A FETCH_AND_ADD -x {gid} -p {port} -n {count} -m {mtu} -F"
PINGPONG = "-g {gid} -p {port} -s {size} -n {count} -m {mtu} -c"
PROGRAMS = (
    Program(
        "rping",
        serve="rping -s -a {guest} -p {port} -S {size} -C {count} -V -v",
        connect="rping -c -a {host} -p {port} -S {size} -C {count} -V -v",
        peer="rping",
        port=7174,
        complaint="mismatch|cma event",
    ),
    Program(
        "ibv_rc_pingpong",
        serve=f"ibv_rc_pingpong {PINGPONG}",
        connect=f"ibv_rc_pingpong {PINGPONG} {{host}}",
        peer="pingpong",
        port=18515,
        conditions=Conditions(size=20_000),
    ),
    Program(
        "ibv_uc_pingpong",
        serve=f"ibv_uc_pingpong {PINGPONG}",
        connect=f"ibv_uc_pingpong {PINGPONG} {{host}}",
        peer="pingpong",
        port=18515,
        options=("uc",),
        varies=("size", "path_mtu", "mtu", "is_ipv6"),
        conditions=Conditions(size=20_000),
    ),
    Program(
        "ibv_srq_pingpong",
        serve=f"ibv_srq_pingpong {PINGPONG}",
        connect=f"ibv_srq_pingpong {PINGPONG} {{host}}",
        peer="srq_pingpong",
        port=18515,
        conditions=Conditions(count=100),
    ),
    Program(
        "rdma_client",
        serve="rdma_server -s {guest} -p {port}",
        connect="rdma_client -s {host} -p {port}",
        peer="rdma_client",
        port=7471,
        varies=("is_ipv6", "loss"),
        conditions=Conditions(size=16, count=1),
    ),
    Program(
        "ucmatose",
        serve="ucmatose -b {guest} -p {port} -C {count} -S {size}",
        connect="ucmatose -s {host} -p {port} -C {count} -S {size}",
        peer="ucmatose",
        port=7471,
    ),
    Program(
        "cmtime",
        serve="cmtime -b {guest} -p {port} -c {count}",
        connect="cmtime -s {host} -p {port} -c {count}",
        peer="cmtime",
        port=7471,
        is_endless=True,
        varies=("is_ipv6", "loss"),
        conditions=Conditions(size=0, count=20),
    ),
    *(
        Program(
            f"ib_{test}",
            serve=f"ib_{test} {PERFTEST}",
            connect=f"ib_{test} {PERFTEST} {{host}}",
            peer="perftest",
            port=18515,
            options=(test,),
        )
        for test in ("send_bw", "send_lat", "write_bw", "write_lat", "read_bw", "read_lat")
    ),
    *(
        Program(
            f"ib_{test}",
            serve=f"ib_{test} {ATOMIC_PERFTEST}",
            connect=f"ib_{test} {ATOMIC_PERFTEST} {{host}}",
            peer="perftest",
            port=18515,
            options=(test,),
            varies=("path_mtu", "mtu", "is_ipv6", "loss"),
            conditions=Conditions(size=8, count=20),
        )
        for test in ("atomic_bw", "atomic_lat")
    ),
)
"""Each is a case of its own, `rxe-NAME`."""


def sweep(program: Program) -> Iterator[Conditions]:
    """The conditions of the long run, one varied at a time, of those that the program knows."""
    for name in program.varies:
        for value in VALUES[name]:
            changed = replace(program.conditions, **{name: value})
            yield replace(changed, count=LOSSY_COUNT) if name == "loss" and "size" in program.varies else changed


VALUES: dict[str, tuple[Any, ...]] = {
    "size": (64, 1000, 4096, 20_000, 60_000),
    "path_mtu": (256, 512, 1024, 2048, 4096),
    "mtu": (1500,),
    "is_ipv6": (True,),
    "loss": (1, 5),
}
LOSSY_COUNT = 50
