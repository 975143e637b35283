"""What processes tell of their devices, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from apps.rdma.looking import Look
from transports.control import Json

Shown = Table | Text


def counter_tables(found: Sequence[Look], *, every: bool) -> Iterator[Shown]:
    """Names and values of each device, without the zeros unless `every`."""
    for look in found:
        devices = look.part("devices")
        if not devices:
            yield Text(f"{look.title} has no RDMA device: what it does goes over TCP")
        for address, values in devices:
            title = f"{look.title}, device {address}"
            if not every and not any(values.values()):
                yield Text(f"{title}: all counters are zero")
                continue
            table = Table("counter", "value", title=title, title_justify="left")
            table.columns[1].justify = "right"
            for name, value in values.items():
                if value or every:
                    table.add_row(name, str(value))
            yield table


def device_tables(found: Sequence[Look]) -> Iterator[Shown]:
    """One row a device."""
    table = Table("process", "device", "GID", "state", "link", "MTU", "QPs", "in states", "fault rules")
    for look in found:
        for address, port in look.part("ports"):
            states = port.get("qp_states")
            words = ", ".join(f"{count} {name}" for name, count in states.items()) if isinstance(states, dict) else ""
            cells = [port.get(name) for name in ("gid", "state", "link_layer", "active_mtu", "qps")]
            table.add_row(look.title, address, *map(cell, cells), words, cell(port.get("fault_rules")))
    yield table


def qp_tables(found: Sequence[Look]) -> Iterator[Shown]:
    """One row a queue pair."""
    for look in found:
        if not look.qps:
            yield Text(f"{look.title}: no queue pairs")
            continue
        title = f"{look.title}: {len(look.qps)} queue pairs"
        table = Table(*HEADINGS, title=title, title_justify="left")
        for column in table.columns[5:]:
            column.justify = "right"
        for qp in look.qps:
            rates = (look.rate(qp, "sent_psns"), look.rate(qp, "received_psns"))
            shown = [cell(qp.get(name)) for name in COLUMNS]
            limit = qp.get("rate_bps")
            table.add_row(
                *shown,
                *("-" if rate is None else f"{rate:,.0f}" for rate in rates),
                f"{limit / 1e6:,.0f}" if isinstance(limit, int | float) else "-",
            )
        yield table


def cell(value: Json) -> str:
    """A value as a table shows it; what is not there as a dash."""
    return "-" if value is None or value == "" else str(value)


COLUMNS = ("device", "number", "type", "state", "peer", "dest_qp", "sq_psn", "rq_psn", "in_flight", "window", "queued",
           "retries", "rnr_retries")  # fmt: skip
HEADINGS = ("device", "QP", "type", "state", "peer", "peer QP", "SQ PSN", "RQ PSN", "in flight", "window", "queued",
            "retries", "RNR", "PSN/s out", "PSN/s in", "Mb/s at most")  # fmt: skip
