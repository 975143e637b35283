"""One HTML file with its pictures and tables in it, which asks nothing of any network."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence


def heading(title: str, description: str = "") -> str:
    """The title, and what it is about."""
    return f"<h1>{html.escape(title)}</h1>" + (f"<p>{html.escape(description)}</p>" if description else "")


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """Labels with their values, as tiles."""
    cells = [f"<div><b>{html.escape(shown)}</b><span>{html.escape(text)}</span></div>" for text, shown in values]
    return f'<section class="tiles">{"".join(cells)}</section>' if cells else ""


def figure(svg: str, caption: str = "") -> str:
    """A picture."""
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{svg}{below}</figure>"


def table(title: str, rows: Iterable[Mapping[str, str]]) -> str:
    """A table whose columns are called as in the first row."""
    rows = list(rows)
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return f'<h2>{html.escape(title)}</h2><div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def details(title: str, document: Mapping[str, object]) -> str:
    """A document that is shown when somebody asks for it."""
    text = html.escape(json.dumps(document, indent=2))
    return f"<details><summary>{html.escape(title)}</summary><pre>{text}</pre></details>"


def page(title: str, parts: Sequence[str]) -> str:
    """The whole file."""
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{CSS}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#22262b;background:#fff;max-width:1060px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:.6rem;margin:1.2rem 0}
.tiles div{background:#f4f6f8;border-radius:8px;padding:.6rem .8rem}.tiles b{display:block;font-size:1.15rem}
.tiles span{color:#5b636d;font-size:.85rem}
figure{margin:1.5rem 0}figure svg{width:100%;height:auto}figcaption{color:#5b636d;font-size:.85rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #e6e8eb;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:#5b636d;font-weight:600}
details{margin:2rem 0}pre{background:#f4f6f8;padding:1rem;border-radius:8px;overflow-x:auto;font-size:.8rem}
""".strip()
