"""A report: one HTML file with its pictures and tables in it, which asks nothing of any network."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence

from apps.lab.figures import show_number, show_value
from apps.lab.pictures.canvas import to_svg
from apps.lab.pictures.run import distributions, over_time
from apps.lab.pictures.slowdowns import slowdowns
from apps.lab.pictures.sweep import sweep_figure
from apps.lab.sweep_file import SweepResult
from apps.lab.tables import slowdown_rows
from stacks.lab.results.keeping import Kept
from stacks.lab.results.record import Table


def run_page(kept: Kept) -> str:
    """The report of one run."""
    record, manifest = kept.record, kept.manifest
    parts = [_heading(kept.title, str(manifest.get("description") or ""))]
    parts.append(_tiles(record.metrics))
    for figure in (over_time(record, "", warmup_ns=kept.warmup_ns), slowdowns(record, ""), distributions(record, "")):
        if figure is not None:
            parts.append(f"<figure>{to_svg(figure)}</figure>")
    flows = record.tables["flows"]
    if "slowdowns" in record.tables:
        parts.append(_table("Slowdowns by flow size", slowdown_rows(record.tables["slowdowns"])))
    elif len(flows["name"]) <= ROWS_MAX:
        parts.append(_table("Flows", _flow_rows(flows)))
    if len(record.tables["links"]["name"]):
        parts.append(_table("Links", _link_rows(record.tables["links"])))
    parts.append(_details("How it was made", manifest))
    return _page(kept.title, parts)


def sweep_page(result: SweepResult, metrics: Sequence[str]) -> str:
    """The report of a sweep: a picture of each metric, and the table."""
    parts = [_heading(result.title, result.description)]
    parts += [f"<figure>{to_svg(sweep_figure(result, [metric]))}</figure>" for metric in metrics]
    rows = []
    for row in result.rows:
        cells = {name.removeprefix("topology."): str(value) for name, value in row.parameters.items()}
        rows.append(cells | dict(show_value(name, row.metrics.get(name)) for name in metrics))
    parts.append(_table(f"{len(rows)} runs", rows))
    return _page(result.title, parts)


def _heading(title: str, description: str) -> str:
    return f"<h1>{html.escape(title)}</h1>" + (f"<p>{html.escape(description)}</p>" if description else "")


def _tiles(metrics: Mapping[str, object]) -> str:
    cells = []
    for name, value in metrics.items():
        text, shown = show_value(name, value)
        cells.append(f"<div><b>{html.escape(shown)}</b><span>{html.escape(text)}</span></div>")
    return f'<section class="tiles">{"".join(cells)}</section>' if cells else ""


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


def _table(title: str, rows: Iterable[Mapping[str, str]]) -> str:
    rows = list(rows)
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(value)}</td>' for value in row.values())}</tr>" for row in rows
    )
    return f'<h2>{html.escape(title)}</h2><div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _details(title: str, document: Mapping[str, object]) -> str:
    text = html.escape(json.dumps(document, indent=2))
    return f"<details><summary>{html.escape(title)}</summary><pre>{text}</pre></details>"


def _page(title: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{CSS}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


ROWS_MAX = 200
CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#22262b;background:#fff;max-width:1060px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:.6rem;margin:1.2rem 0}
.tiles div{background:#f4f6f8;border-radius:8px;padding:.6rem .8rem}.tiles b{display:block;font-size:1.15rem}
.tiles span{color:#5b636d;font-size:.85rem}
figure{margin:1.5rem 0}figure svg{width:100%;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #e6e8eb;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:#5b636d;font-weight:600}
details{margin:2rem 0}pre{background:#f4f6f8;padding:1rem;border-radius:8px;overflow-x:auto;font-size:.8rem}
""".strip()
