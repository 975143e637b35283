"""A file as the events in it, one after the other; the kind of file is seen from how it begins."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from apps.errors import CommandError
from apps.quic.plot.json_stream import JsonError, JsonStream

Document = dict[str, Any]


@dataclass(slots=True)
class TraceFile:
    """What is told of the file besides its events. notes: what people should know, as of a cut off record."""

    path: Path
    version: str = ""
    notes: list[str] = field(default_factory=list)
    spoilt: int = 0
    first_spoilt: int = 0

    def spoil(self, number: int) -> None:
        """Event `number`, counted from 1, is not as it should be."""
        self.first_spoilt = self.first_spoilt or number
        self.spoilt += 1


@dataclass(slots=True)
class TraceHeader:
    """What is said once for all events of a trace. index: of the trace in its file, from 0."""

    index: int
    vantage: str = ""
    common: Document = field(default_factory=dict)
    title: str = ""


Handler = Callable[[TraceHeader, Document], object]
"""Is given each event with the header of its trace; of the header what was read so far."""


def read_trace(path: Path, handle: Handler) -> TraceFile:
    """Read a file from its front to its end; what is cut off or spoilt in it is told in notes.

    CommandError for what is no qlog at all; OSError as of any file.
    """
    found = TraceFile(path)
    with path.open("rb") as raw:
        begin = raw.read(2)
        raw.seek(0)
        if not begin:
            raise CommandError(f"{path} is empty", "name a qlog file (.qlog, .sqlog)", status=2)
        unzipped = _Unzipped(raw) if begin == GZIP else None
        source = raw if unzipped is None else io.BufferedReader(unzipped)
        text = io.TextIOWrapper(source, encoding="utf-8", errors="replace", newline="\n")
        _read(text, found, handle)
    if unzipped is not None and unzipped.problem:
        found.notes.append(f"the compressed file is cut off or spoilt ({unzipped.problem}); what came before is drawn")
    if found.spoilt:
        found.notes.append(
            f"{found.spoilt} events could not be read, event {found.first_spoilt} first; the others are drawn"
        )
    return found


def _read(text: IO[str], found: TraceFile, handle: Handler) -> None:
    stream = JsonStream(text)
    begin = stream.peek()
    if begin != "{":
        raise _no_qlog(found, "it does not begin with a JSON object")
    top: Document = {}
    has_traces = False
    try:
        for key in stream.members():
            if key == "traces":
                _check(top, found)
                has_traces = True
                _read_traces(stream, found, handle)
            else:
                top[key] = stream.value()
    except JsonError as problem:
        if not has_traces and not top.keys() & MARKS:
            raise _no_qlog(found, f"{problem} at character {problem.offset}") from problem
        _note(found, problem)
        return
    if has_traces:
        return
    _check(top, found)
    _read_records(_records(stream.rest(), is_sequence=stream.has_separator), top, found, handle)


def _read_traces(stream: JsonStream, found: TraceFile, handle: Handler) -> None:
    """The traces of one document."""
    for index, _ in enumerate(stream.elements()):
        header = TraceHeader(index)
        for key in stream.members():
            if key != "events":
                _tell(header, key, stream.value())
                continue
            for number, _ in enumerate(stream.elements(), 1):
                event = stream.value()
                try:
                    handle(header, event)
                except MISTAKES:
                    found.spoil(number)


def _read_records(records: Iterator[str], top: Document, found: TraceFile, handle: Handler) -> None:
    """Records behind a header that has the trace's in it."""
    header = TraceHeader(0)
    trace = top.get("trace")
    for key, value in trace.items() if isinstance(trace, dict) else ():
        _tell(header, key, value)
    number = 0
    for number, record in enumerate(records, 1):
        try:
            event = json.loads(record)
        except (ValueError, RecursionError):
            if record.endswith("\n"):
                found.spoil(number)
            else:
                found.notes.append(f"the last record ({number}) is cut off; what is before it is drawn")
            continue
        try:
            handle(header, event)
        except MISTAKES:
            found.spoil(number)


def _records(lines: Iterator[str], *, is_sequence: bool) -> Iterator[str]:
    """Lines, put together where a record has several: up to a separator, or else to a line that opens an object."""
    waiting = ""
    begin = "\x1e" if is_sequence else "{"
    for line in lines:
        if line[0] == begin:
            if waiting:
                yield waiting
            waiting = line.lstrip("\x1e")
        elif not line.isspace():
            waiting += line
    if waiting:
        yield waiting


def _tell(header: TraceHeader, key: str, value: Any) -> None:
    if key == "common_fields" and isinstance(value, dict):
        header.common = value
    elif key == "vantage_point" and isinstance(value, dict):
        header.vantage = str(value.get("type", ""))
    elif key == "title":
        header.title = str(value)


def _check(top: Document, found: TraceFile) -> None:
    """CommandError for a JSON document that is something else."""
    if not top.keys() & MARKS:
        raise _no_qlog(found, "it is JSON without qlog_version or file_schema")
    found.version = str(top.get("qlog_version") or top.get("file_schema"))
    if found.version.startswith(("draft-0", "0.1", "0.2")):
        raise CommandError(f"{found.path} is of qlog {found.version}", REMEDY, status=2)


def _note(found: TraceFile, problem: JsonError) -> None:
    if problem.is_cut:
        found.notes.append(f"the file is cut off after {problem.offset} characters; what is before that is drawn")
    else:
        found.notes.append(f"{problem} at character {problem.offset}; what is before that is drawn")


def _no_qlog(found: TraceFile, why: str) -> CommandError:
    return CommandError(f"{found.path} is no qlog file ({why})", "name a .qlog or .sqlog file", status=2)


class _Unzipped(io.RawIOBase):
    """The content of a gzip file up to where it is cut off or spoilt; problem: that it is."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self.problem = ""
        self._file = gzip.GzipFile(fileobj=raw)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._file.read1(len(buffer))
        except (EOFError, OSError, zlib.error) as error:
            self.problem = str(error)
            return 0
        buffer[: len(data)] = data
        return len(data)


MARKS = {"qlog_version", "qlog_format", "file_schema"}
REMEDY = "0.3 and the drafts after it can be read"
GZIP = b"\x1f\x8b"
MISTAKES = (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError)
"""What an event causes that is not as it should be."""
