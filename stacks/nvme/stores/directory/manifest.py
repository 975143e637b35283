"""The manifest of a directory of namespaces: a TOML file that people may read, and edit while nobody has the folder.

    version = 1

    [[namespace]]
    nsid = 1
    uuid = "2b1c0b70-5b0a-4bd1-9c53-6f6f7e2d9a11"
    size = "10GiB"            or a number of bytes
    block_size = 4096         512 or 4096
    file = "ns-1.img"         a file in the same folder
    read_only = false
    ana_group = 1
    state = "deleting"        only while something is being done: creating, shrinking or deleting; see `directory`

What may be left out: `block_size` (4096), `read_only` (false), `ana_group` (1).
"""

from __future__ import annotations

import enum
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from stacks.nvme.stores.capacity import BLOCK_SIZES
from stacks.nvme.stores.specification import parse_size
from stacks.runtime import LocalError
from stacks.runtime.toml_lines import key_line, parse_toml, table_lines


class Work(enum.Enum):
    """What is being done with a namespace, so that whoever opens the folder after a crash can finish or undo it."""

    NONE = ""
    CREATING = "creating"
    SHRINKING = "shrinking"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One namespace. size_bytes: of the namespace; its file may be longer. file: a name without a folder.

    LocalError, which names the key first, for values that make no sense.
    """

    nsid: int
    identifier: uuid.UUID
    size_bytes: int
    file: str
    block_bytes: int = 4096
    is_read_only: bool = False
    ana_group: int = 1
    work: Work = Work.NONE

    def __post_init__(self) -> None:
        if not 1 <= self.nsid <= NSID_MAX:
            raise LocalError(f"nsid is 1 to {NSID_MAX}, not {self.nsid}")
        if not 1 <= self.ana_group <= NSID_MAX:
            raise LocalError(f"ana_group is 1 to {NSID_MAX}, not {self.ana_group}")
        if not self.identifier.int:
            raise LocalError("uuid is not all zeroes")
        if self.block_bytes not in BLOCK_SIZES:
            raise LocalError(f"block_size is 512 or 4096, not {self.block_bytes}")
        if self.size_bytes <= 0 or self.size_bytes % self.block_bytes:
            raise LocalError(f"size is some blocks of {self.block_bytes} bytes, not {self.size_bytes} bytes")
        is_plain = self.file.isprintable() and "/" not in self.file and not self.file.startswith(".")
        if not self.file or not is_plain or self.file in (MANIFEST, NEW_MANIFEST):
            raise LocalError(f"file is the name of an image in this folder, not {self.file!r}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says, and where. text: all of it; name: how messages call it."""

    entries: tuple[ManifestEntry, ...]
    text: str
    name: str

    def error(self, index: int, key: str, problem: object) -> LocalError:
        """What to raise when a key of the entry at `index` cannot be."""
        return _error(self.text, self.name, index, key, problem)


def parse_manifest(text: str, name: str) -> Manifest:
    """The manifest in a TOML document; LocalError `name:N: what` for anything that is none."""
    document = parse_toml(text, name)
    for key in document:
        if key not in ("version", "namespace"):
            line = key_line(text, key)
            raise LocalError(f"{name}:{line}: unknown key {key!r}; there are version, and [[namespace]] tables")
    if document.get("version") != VERSION:
        raise LocalError(f"{name}:{key_line(text, 'version')}: version is {VERSION}")
    tables = document.get("namespace", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise LocalError(f"{name}: a namespace starts with [[namespace]], in two pairs of brackets")
    entries = tuple(_entry(text, name, index, table) for index, table in enumerate(tables))
    for key, field in (("nsid", "nsid"), ("uuid", "identifier"), ("file", "file")):
        seen: set[object] = set()
        for index, entry in enumerate(entries):
            value = getattr(entry, field)
            if value in seen:
                raise _error(text, name, index, key, f"{key} {value} is there already")
            seen.add(value)
    return Manifest(entries, text, name)


def manifest_text(entries: Iterable[ManifestEntry]) -> str:
    """The document of some namespaces, as `parse_manifest` reads it."""
    parts = [HEADING]
    for entry in entries:
        parts.append(
            "\n[[namespace]]\n"
            f"nsid = {entry.nsid}\n"
            f'uuid = "{entry.identifier}"\n'
            f"size = {_size_text(entry.size_bytes)}\n"
            f"block_size = {entry.block_bytes}\n"
            f"file = {json.dumps(entry.file, ensure_ascii=False)}\n"
            f"read_only = {str(entry.is_read_only).lower()}\n"
            f"ana_group = {entry.ana_group}\n"
        )
        if entry.work is not Work.NONE:
            parts.append(f'state = "{entry.work.value}"\n')
    return "".join(parts)


def _entry(text: str, name: str, index: int, table: dict[str, object]) -> ManifestEntry:
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise _error(text, name, index, key, f"unknown key {key!r}; there are: {', '.join(_KEYS)}")
        field, read = _KEYS[key]
        try:
            values[field] = read(key, value)
        except LocalError as error:
            raise _error(text, name, index, key, error) from error
    missing = [key for key in _REQUIRED if _KEYS[key][0] not in values]
    if missing:
        raise _error(text, name, index, "", f"a namespace needs {', '.join(missing)}")
    try:
        return ManifestEntry(**values)  # type: ignore[arg-type]  # by _KEYS
    except LocalError as error:
        key = str(error).partition(" ")[0]
        raise _error(text, name, index, key, error) from error


def _error(text: str, name: str, index: int, key: str, problem: object) -> LocalError:
    starts = table_lines(text, "namespace")
    start = starts[index] if index < len(starts) else 1
    return LocalError(f"{name}:{key_line(text, key, start)}: {problem}")


def _whole(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise LocalError(f"{key} is a whole number, not {value!r}")
    return value


def _size(key: str, value: object) -> int:
    return parse_size(value) if isinstance(value, str) else _whole(key, value)


def _uuid(key: str, value: object) -> uuid.UUID:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise LocalError(f"{key} is 32 hexadecimal digits, not {value!r}") from None


def _word(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise LocalError(f"{key} is text in quotes, not {value!r}")
    return value


def _truth(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise LocalError(f"{key} is true or false, not {value!r}")
    return value


def _work(key: str, value: object) -> Work:
    for work in Work:
        if work.value == value:
            return work
    raise LocalError(f"{key} is creating, shrinking or deleting, not {value!r}")


def _size_text(size_bytes: int) -> str:
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        size = 1024 ** " KMGT".index(unit[0])
        if not size_bytes % size:
            return f'"{size_bytes // size}{unit}"'
    return str(size_bytes)


_KEYS: dict[str, tuple[str, Callable[[str, object], object]]] = {
    "nsid": ("nsid", _whole),
    "uuid": ("identifier", _uuid),
    "size": ("size_bytes", _size),
    "block_size": ("block_bytes", _whole),
    "file": ("file", _word),
    "read_only": ("is_read_only", _truth),
    "ana_group": ("ana_group", _whole),
    "state": ("work", _work),
}
"""Each key, the field of `ManifestEntry` that it sets, and what reads its value."""
_REQUIRED = ("nsid", "uuid", "size", "file")
assert {field for field, _ in _KEYS.values()} == {field.name for field in fields(ManifestEntry)}

NSID_MAX = 0xFFFFFFFE
VERSION = 1
MANIFEST = "manifest.toml"
NEW_MANIFEST = "manifest.toml.new"
HEADING = f"""\
# The namespaces in this folder. Written by BareMetal; edit it only while nothing serves them. Comments are not kept.
version = {VERSION}
"""
