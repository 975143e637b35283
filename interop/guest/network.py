"""A network namespace with one TAP device: the guest's Ethernet on one side, our processes' sockets on the other."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from interop.outcome import MissingToolError, require

TAP = "tap0"
OURS = ("192.0.2.1/24", "2001:db8::1/64")
GUESTS = ("192.0.2.2/24", "2001:db8::2/64")
"""Addresses for documentation (RFC 5737, RFC 3849), so that nothing leaks anywhere."""
MTUS = (9000, 1500)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace by name. mtu: of the TAP device in it, in bytes."""

    name: str
    mtu: int

    def command(self, *words: str) -> list[str]:
        """A command line that runs `words` inside."""
        return ["ip", "netns", "exec", self.name, *words]


@contextlib.contextmanager
def tap_namespace(mtu: int) -> Iterator[Namespace]:
    """A namespace of its own with a TAP device that has our addresses; removed afterwards, with the device.

    MissingToolError: without root, iproute2, or a kernel that has both.
    """
    require("ip", package="iproute2")
    if os.geteuid():
        raise MissingToolError("network namespaces and TAP devices take root: run this as root")
    if not Path("/dev/net/tun").exists():
        raise MissingToolError("/dev/net/tun is missing: this kernel or container has no TAP devices")
    _remove_abandoned()
    name = owned_name(mtu)
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "tuntap", "add", TAP, "mode", "tap")
        _ip("-n", name, "link", "set", TAP, "mtu", str(mtu), "up")
        for address in OURS:
            # "nodad": an address that is being checked for a duplicate cannot be bound to.
            _ip("-n", name, "address", "add", address, "dev", TAP, *(["nodad"] if ":" in address else []))
        yield Namespace(name, mtu)
    finally:
        _ip("netns", "del", name)


def owned_name(detail: object) -> str:
    """A name for something that belongs to this process, and is of no use after it."""
    return f"{PREFIX}{os.getpid()}-{detail}"


def abandoned(names: Iterable[str], *, is_alive: frozenset[int]) -> list[str]:
    """Of these names, those whose process is no more: what one that was killed outright left behind."""
    found = [(name, re.fullmatch(PREFIX + r"(\d+)-.*", name)) for name in names]
    return [name for name, match in found if match and int(match[1]) not in is_alive]


def _remove_abandoned() -> None:
    processes = frozenset(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    namespaces, temporary = Path("/run/netns"), Path(tempfile.gettempdir())
    for name in abandoned(_names(namespaces), is_alive=processes):
        _ip("netns", "del", name)
    for name in abandoned(_names(temporary), is_alive=processes):
        shutil.rmtree(temporary / name, ignore_errors=True)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingToolError(f"ip {' '.join(words)}: {done.stderr.strip()}")


PREFIX = "bmguest"
