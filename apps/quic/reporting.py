"""What `quic get` says at the end, and while it works."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from apps.output import console
from apps.quic.fetching import Fetch
from apps.quic.getting import Origin
from apps.sizes import format_amount, format_duration, format_rate
from stacks.quic.configuration import VERSION_2
from transports.control import Json


@contextlib.contextmanager
def progress_bar(*, is_hidden: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that is there while bytes come; gives what is called with their number."""
    columns = (TextColumn("get"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    errors = console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=is_hidden or not errors.is_terminal) as bar:
        task = bar.add_task("get", total=None)
        yield lambda moved: bar.advance(task, moved)


def report(origins: Sequence[Origin], duration_ns: int, *, is_text_on_stderr: bool) -> None:
    """Lines for people: each file, or how many there were, and each connection that was more than a plain one."""
    out = console(stderr=is_text_on_stderr)
    fetches = [fetch for origin in origins for fetch in origin.fetches]
    done = [fetch for fetch in fetches if not fetch.problem]
    for fetch in done[:LINES]:
        out.print(
            f"{fetch.path}  {format_amount(fetch.size_bytes)} at {format_rate(fetch.size_bytes, _took_ns(fetch))}",
            soft_wrap=True,
            highlight=False,
        )
    if len(fetches) > 1:
        total = sum(fetch.size_bytes for fetch in done)
        out.print(
            f"{len(done)} of {len(fetches)} files, {format_amount(total)} in {format_duration(duration_ns)}"
            f" at {format_rate(total, duration_ns)}",
            soft_wrap=True,
            highlight=False,
        )
    for origin in origins:
        if not origin.fetcher.connected_ns:
            continue
        out.print(_connection_line(origin), soft_wrap=True, highlight=False)


def document(origins: Sequence[Origin], duration_ns: int, cpu_ns: int) -> dict[str, Json]:
    """The same, and more, as JSON. cpu_ns: processor time meanwhile."""
    fetches = [fetch for origin in origins for fetch in origin.fetches]
    total = sum(fetch.size_bytes for fetch in fetches if not fetch.problem)
    return {
        "bytes": total,
        "duration_ns": duration_ns,
        "cpu_ns": cpu_ns,
        "mb_per_s": round(1e3 * total / max(1, duration_ns), 1),
        "files": [_fetch_json(fetch) for fetch in fetches],
        "connections": [_connection_json(origin) for origin in origins],
    }


def _fetch_json(fetch: Fetch) -> dict[str, Json]:
    return {
        "url": str(fetch.url),
        "file": str(fetch.path),
        "status": fetch.status,
        "bytes": fetch.size_bytes,
        "duration_ns": _took_ns(fetch),
        "problem": fetch.problem,
    }


def _connection_json(origin: Origin) -> dict[str, Json]:
    connection, fetcher = origin.connection, origin.fetcher
    return {
        "origin": origin.url.origin,
        "remote": list(origin.remote),
        "version": 2 if connection.version == VERSION_2 else 1,
        "alpn": connection.tls.alpn,
        "is_resumed": connection.tls.is_resumed,
        "is_early_data_accepted": connection.tls.is_early_data_accepted,
        "handshake_ns": max(0, fetcher.connected_ns - fetcher.started_ns) if fetcher.connected_ns else 0,
        "counters": {**connection.counters.snapshot()},
    }


def _connection_line(origin: Origin) -> str:
    connection, fetcher = origin.connection, origin.fetcher
    words = [f"QUIC version {2 if connection.version == VERSION_2 else 1}", connection.tls.alpn]
    if connection.tls.is_resumed:
        words.append("resumed, 0-RTT accepted" if connection.tls.is_early_data_accepted else "resumed")
    if connection.counters.key_updates:
        words.append("keys updated")
    words.append(f"handshake {format_duration(fetcher.connected_ns - fetcher.started_ns)}")
    return f"{origin.url.origin}: {', '.join(word for word in words if word)}"


def _took_ns(fetch: Fetch) -> int:
    return max(0, fetch.ended_ns - fetch.started_ns) if fetch.ended_ns else 0


LINES = 20
"""Of many files, so many have a line each."""
