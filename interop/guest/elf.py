"""What an ELF file says that it needs: a program its libraries and loader, a kernel module its modules.

Only 64-bit little-endian files with section headers, which is what Debian ships for amd64. Follows the System V gABI
(ELF header, section header table, dynamic section).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator


class NotElfError(Exception):
    """The bytes are not an ELF file of the kind that is read here."""


def needed_libraries(data: bytes) -> list[str]:
    """Sonames that a program or library is linked with (DT_NEEDED), in order; none for a static one."""
    parts = sections(data)
    names = parts.get(".dynstr", b"")
    entries = struct.iter_unpack("<QQ", parts.get(".dynamic", b""))
    return [_text(names, value) for tag, value in entries if tag == DT_NEEDED]


def interpreter(data: bytes) -> str | None:
    """The loader that the kernel starts a program with, as an absolute path; None for a static one."""
    return _text(sections(data).get(".interp", b""), 0) or None


def module_fields(data: bytes) -> dict[str, str]:
    """What `modinfo` prints of a kernel module; of a key that comes several times, the last value."""
    lines = sections(data).get(".modinfo", b"").split(b"\0")
    return dict(line.decode().split("=", 1) for line in lines if b"=" in line)


def sections(data: bytes) -> dict[str, bytes]:
    """Contents of the sections by name, without those that hold nothing in the file.

    NotElfError when the file is no ELF file, or its tables lie outside it.
    """
    if data[:6] != b"\x7fELF\x02\x01":
        raise NotElfError("no 64-bit little-endian ELF file")
    try:
        headers = list(_headers(data))
        names = headers[NAME_INDEX.unpack_from(data, NAME_INDEX_OFFSET)[0]]
        return {
            _text(data, names[4] + name): data[offset : offset + size]
            for name, kind, _flags, _address, offset, size in headers
            if kind not in (SHT_NULL, SHT_NOBITS)
        }
    except (struct.error, IndexError, ValueError) as error:
        raise NotElfError("its section table lies outside the file") from error


def _headers(data: bytes) -> Iterator[tuple[int, ...]]:
    (start,) = struct.unpack_from("<Q", data, SECTION_TABLE_OFFSET)
    entry_bytes, count = struct.unpack_from("<HH", data, SECTION_SIZES_OFFSET)
    for index in range(count):
        yield SECTION_HEADER.unpack_from(data, start + index * entry_bytes)


def _text(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    return data[offset : end if end >= 0 else len(data)].decode()


SECTION_HEADER = struct.Struct("<IIQQQQ")
"""sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size."""
SECTION_TABLE_OFFSET, SECTION_SIZES_OFFSET = 0x28, 0x3A
"""e_shoff; e_shentsize and e_shnum."""
NAME_INDEX, NAME_INDEX_OFFSET = struct.Struct("<H"), 0x3E
SHT_NULL, SHT_NOBITS = 0, 8
DT_NEEDED = 1
