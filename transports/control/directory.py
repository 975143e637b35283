"""Where control sockets live, what they are called, and which of them still have a process behind them."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from transports.control.errors import ControlError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What a JSON document can hold."""


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """One running process: its role ("nvme-target"), process number, and the path of its socket."""

    role: str
    pid: int
    path: Path


def control_directory() -> Path:
    """The folder of this user's control sockets, created with mode 0700 when missing.

    $XDG_RUNTIME_DIR/baremetal, or baremetal-UID in the temporary folder. ControlError when something else stands
    there: in a folder shared by all users, somebody may have put a link or a folder of theirs in its place.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    usable = runtime and os.access(runtime, os.W_OK | os.X_OK)
    path = Path(runtime, "baremetal") if runtime and usable else Path(tempfile.gettempdir(), f"baremetal-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ControlError(f"{path} is not a folder of user {os.getuid()}; remove it, or set XDG_RUNTIME_DIR")
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def running_processes(role: str | None = None, *, directory: Path | None = None) -> list[ControlEntry]:
    """The processes that answer, by role and number; sockets that nobody holds any more are removed on the way.

    role: only processes of this role. directory: where to look, `control_directory()` when None.
    """
    entries = []
    for path in sorted((directory or control_directory()).glob("*.sock")):
        match = SOCKET_NAME.fullmatch(path.name)
        if match is None or (role is not None and match["role"] != role):
            continue
        if is_listening(path):
            entries.append(ControlEntry(match["role"], int(match["pid"]), path))
        else:
            path.unlink(missing_ok=True)
    return entries


def is_listening(path: Path) -> bool:
    """Whether a process accepts connections at `path`. A full backlog counts as one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def socket_path(role: str, directory: Path) -> Path:
    """A path for a socket of this process: ROLE-PID.sock, or ROLE-PID.N.sock when it has several of the role."""
    if not re.fullmatch(ROLE, role):
        raise ControlError(f"role {role!r} is not of small letters, digits and hyphens")
    paths = (directory / f"{role}-{os.getpid()}{suffix}.sock" for suffix in ("", *(f".{n}" for n in range(2, 1000))))
    for path in paths:
        if not path.exists() or not is_listening(path):
            return path
    raise ControlError(f"this process has a thousand control sockets of role {role}")


ROLE = "[a-z][a-z0-9-]*"
SOCKET_NAME = re.compile(rf"(?P<role>{ROLE})-(?P<pid>\d+)(?:\.\d+)?\.sock")
