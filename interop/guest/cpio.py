"""Archives that Linux unpacks as its first file system: cpio in the "newc" format, without hard links.

Follows Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its path without a leading slash, type and permissions, and contents (of a link, its target)."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(path: str, data: bytes, *, is_executable: bool = False) -> Entry:
    """A regular file that everybody may read."""
    return Entry(path, stat.S_IFREG | (0o755 if is_executable else 0o644), data)


def folder(path: str) -> Entry:
    """An empty folder."""
    return Entry(path, stat.S_IFDIR | 0o755)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    """A device node, for what the kernel opens before anything is mounted: /dev/console."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive, with every folder on the way to an entry in front of it, once.

    The same entries give the same bytes: owner and times are 0. A path that comes twice keeps its first entry.
    """
    ordered = dict[str, Entry]()
    for entry in entries:
        for parent in reversed(PurePosixPath(entry.path).parents):
            if str(parent) != ".":
                ordered.setdefault(str(parent), folder(str(parent)))
        ordered.setdefault(entry.path, entry)
    members = [_member(number, entry) for number, entry in enumerate(ordered.values(), start=1)]
    return b"".join([*members, _member(0, Entry(TRAILER, 0))])


def _member(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


MAGIC = b"070701"
TRAILER = "TRAILER!!!"
