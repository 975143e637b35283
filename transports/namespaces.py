"""Network namespaces, as `ip netns` names them: made, entered for a moment, removed.

Follows setns(2), network_namespaces(7), ip-netns(8). Interfaces are configured through the program `ip`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from transports.errors import TransportError


def exists(name: str) -> bool:
    """Whether there is a namespace of that name."""
    return (FOLDER / name).exists()


def create(name: str) -> None:
    """Make a namespace, with its loopback interface up. TransportError when that cannot be, and then there is none."""
    run_ip("netns", "add", name)
    try:
        run_ip("-n", name, "link", "set", "lo", "up")
    except BaseException:
        with contextlib.suppress(TransportError):
            remove(name)
        raise


def remove(name: str) -> None:
    """Remove a namespace's name; it goes when the last process and file in it do. TransportError when it cannot."""
    run_ip("netns", "delete", name)


@contextlib.contextmanager
def entered(name: str) -> Iterator[None]:
    """Within the block this thread is in namespace `name`: sockets and devices opened there stay there.

    "" is the one that it is in. TransportError when it cannot go there, or back.
    """
    if not name:
        yield
        return
    with _opened(Path("/proc/thread-self/ns/net")) as home, _opened(FOLDER / name) as away:
        _set(away, name)
        try:
            yield
        finally:
            _set(home, "it came from")


def run_ip(*words: str) -> str:
    """What `ip WORDS` prints. TransportError, with its own words, when it fails or is not there.

    Ctrl-C does not reach it: halves of what it does would stay.
    """
    try:
        done = subprocess.run(
            ["ip", *words], capture_output=True, text=True, check=False, timeout=20, start_new_session=True
        )
    except FileNotFoundError as error:
        raise TransportError("the program ip is missing: install iproute2") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()).rstrip(".") or f"it ended with status {done.returncode}"
        hint = "; this needs root" if "not permitted" in said.lower() or "denied" in said.lower() else ""
        raise TransportError(f"ip {' '.join(words)}: {said}{hint}")
    return done.stdout


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise TransportError(
            f"there is no network namespace {path.name} (ip netns lists them): {error.strerror}", errno=error.errno or 0
        ) from error
    try:
        yield opened
    finally:
        os.close(opened)


def _set(opened: int, name: str) -> None:
    # os.setns exists from Python 3.12 on.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(opened, CLONE_NEWNET):
        number = ctypes.get_errno()
        hint = "; this needs root" if number == 1 else ""
        reason = os.strerror(number).lower()
        raise TransportError(f"cannot enter network namespace {name}: {reason}{hint}", errno=number)


FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000
