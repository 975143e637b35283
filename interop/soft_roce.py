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
from pathlib import Path

from interop.guest.machine import ADDRESSES, GuestError, Job, Machine
from interop.guest.network import OURS
from interop.guest.shared import SharedGuest
from interop.outcome import DisagreementError
from interop.rxe_programs import Conditions, Program
from interop.tshark_judge import judge

ROOT = Path(__file__).resolve().parent.parent


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
        meeting = ("--meeting", ADDRESSES[0]) if self._program.meets else ()
        with self._start_ours("--remote", ADDRESSES[self._conditions.is_ipv6], *meeting) as ours:
            return self._finish(job, ours, is_server=True)

    def with_guest_connecting(self) -> str:
        """Ours says when it is there."""
        meeting = ("--meeting", _address(OURS[0])) if self._program.meets else ()
        with self._start_ours(*meeting) as ours:
            assert ours.stdout is not None
            if ours.stdout.readline() != "ready\n":
                raise DisagreementError(f"ours: {ours.communicate(timeout=SECONDS)[1].strip()}")
            return self._finish(self._start_guest(self._program.connect), ours, is_server=False)

    def _start_guest(self, template: str) -> Job:
        command = template.format(**fields(self._program, self._conditions))
        if self._conditions.is_ipv6:
            # Linux gives up on a queue pair whose IPv6 neighbour it has yet to find.
            command = f"ping -c 1 -w 5 {_own(self._conditions)} >/dev/null; {command}"
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
        is_excused = is_ended or re.search(self._program.excuse, guest.output)
        if ours.returncode or (guest.status and not is_excused) or re.search(self._program.complaint, guest.output):
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
            self._set(f"tc qdisc replace dev eth0 root netem loss {self._percent}%")

    def __exit__(self, *_: object) -> None:
        if self._percent:
            self._set("tc qdisc del dev eth0 root")

    def _set(self, command: str) -> None:
        result = self._machine.run(command)
        if result.status:
            raise GuestError(f"{command}: {result.output.strip()}")


def fields(program: Program, conditions: Conditions) -> dict[str, object]:
    """What a command line of the guest may name in braces."""
    return {
        "guest": ADDRESSES[conditions.is_ipv6],
        "host": _address(OURS[0]) if program.meets else _own(conditions),
        "port": program.port,
        "size": conditions.size,
        "count": conditions.count,
        "mtu": conditions.path_mtu or USUAL_PATH_MTU,
        "gid": 2 if conditions.is_ipv6 else 1,
    }


def _own(conditions: Conditions) -> str:
    return _address(OURS[conditions.is_ipv6])


def _address(interface: str) -> str:
    return interface.partition("/")[0]


def _slug(conditions: Conditions) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", str(conditions)).strip("-").lower()


SECONDS = 120
USUAL_PATH_MTU = 1024
"""Of programs that are told one; those that connect by rdma_cm take the largest that fits."""
TAIL_LINES = 8

PERFTEST = "-x {gid} -p {port} -s {size} -n {count} -m {mtu} -F"
