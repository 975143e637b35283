"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table as RichTable

from apps.lab.figures import show_value
from apps.pictures.numbers import show_number
from stacks.lab.results.record import Record, Table


def show_record(record: Record, out: Console, *, title: str, warmup_ns: int = 0) -> None:
    """The flows, the links, and the metrics of the whole. warmup_ns: what none of them counts."""
    out.print(title, style="bold")
    if not record.is_valid:
        out.print(f"NOT VALID: {record.facts.get('reason')}", style="bold red", soft_wrap=True)
    if warmup_ns:
        out.print(f"all after the warm-up of {show_number('ns', warmup_ns)}; delays are one-way")
    if "slowdowns" in record.tables:
        out.print(slowdown_table(record.tables["slowdowns"]))
    else:
        out.print(flows_table(record.tables["flows"]))
    if len(record.tables["links"]["name"]):
        out.print(_links(record.tables["links"]))
    if record.metrics:
        out.print(metrics_table(record.metrics))
    if record.facts:
        out.print(lateness_of(record), soft_wrap=True)


def lateness_of(record: Record) -> str:
    """One line: of a run in real time, how late its link and its flows were, and whether it counts."""
    facts = record.facts
    figures = []
    for what, key in (("link", "link_lateness"), ("flows", "flows_lateness")):
        found = facts.get(key)
        part = found.get("departure", found) if isinstance(found, dict) else {}
        times = ", ".join(f"{name} {show_number('ns', part.get(f'{name}_ns', -1))}" for name in ("p50", "p99", "max"))
        figures.append(f"{what} late by {times}")
    verdict = "valid" if record.is_valid else f"NOT VALID: {facts.get('reason')}"
    return f"in real time: {'; '.join(figures)}: {verdict}"


def flows_table(flows: Table) -> RichTable:
    """A line for each flow, or for each group where they are many."""
    table = RichTable("flow", "controller", "goodput", "delay 50 %", "95 %", "lost", "completed in")
    groups = list(dict.fromkeys(flows["group"]))
    rows = range(len(flows["name"])) if len(flows["name"]) <= FLOWS_MAX else None
    if rows is None:
        for group in groups:
            members = [index for index, each in enumerate(flows["group"]) if each == group]
            _add(table, flows, members, f"{group} x {len(members)}")
    else:
        for row in rows:
            _add(table, flows, [row], str(flows["name"][row]))
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def slowdown_table(slowdowns: Table) -> RichTable:
    """Of a leaf-spine: a line for each bin of flow sizes."""
    table = RichTable("workload", "flows up to", "flows", "slowdown 50 %", "95 %", "99 %")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in slowdown_rows(slowdowns):
        table.add_row(*row.values())
    return table


def slowdown_rows(slowdowns: Table) -> Iterator[dict[str, str]]:
    """The same as text, for any table."""
    for row in range(len(slowdowns["group"])):
        keys = ("high_bytes", "flows", "p50_milli", "p95_milli", "p99_milli")
        values = {key: int(slowdowns[key][row]) for key in keys}
        yield {
            "workload": str(slowdowns["group"][row]),
            "flows up to": show_number("bytes", values["high_bytes"]),
            "flows": f"{values['flows']:,}",
            **{f"slowdown {key[1:3]} %": f"{values[key] / 1000:.2f}" for key in keys[2:]},
        }


def metrics_table(metrics: Mapping[str, object]) -> RichTable:
    """A line for each metric."""
    table = RichTable("metric", "value")
    table.columns[1].justify = "right"
    for name, value in metrics.items():
        label, shown = show_value(name, value)
        table.add_row(label, shown)
    return table


def _add(table: RichTable, flows: Table, rows: list[int], name: str) -> None:
    def average(key: str) -> int:
        values = [int(flows[key][row]) for row in rows if int(flows[key][row]) >= 0]
        return sum(values) // len(values) if values else -1

    sent = sum(int(flows["sent_packets"][row]) for row in rows)
    lost = sum(int(flows["lost_packets"][row]) for row in rows)
    table.add_row(
        name,
        str(flows["controller"][rows[0]]).rpartition("/")[2],
        show_number("bps", average("goodput_bps")),
        show_number("ns", average("delay_p50_ns")),
        show_number("ns", average("delay_p95_ns")),
        f"{100 * lost / sent:.2f} %" if sent > 0 <= lost else "-",
        show_number("ns", average("completion_ns")),
    )


def _links(links: Table) -> RichTable:
    table = RichTable("link", "rate", "buffer", "sent", "dropped", "lost", "marked", "queue mean", "queue 95 %")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in range(len(links["name"])):
        rate = int(links["rate_bps"][row])
        table.add_row(
            str(links["name"][row]),
            show_number("bps", rate),
            show_number("bytes", int(links["limit_bytes"][row])),
            f"{int(links['sent_packets'][row]):,}",
            f"{int(links['dropped_packets'][row]):,}",
            f"{int(links['lost_packets'][row]):,}",
            f"{int(links['marked_packets'][row]):,}",
            *(_backlog(int(links[key][row]), rate) for key in ("backlog_mean_bytes", "backlog_p95_bytes")),
        )
    return table


def _backlog(backlog_bytes: int, rate_bps: int) -> str:
    if backlog_bytes < 0:
        return "-"
    return show_number("ns", backlog_bytes * 8_000_000_000 // rate_bps)


FLOWS_MAX = 20
"""Up to so many flows have a line each."""
