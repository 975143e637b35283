"""Run tshark over a capture and hand out what it prints, field by field.

Nothing is configured: a home folder of its own keeps the user's preferences out. `pdml` reads what is printed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from interop.outcome import DisagreementError, require
from interop.pdml import Frame, read_pdml


def dissect(capture: Path, display_filter: str = "", options: Sequence[str] = ()) -> Iterator[Frame]:
    """The packets of `capture` as tshark reads them. options: words for its command line.

    MissingToolError without tshark, DisagreementError when it refuses the file.
    """
    require("tshark", package="tshark")
    command = ["tshark", "-n", "-r", str(capture), "-T", "pdml", "-J", " ".join(PRINTED), *options]
    if display_filter:
        command += ["-Y", display_filter]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as errors:
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "LC_ALL": "C.UTF-8"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process:
            assert process.stdout is not None
            yield from read_pdml(process.stdout)
        if process.returncode:
            errors.seek(0)
            raise DisagreementError(
                f"tshark -r {capture}: {errors.read().decode(errors='replace').strip().splitlines()[-1]}"
            )


PRINTED = ("infiniband", "nvme-rdma", "nvme-tcp", "nvme", "udp", "ip", "ipv6", "_ws.malformed")
"""Protocols whose fields and messages are wanted; of the others only the name is printed, which takes half the time."""
