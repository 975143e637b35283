"""What a target has, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from apps.nvme.ctl.asking import Object
from apps.nvme.tables import printable
from apps.sizes import format_size
from transports.control import Json


def everything(answer: Object) -> Iterator[RenderableType]:
    """Ports, then each subsystem with its namespaces and controllers, then the discovery service's hosts."""
    yield from _ports(rows(answer["ports"]))
    for referral in rows(answer["referrals"]):
        address = f"{referral['host']}:{referral['port']}"
        yield Text(f"hosts are also sent to {referral['nqn']} at {referral['transport']} {address}")
    controllers = rows(answer["controllers"])
    known = []
    for subsystem in rows(answer["subsystems"]):
        known.append(subsystem["nqn"])
        yield Text(f"\n{_subsystem_words(subsystem)}", style="bold")
        yield from _namespaces(rows(subsystem["namespaces"]))
        yield from _controllers([each for each in controllers if each["subsystem"] == subsystem["nqn"]])
    watching = [each for each in controllers if each["subsystem"] not in known]
    if watching:
        yield Text("\nthe discovery service", style="bold")
        yield from _controllers(watching)


def reserved(answer: Object) -> Iterator[RenderableType]:
    """Each namespace's registrants."""
    found = [each for each in rows(answer["namespaces"]) if each["registrants"]]
    if not found:
        yield Text("nobody has registered")
        return
    table = Table("namespace", "reservation", "host ID", "key", "holds", Column("host", overflow="fold"))
    for each in found:
        registrants, hosts = each["registrants"], each["hosts"]
        assert isinstance(registrants, dict)
        assert isinstance(hosts, dict)
        for host_id, key in registrants.items():
            holds = bool(each["kind"]) and each["holder"] in ("", host_id)
            assert isinstance(key, int)
            kind = f"{each['kind'] or 'none'}{', persistent' if each['is_persistent'] else ''}"
            name = str(hosts.get(host_id, "not connected"))
            table.add_row(*_texts(each["nsid"], kind, host_id, f"{key:#x}", "yes" if holds else "", name))
    yield table


def rows(found: Json) -> list[Object]:
    """A list of objects."""
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _ports(found: Sequence[Object]) -> Iterator[RenderableType]:
    if not found:
        yield Text("no port: nobody can connect")
        return
    table = Table("port", "transport", "address", Column("serves", overflow="fold"))
    for port in found:
        table.add_row(*_texts(port["portid"], port["transport"], port["address"], _names(port["serves"], "all")))
    yield table


def _subsystem_words(subsystem: Object) -> str:
    states = subsystem["ana"]
    assert isinstance(states, dict)
    groups = ", ".join(f"{group} {state}" for group, state in states.items())
    folders = subsystem["directories"]
    assert isinstance(folders, list)
    parts = [
        f"subsystem {subsystem['nqn']}",
        f"{subsystem['kind']}, serial {subsystem['serial']}, model {subsystem['model']}",
        f"lets in {_names(subsystem['allowed_hosts'], 'every host')}",
        f"ANA groups: {groups}",
        *([f"folders: {', '.join(map(str, folders))}"] if folders else []),
    ]
    return printable_lines(parts)


def printable_lines(parts: Sequence[str]) -> str:
    """Lines, the first at the margin."""
    return "\n  ".join(printable(part) for part in parts)


def _namespaces(found: Sequence[Object]) -> Iterator[RenderableType]:
    if not found:
        return
    table = Table(
        "NSID", "size", "block", "group", "access", Column("visible to", overflow="fold"),
        Column("store", overflow="fold"), "snapshots", Column("faults", overflow="fold"),
    )  # fmt: skip
    for each in found:
        count, size = each["block_count"], each["block_bytes"]
        assert isinstance(count, int)
        assert isinstance(size, int)
        table.add_row(
            *_texts(
                each["nsid"],
                format_size(count * size),
                f"{size} B",
                each["ana_group"],
                "read-only" if each["is_read_only"] else "read-write",
                _names(each["visible_to"], "all"),
                each["source"],
                _names(each["snapshots"], "-"),
                _names(each["faults"], "-"),
            )
        )
    yield table


def _controllers(found: Sequence[Object]) -> Iterator[RenderableType]:
    if not found:
        return
    table = Table("CNTLID", "state", Column("host", overflow="fold"), "from", "port", "I/O queues", "keep-alive")
    for each in found:
        queues = each["io_queues"]
        assert isinstance(queues, dict)
        kato = f"{each['kato_ms']} ms" if each["kato_ms"] else "-"
        table.add_row(
            *_texts(
                each["cntlid"],
                each["state"],
                each["host_nqn"],
                each["remote"] or "-",
                each["portid"],
                len(queues),
                kato,
            )
        )
    yield table


def _names(names: Json, otherwise: str) -> str:
    return (", ".join(map(str, names)) or "none") if isinstance(names, list) else otherwise


def _texts(*cells: Json) -> list[Text]:
    # What a host says of itself is shown, and does nothing else.
    return [Text(printable(str(cell))) for cell in cells]
