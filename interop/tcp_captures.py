"""What `--capture` records of NVMe/TCP: both ends of a session on the command line, with and without digests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from apps.processes import ServingProcess, command_line, environment
from interop.outcome import DisagreementError


def tcp_captures(scratch: Path) -> Iterator[Path]:
    """Run sessions over IPv4 and IPv6; the captures of their targets and hosts. DisagreementError when one fails."""
    for family, host in (("ipv4", "127.0.0.1"), ("ipv6", "[::1]")):
        for digests in ("none", "both"):
            folder = scratch / f"{family}-{digests}"
            folder.mkdir()
            yield from _session(folder, host, digests)


def _session(folder: Path, host: str, digests: str) -> Iterator[Path]:
    target, content = folder / "target.pcapng", folder / "content"
    content.write_bytes(bytes(range(256)) * (SIZE // 256))
    words = ["nvme", "target", "--namespace", "mem:1MiB", "--listen", f"nvme+tcp://{host}:{PORT}"]
    with ServingProcess([*words, "--until-stdin-ends", "--json", "--capture", str(target)], timeout_s=60) as process:
        for verb in ("write", "read"):
            # What is read goes elsewhere.
            file = content if verb == "write" else folder / "found"
            capture = folder / f"{verb}.pcapng"
            _run("nvme", verb, f"nvme+tcp://{host}:{PORT}", "--file", str(file), "--length", str(SIZE),
                 "--digests", digests, "--capture", str(capture))  # fmt: skip
            yield capture
        process.stop(60)
    if (folder / "found").read_bytes() != content.read_bytes():
        raise DisagreementError(f"{folder}: what was read is not what was written")
    yield target


def _run(*words: str) -> None:
    done = subprocess.run(
        command_line(words), env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise DisagreementError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")


PORT = 4421
"""One at which the judge looks for NVMe."""
SIZE = 512 << 10
