"""The guest's kernel as an NVMe host: what it is told through nvme-cli, and what it is asked through sysfs."""

from __future__ import annotations

from interop.guest.machine import Job, Machine
from interop.nvme_guest.fabric import Fabric
from interop.nvme_guest.target import NQN
from interop.outcome import DisagreementError


class Kernel:
    """The kernel of a running guest."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, script: str, *, seconds: float = 60) -> str:
        """What a shell script prints; DisagreementError with its last lines when any of its commands fails."""
        return self.finish(self.start(script, seconds=seconds))

    def start(self, script: str, *, seconds: float = 60) -> Job:
        """Have a shell script run beside others, until `finish`."""
        return self.machine.agent.start(f"set -e\n{script}", seconds=seconds)

    def finish(self, job: Job) -> str:
        """Wait for a script; as `run`."""
        result = self.machine.agent.wait(job)
        if result.status:
            raise DisagreementError(f"in the guest, status {result.status}:\n{_tail(result.output)}\n{self._log()}")
        return result.output

    def begin(self, fabric: Fabric) -> None:
        """Start from nothing: no connections, an empty log, and the modules there."""
        modules = f"{fabric.host_modules} {fabric.target_modules} ext4 loop"
        self.run(f"modprobe -a {modules}; nvme disconnect-all; umount -a -t ext4; dmesg -c >/dev/null; mkdir -p /mnt")

    def connect(self, fabric: Fabric, options: str = "") -> str:
        """Connect to our subsystem; the device of its namespace 1, once it is there, whatever paths there are."""
        self.run(f"nvme connect {fabric.place(fabric.our_address)} -n {NQN} {fabric.host_words} {options}")
        return self.disk()

    def disk(self) -> str:
        """The block device of the subsystem's namespace 1, of which there is one."""
        return self.run(f"until ls /dev/nvme*n1 2>/dev/null; do {PAUSE}; done").strip()

    def disconnect(self) -> None:
        """Leave our subsystem."""
        self.run(f"nvme disconnect -n {NQN}")

    def until_state(self, state: str, *, controller: str = "nvme0") -> str:
        """A script that waits until a controller is `live`, `connecting`, or what else the kernel calls its states."""
        return f"until [ $(cat /sys/class/nvme/{controller}/state) = {state} ]; do {PAUSE}; done"

    def check_log(self) -> None:
        """DisagreementError when the kernel's log has what never belongs there."""
        found = self.machine.run(f"dmesg | grep -E '{COMPLAINTS}'").output.strip()
        if found:
            raise DisagreementError(f"the guest's kernel complains:\n{found}")

    def _log(self) -> str:
        return self.machine.run(f"dmesg | tail -n {LOG_LINES}").output.strip()


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-OUTPUT_LINES:])


PAUSE = "sleep 0.05"
OUTPUT_LINES, LOG_LINES = 20, 8
COMPLAINTS = "WARNING|BUG|Oops|Call Trace|I/O error|EXT4-fs (error|warning)|identifiers changed"
