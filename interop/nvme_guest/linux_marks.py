"""What tshark calls malformed of Linux's own NVMe: nvme-cli on the guest's host, answered by the guest's own target.

A relay in our namespace passes their bytes on, so that they are recorded. Every kind of frame that is excused when ours
has it (`tshark_marks.MARKED`) has to be marked here as well.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from interop.guest.shared import SharedGuest
from interop.nvme_guest import nvmet
from interop.nvme_guest.fabric import PORT, TCP
from interop.nvme_guest.kernel import Kernel
from interop.nvme_guest.nvmet import KernelTarget
from interop.nvme_guest.target import ROOT
from interop.outcome import DisagreementError
from interop.tshark_judge import judge
from interop.tshark_marks import MARKED


def linux_marks(shared: SharedGuest, scratch: Path) -> str:
    """Have each excused kind come from Linux, and see that tshark marks it."""
    kernel, capture = Kernel(shared.machine()), scratch / "frames.pcapng"
    kernel.begin(TCP)
    ends = (TCP.our_address, str(RELAY_PORT), TCP.guest_address, str(PORT))
    command = kernel.machine.namespace.command(sys.executable, "-m", "interop.nvme_guest.relay", *ends)
    with KernelTarget(kernel, TCP), subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with kernel.machine.capture(capture):
                kernel.run(f"nvme connect {TCP.place(TCP.our_address, port=RELAY_PORT)} -n {nvmet.NQN}\n{COMMANDS}")
        finally:
            process.kill()
    judgement = judge(capture, allow_malformed=True)
    missing = set(MARKED) - set(judgement.marked)
    if missing:
        raise DisagreementError(f"not marked between two Linux kernels: {', '.join(sorted(missing))}")
    return f"{len(MARKED)} kinds of frames are marked in Linux's own traffic; {judgement}"


RELAY_PORT = 4421
COMMANDS = """
nvme get-feature /dev/nvme0 -f 1 || true
nvme set-feature /dev/nvme0 -f 1 -v 0 || true
nvme error-log /dev/nvme0 -e 1
nvme disconnect-all
"""
"""What brings each kind; nvmet refuses some, and tshark marks the refusal."""
