"""Rows of a table of shell commands: played in one shell of the guest, each with its own output and status."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interop.guest.agent import Result
from interop.nvme_guest.kernel import Kernel
from interop.outcome import DisagreementError

Names = Mapping[str, str]
"""What stands for a name in braces."""


@dataclass(frozen=True, slots=True)
class Row:
    """A command and what it prints.

    command: a line for the guest's shell. prints: regular expressions, each of which its output matches. status: what
    it ends with.
    """

    command: str
    prints: tuple[str, ...] = ()
    status: int = 0


def fails(command: str, error: str) -> Row:
    """A row for a command of nvme-cli that the controller answers with this error."""
    return Row(command, (f"NVMe status: {error}",), status=1)


def play_rows(kernel: Kernel, rows: Sequence[Row], names: Names, *, functions: str = "", seconds: float = 120) -> None:
    """Run every row, in order; DisagreementError with what each printed that did not print what it must."""
    output = kernel.run(script(rows, names, functions=functions), seconds=seconds)
    found = zip(rows, results(output, len(rows)), strict=True)
    problems = [problem for row, result in found for problem in complaints(row, result, names)]
    if problems:
        raise DisagreementError("\n".join(problems))


def script(rows: Sequence[Row], names: Names, *, functions: str = "") -> str:
    """The rows as one shell script, whose output `results` takes apart. functions: of the shell, for the rows."""
    lines = [f"{{ {filled(row.command, names)}\n}} 2>&1; echo {shlex.quote(MARK)} $?" for row in rows]
    return "\n".join(["set +e", filled(functions, names), *lines])


def results(output: str, count: int) -> list[Result]:
    """How each of `count` rows ended; DisagreementError when the shell did not come to its end."""
    parts = re.split(rf"{re.escape(MARK)} (\d+)\n", output)
    found = [Result(int(status), text) for text, status in zip(parts[:-1:2], parts[1::2], strict=True)]
    if len(found) != count:
        raise DisagreementError(f"the shell ended after {len(found)} of {count} commands: {parts[-1][-500:]}")
    return found


def complaints(row: Row, result: Result, names: Names) -> list[str]:
    """What is wrong with a row's result, in lines for a person; none when nothing is."""
    missing = [text for text in row.prints if not re.search(filled(text, names), result.output, re.MULTILINE)]
    if not missing and result.status == row.status:
        return []
    wanted = "".join(f", no /{text}/" for text in missing)
    first = f"{filled(row.command, names)}: status {result.status}{wanted} in:"
    return [first, *result.output.splitlines()[:OUTPUT_LINES]]


def filled(text: str, names: Names) -> str:
    """`text` with the names in braces replaced; other braces are the shell's, or a regular expression's."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


MARK = "=== row ended with"
OUTPUT_LINES = 12
