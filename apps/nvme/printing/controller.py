"""`id-ctrl`: the Identify Controller structure."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from apps.nvme.printing.fields import bits, lines, number, table, text, wide
from wire.header import Header
from wire.nvme.identify_codec import IdentifyController, PowerState


def controller_lines(data: IdentifyController) -> Iterator[str]:
    """Everything but what vendors define."""
    yield "NVME Identify Controller:"
    yield from lines(data, FIELDS, width=10)
    for index in range(data.npss + 1):
        yield from _power_state(index, PowerState.decode(data.psd, index * PowerState.SIZE))


def _power_state(index: int, state: PowerState) -> Iterator[str]:
    is_fine, is_non_operational = state.flags & 1, state.flags & 2
    power = _watts(state.mp, 1 if is_fine else 2)
    kind = "non-operational" if is_non_operational else "operational"
    yield (
        f"ps   {index:4} : mp:{power} {kind} enlat:{state.enlat} exlat:{state.exlat} rrt:{state.rrt} rrl:{state.rrl}"
    )
    idle, active = _watts(state.idlp, state.ips >> 6), _watts(state.actp, state.apw >> 6)
    yield f"            rwt:{state.rwt} rwl:{state.rwl} idle_power:{idle} active_power:{active}"
    yield f"            active_power_workload:{WORKLOADS.get(state.apw & 7, 'reserved')}"


def _watts(power: int, scale: int) -> str:
    # Scale 0: not reported; 1: in 0.0001 W; 2: in 0.01 W.
    if scale == 1:
        return f"{power // 10000}.{power % 10000:04}W"
    if scale == 2:
        return f"{power // 100}.{power % 100:02}W"
    return "reserved" if scale else "-"


def _oui(header: Header, name: str) -> str:
    # The identifier is least significant byte first.
    content: bytes = getattr(header, name)
    return content[::-1].hex()


def _uuid(header: Header, name: str) -> str:
    return str(uuid.UUID(bytes=getattr(header, name)))


FIELDS = [
    *table(bits, "vid ssvid"),
    *table(text, "sn mn fr"),
    *table(number, "rab"),
    *table(_oui, "ieee"),
    *table(bits, "cmic"),
    *table(number, "mdts"),
    *table(bits, "cntlid ver rtd3r rtd3e oaes ctratt rrls"),
    *table(number, "cntrltype"),
    *table(_uuid, "fguid"),
    *table(number, "crdt1 crdt2 crdt3 nvmsr vwci mec"),
    *table(bits, "oacs"),
    *table(number, "acl aerl"),
    *table(bits, "frmw lpa"),
    *table(number, "elpe npss"),
    *table(bits, "avscc apsta"),
    *table(number, "wctemp cctemp mtfa hmpre hmmin"),
    *table(wide, "tnvmcap unvmcap"),
    *table(bits, "rpmbs"),
    *table(number, "edstt dsto fwug kas"),
    *table(bits, "hctma"),
    *table(number, "mntmt mxtmt"),
    *table(bits, "sanicap"),
    *table(number, "hmminds hmmaxd nsetidmax endgidmax anatt anacap anagrpmax nanagrpid pels domainid"),
    *table(wide, "megcap"),
    *table(bits, "tmpthha sqes cqes"),
    *table(number, "maxcmd nn"),
    *table(bits, "oncs fuses fna vwc"),
    *table(number, "awun awupf icsvscc nwpc acwu"),
    *table(bits, "ocfs sgls"),
    *table(number, "mnan"),
    *table(wide, "maxdna"),
    *table(number, "maxcna oaqd"),
    *table(text, "subnqn"),
    *table(number, "ioccsz iorcsz icdoff"),
    *table(bits, "fcatt"),
    *table(number, "msdbd ofcs"),
]
WORKLOADS = {0: "-", 1: "1MiB 32 RW, 30s idle", 2: "80K 128KiB SW"}
