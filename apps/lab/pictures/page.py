"""A report: one HTML file with its pictures and tables in it, which asks nothing of any network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from apps.lab.figures import show_value
from apps.lab.pictures.run import distributions, over_time
from apps.lab.pictures.slowdowns import slowdowns
from apps.lab.pictures.sweep import sweep_figure
from apps.lab.sweep_file import SweepResult
from apps.lab.tables import slowdown_rows
from apps.pictures.canvas import to_svg
from apps.pictures.html import details, figure, heading, page, table, tiles
from apps.pictures.numbers import show_number
from stacks.lab.results.keeping import Kept
from stacks.lab.results.record import Table


def run_page(kept: Kept) -> str:
    """The report of one run."""
    record, manifest = kept.record, kept.manifest
    parts = [heading(kept.title, str(manifest.get("description") or ""))]
    parts.append(tiles(show_value(name, value) for name, value in record.metrics.items()))
    for each in (over_time(record, "", warmup_ns=kept.warmup_ns), slowdowns(record, ""), distributions(record, "")):
        if each is not None:
            parts.append(figure(to_svg(each)))
    flows = record.tables["flows"]
    if "slowdowns" in record.tables:
        parts.append(table("Slowdowns by flow size", slowdown_rows(record.tables["slowdowns"])))
    elif len(flows["name"]) <= ROWS_MAX:
        parts.append(table("Flows", _flow_rows(flows)))
    if len(record.tables["links"]["name"]):
        parts.append(table("Links", _link_rows(record.tables["links"])))
    parts.append(details("How it was made", manifest))
    return page(kept.title, parts)


def sweep_page(result: SweepResult, metrics: Sequence[str]) -> str:
    """The report of a sweep: a picture of each metric, and the table."""
    parts = [heading(result.title, result.description)]
    parts += [figure(to_svg(sweep_figure(result, [metric]))) for metric in metrics]
    rows = []
    for row in result.rows:
        cells = {name.removeprefix("topology."): str(value) for name, value in row.parameters.items()}
        rows.append(cells | dict(show_value(name, row.metrics.get(name)) for name in metrics))
    parts.append(table(f"{len(rows)} runs", rows))
    return page(result.title, parts)


def _flow_rows(flows: Table) -> Iterable[Mapping[str, str]]:
    for row in range(len(flows["name"])):
        sent, lost = int(flows["sent_packets"][row]), int(flows["lost_packets"][row])
        yield {
            "flow": str(flows["name"][row]),
            "controller": str(flows["controller"][row]).rpartition("/")[2],
            "goodput": show_number("bps", int(flows["goodput_bps"][row])),
            "RTT without queues": show_number("ns", int(flows["rtt_ns"][row])),
            "delay 50 %": show_number("ns", int(flows["delay_p50_ns"][row])),
            "95 %": show_number("ns", int(flows["delay_p95_ns"][row])),
            "99 %": show_number("ns", int(flows["delay_p99_ns"][row])),
            "lost": f"{100 * lost / sent:.2f} %" if sent else "-",
            "completed in": show_number("ns", int(flows["completion_ns"][row])),
        }


def _link_rows(links: Table) -> Iterable[Mapping[str, str]]:
    for row in range(len(links["name"])):
        yield {
            "link": str(links["name"][row]),
            "rate": show_number("bps", int(links["rate_bps"][row])),
            "buffer": show_number("bytes", int(links["limit_bytes"][row])),
            "packets sent": f"{int(links['sent_packets'][row]):,}",
            "dropped": f"{int(links['dropped_packets'][row]):,}",
            "lost": f"{int(links['lost_packets'][row]):,}",
            "marked": f"{int(links['marked_packets'][row]):,}",
            "queue mean": show_number("bytes", int(links["backlog_mean_bytes"][row])),
            "95 %": show_number("bytes", int(links["backlog_p95_bytes"][row])),
        }


ROWS_MAX = 200
