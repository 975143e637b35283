"""`effects-log`: log page 05h of the NVM command set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apps.nvme.printing.names import ADMIN_COMMANDS, IO_COMMANDS


def effects_lines(admin: Sequence[int], io: Sequence[int]) -> Iterator[str]:
    """The commands that are supported, of the 256 of each kind; their 32-bit entries as on the wire."""
    yield "NVM Command Set Log Page"
    yield "-" * 80
    yield from _segment("Admin Commands", admin, range(0xC0), is_admin=True)
    yield from _segment("Vendor Specific Admin Commands", admin, range(0xC0, 0x100), is_admin=True)
    yield from _segment("I/O Commands", io, range(0x80), is_admin=False)
    yield from _segment("Vendor Specific I/O Commands", io, range(0x80, 0x100), is_admin=False)


def _segment(title: str, entries: Sequence[int], opcodes: range, *, is_admin: bool) -> Iterator[str]:
    supported = [opcode for opcode in opcodes if entries[opcode] & 1]
    if not supported:
        return
    yield title
    for opcode in supported:
        start = f"ACS{opcode:<6}" if is_admin else f"IOCS{opcode:<5}"
        name = (ADMIN_COMMANDS if is_admin else IO_COMMANDS).get(opcode, "Unknown")
        yield f"{start}[{name:<32}] {entries[opcode]:08x}"
    yield ""
