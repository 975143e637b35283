"""The guest's kernel as an NVMe host: what it is told through nvme-cli, and what it is asked through sysfs."""

from __future__ import annotations

from collections.abc import Mapping

from interop.guest.machine import Machine
from interop.nvme_guest.fabric import Fabric
from interop.nvme_guest.target import NQN
from interop.outcome import DisagreementError


class Kernel:
    """The kernel of a running guest."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, script: str, *, seconds: float = 60) -> str:
        """What a shell script prints; DisagreementError with its last lines when any of its commands fails."""
        result = self.machine.run(f"set -e\n{script}", seconds=seconds)
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

    def outages(self, *controllers: str) -> dict[str, int]:
        """How often each of these controllers has lost its connection so far."""
        counts = self.run("\n".join(f"dmesg | grep -c '{each}: {RECONNECTING}' || true" for each in controllers))
        return dict(zip(controllers, map(int, counts.split()), strict=True))

    def wait_outage(self, before: Mapping[str, int]) -> None:
        """Wait until each controller has noticed one outage more than `before`, however short it was."""
        self.run("\n".join(
            f"until [ $(dmesg | grep -c '{each}: {RECONNECTING}') -gt {count} ]; do {PAUSE}; done"
            for each, count in before.items()
        ))  # fmt: skip

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
RECONNECTING = "Reconnecting in"
"""What the kernel says of a controller that has lost its connection, once each time."""
OUTPUT_LINES, LOG_LINES = 20, 8
COMPLAINTS = "WARNING|BUG|Oops|Call Trace|I/O error|EXT4-fs (error|warning)|identifiers changed"
