"""A TCP flow of the kernel beside a cell, from the server's side to the client's, as iperf3 makes it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from interop.outcome import require
from interop.quic.path import Ends


@contextlib.contextmanager
def beside_tcp(ends: Ends, *, wanted: bool) -> Iterator[None]:
    """CUBIC until the block ends; nothing where none is wanted. MissingToolError without iperf3."""
    if not wanted:
        yield
        return
    require("iperf3", package="iperf3")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([*ends.far, "iperf3", "-s"], **quiet)  # type: ignore[call-overload]
    words = [*ends.near, "iperf3", "-c", ends.server[0], "-R", "-C", "cubic", "-t", "600", "--connect-timeout", "5000"]
    client = subprocess.Popen(words, **quiet)  # type: ignore[call-overload]
    try:
        yield
    finally:
        for process in (client, server):
            process.terminate()
            process.wait()
