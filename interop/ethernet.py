"""A target and an initiator in network namespaces of their own, with an Ethernet of MTU 1500 between them.

Loopback carries 64 KiB, so only here the path MTU of RoCE is less than its largest. Needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from interop.ours import Ours
from interop.outcome import DisagreementError, MissingToolError, require

ROOT = Path(__file__).resolve().parent.parent


def ethernet_path(_scratch: Path) -> str:
    """Over Ethernet, IPv4 and IPv6, every verb of the command line connects, and data comes back as it was written."""
    require("ip", package="iproute2")
    if os.geteuid():
        raise MissingToolError("network namespaces take root: run this as root")
    with ethernet() as (there, here), Ours(here) as ours:
        return "; ".join(_try(there, ours, address) for address in TARGETS)


@contextlib.contextmanager
def ethernet() -> Iterator[tuple[str, str]]:
    """Two network namespaces with addresses of both families, joined by Ethernet; removed afterwards."""
    names = f"bm{os.getpid()}t", f"bm{os.getpid()}i"
    with contextlib.ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", "e0", "mtu", "1500", "netns", names[0], "type", "veth", "peer", "e0", "netns", names[1])
        for name, addresses in zip(names, (TARGETS, INITIATORS), strict=True):
            _ip("-n", name, "address", "add", f"{addresses[0]}/24", "dev", "e0")
            _ip("-n", name, "address", "add", f"{addresses[1]}/64", "dev", "e0", "nodad")
            _ip("-n", name, "link", "set", "e0", "up")
        yield names


def _try(there: str, ours: Ours, address: str) -> str:
    url = f"nvme+rdma://[{address}]" if ":" in address else f"nvme+rdma://{address}"
    words = ["nvme", "target", "--namespace", "mem:16MiB", "--listen", url, "--json", "--until-stdin-ends"]
    command = _in_namespace(there, *words)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as target:
        assert target.stdin is not None
        assert target.stdout is not None
        url = json.loads(target.stdout.readline())["url"]
        for verb in ("discover", "list", "id-ctrl"):
            ours.run("nvme", verb, url)
        lines = [f"{address}: connected"]
        for block, depth in (("4KiB", "32"), ("256KiB", "8")):
            options = ["--rw", "randrw", "--block-size", block, "--queue-depth", depth, "--time", "1s"]
            options += ["--verify", "--overwrite"]
            measured = ours.run("perf", "nvme", url, *options)
            if measured["mismatches"] or not measured["operations"]:
                raise DisagreementError(f"{address}: {measured}")
            lines.append(f"{measured['operations']} x {block} verified")
        target.stdin.close()
        if target.wait(timeout=20):
            raise DisagreementError(f"the target at {address} ended with {target.returncode}")
    return ", ".join(lines)


def _in_namespace(name: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", name, sys.executable, "-m", "apps.main", *words]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingToolError(f"ip {' '.join(words)}: {done.stderr.strip()}; this kernel or container has no veth")


TARGETS = ("192.0.2.1", "2001:db8::1")
INITIATORS = ("192.0.2.2", "2001:db8::2")
