"""Reading a discovery log: header, all entries, and the generation again; from the start when it changed meanwhile.

Follows NVMe over Fabrics 1.1 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.nvme.host.command import get_log_page
from stacks.nvme.host.errors import ConnectionFailed
from stacks.nvme.host.script import Steps
from wire.nvme.kinds import AddressFamily, SubsystemType, TransportType
from wire.nvme.logs_codec import DiscoveryEntry, DiscoveryHeader
from wire.nvme.opcodes import LogPage
from wire.nvme.text import padded_text

if TYPE_CHECKING:
    from stacks.nvme.host.controller import HostController


@dataclass(frozen=True, slots=True)
class DiscoveredSubsystem:
    """One entry of a discovery log: a way to a subsystem. Numbers without a name stay numbers.

    flags: EFLAGS, `DiscoveryEntryFlag`s.
    """

    transport: str
    family: str
    kind: str
    nqn: str
    host: str
    port: str
    flags: int = 0

    @property
    def url(self) -> str:
        """The URL that connects to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nvme+{self.transport}://{host}:{self.port}/{self.nqn}"


def read_discovery_log(host: HostController, found: list[DiscoveredSubsystem]) -> Steps:
    """Fill `found` with the entries; a script for a live association with a discovery controller."""
    for _ in range(ATTEMPTS):
        found.clear()
        before = DiscoveryHeader()
        yield from _read(host, before)
        entries = min(before.numrec, ENTRIES_MAX)
        for first in range(0, entries, ENTRIES_AT_ONCE):
            page = memoryview(bytearray(min(entries - first, ENTRIES_AT_ONCE) * DiscoveryEntry.SIZE))
            answer = yield get_log_page(
                LogPage.DISCOVERY, page, offset=DiscoveryHeader.SIZE + first * DiscoveryEntry.SIZE, retain=True
            )
            assert answer is not None
            answer.check("read the discovery log")
            found += [
                _entry(DiscoveryEntry.decode(page, at)) for at in range(0, len(page), DiscoveryEntry.SIZE)
            ]
        after = DiscoveryHeader()
        yield from _read(host, after)
        if after.genctr == before.genctr:
            return
    raise ConnectionFailed("the discovery log changes faster than it can be read")


def _read(_: HostController, header: DiscoveryHeader) -> Steps:
    page = memoryview(bytearray(DiscoveryHeader.SIZE))
    answer = yield get_log_page(LogPage.DISCOVERY, page)
    assert answer is not None
    answer.check("read the discovery log")
    read = DiscoveryHeader.decode(page)
    header.genctr, header.numrec, header.recfmt = read.genctr, read.numrec, read.recfmt


def _entry(entry: DiscoveryEntry) -> DiscoveredSubsystem:
    return DiscoveredSubsystem(
        transport=_name(TransportType, entry.trtype),
        family=_name(AddressFamily, entry.adrfam),
        kind=_name(SubsystemType, entry.subtype),
        nqn=padded_text(entry.subnqn),
        host=padded_text(entry.traddr),
        port=padded_text(entry.trsvcid),
        flags=entry.eflags,
    )


def _name(kind: type[TransportType | AddressFamily | SubsystemType], number: int) -> str:
    names = {member.value: member.name for member in kind}
    return names.get(number, str(number)).lower().replace("_", " ")


ATTEMPTS = 10
ENTRIES_AT_ONCE = 4
"""As nvme-cli; every controller moves 4 KiB with one command."""
ENTRIES_MAX = 4096
"""Entries that are read of a log that claims more: a bound on what a target can make us keep."""
