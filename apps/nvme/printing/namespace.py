"""`id-ns`: the Identify Namespace structure."""

from __future__ import annotations

from collections.abc import Iterator

from apps.nvme.printing.fields import bits, lines, number, octets, table, wide
from apps.nvme.printing.values import hexadecimal
from wire.nvme.identify_codec import IdentifyNamespace, LbaFormat


def namespace_lines(data: IdentifyNamespace, nsid: int) -> Iterator[str]:
    """Everything but what vendors define."""
    yield f"NVME Identify Namespace {nsid}:"
    yield from lines(data, SIZES, width=8)
    # What suits the medium is there when a bit says so.
    if data.nsfeat & OPTIMAL:
        shown = [field for field in OPTIMA if field[0] != "npdg" or data.nsfeat & OPTIMAL_DEALLOCATION]
        yield from lines(data, shown, width=8)
    yield from lines(data, LIMITS, width=8)
    yield f"nsattr\t: {data.nsattr}"
    yield from lines(data, IDENTIFIERS, width=8)
    for index, layout in enumerate(formats(data)):
        use = "(in use)" if index == format_in_use(data) else ""
        yield f"lbaf {index:2} : ms:{layout.ms:<3} lbads:{layout.lbads:<2} rp:{hexadecimal(layout.rp)} {use}"


def formats(data: IdentifyNamespace) -> list[LbaFormat]:
    """The formats of blocks that the namespace can have."""
    return [LbaFormat.decode(data.lbaf, index * LbaFormat.SIZE) for index in range(data.nlbaf + data.nulbaf + 1)]


def format_in_use(data: IdentifyNamespace) -> int:
    """The number of the format that it has; bits 6-5 of FLBAS are the upper ones."""
    return data.flbas & 0xF | data.flbas >> 1 & 0x30


SIZES = [
    *table(bits, "nsze ncap nuse nsfeat"),
    *table(number, "nlbaf"),
    *table(bits, "flbas mc dpc dps nmic rescap fpi"),
    *table(number, "dlfeat nawun nawupf nacwu nabsn nabo nabspf noiob"),
    *table(wide, "nvmcap"),
]
OPTIMA = table(number, "npwg npwa npdg npda nows")
LIMITS = table(number, "mssrl mcl msrc nulbaf anagrpid")
IDENTIFIERS = [*table(number, "nvmsetid endgid"), *table(octets, "nguid eui64")]
OPTIMAL = 0x30
OPTIMAL_DEALLOCATION = 0x10
