"""TOML documents whose mistakes are told with their line, which the standard library's parser forgets.

A document is read whole; a complaint about what a key says then asks where that key stands.
"""

from __future__ import annotations

import re
import tomllib

from stacks.runtime.errors import LocalError


class TomlError(LocalError):
    """A document that is no TOML: `name:line: what`."""

    def __init__(self, name: str, line: int, what: str) -> None:
        super().__init__(f"{name}:{line}: {what}")
        self.line = line
        self.what = what


def parse_toml(text: str, name: str) -> dict[str, object]:
    """The document; TomlError when it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        match = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", words)
        what = words if match is None else words[: match.start()]
        line = int(match[1]) if match is not None and match[1] else len(text.splitlines())
        raise TomlError(name, line, _plain(what)) from error
    except RecursionError as error:
        raise TomlError(name, 1, "brackets are nested too deeply") from error


def _plain(what: str) -> str:
    """What the parser says, in words for whoever wrote the document."""
    for pattern, ours in _WORDS:
        if re.match(pattern, what):
            return re.sub(pattern, ours, what)
    return what[:1].lower() + what[1:]


def table_lines(text: str, table: str) -> list[int]:
    """The lines, from 1, at which the tables of an array `[[table]]` start."""
    start = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
    return [number for number, line in enumerate(text.splitlines(), 1) if start.match(line)]


def key_line(text: str, key: str, start: int = 1) -> int:
    """The line, from 1, that sets `key` in the table that starts at line `start`; `start` when none does."""
    lines = text.splitlines()
    for number in range(start, len(lines) + 1):
        line = lines[number - 1]
        if number > start and re.match(r"\s*\[", line):
            break
        if key and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
            return number
    return start


_WORDS = (
    (r"Cannot declare \('(\w+)',\) twice.*", r"there is a [\1] already; several are each [[\1]]"),
    (r"Cannot declare \(.*\) twice.*", "this table is there already; several are each in [[double brackets]]"),
    (r"Cannot overwrite a value.*", "this key or table is there already; several are each in [[double brackets]]"),
    (r"Illegal character '\\n'.*", "the text that begins here has no closing quote"),
)
"""Words of `tomllib` that say what it does and not what is wrong."""
