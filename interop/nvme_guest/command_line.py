"""Play the table of nvme-cli's commands, in one shell of the guest, and look at what each of them printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from interop.guest.agent import Result
from interop.nvme_guest.commands import FUNCTIONS, ROWS, Row
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN
from interop.outcome import DisagreementError


def command_line(stage: Stage) -> str:
    """Every row of the table, in order."""
    with stage.target(str(stage.image())) as target:
        disk = stage.kernel.connect(stage.fabric)
        names = {"disk": disk, "controller": "/dev/nvme0", "target": stage.fabric.place(target.address), "nqn": NQN}
        output = stage.kernel.run(script(ROWS, names), seconds=SECONDS)
        problems = [
            problem
            for row, result in zip(ROWS, results(output, len(ROWS)), strict=True)
            for problem in complaints(row, result, names)
        ]
    if problems:
        raise DisagreementError("\n".join(problems))
    return f"{len(ROWS)} commands of nvme-cli print what they must"


def script(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    """The rows as one shell script, whose output `results` takes apart."""
    lines = [f"{{ {filled(row.command, names)}\n}} 2>&1; echo {shlex.quote(MARK)} $?" for row in rows]
    return "\n".join(["set +e", filled(FUNCTIONS, names), *lines])


def results(output: str, count: int) -> list[Result]:
    """How each of `count` rows ended; DisagreementError when the shell did not come to its end."""
    parts = re.split(rf"{re.escape(MARK)} (\d+)\n", output)
    found = [Result(int(status), text) for text, status in zip(parts[:-1:2], parts[1::2], strict=True)]
    if len(found) != count:
        raise DisagreementError(f"the shell ended after {len(found)} of {count} commands: {parts[-1][-500:]}")
    return found


def complaints(row: Row, result: Result, names: Mapping[str, str]) -> list[str]:
    """What is wrong with a row's result, in lines for a person; none when nothing is."""
    missing = [text for text in row.prints if not re.search(filled(text, names), result.output, re.MULTILINE)]
    if not missing and result.status == row.status:
        return []
    wanted = "".join(f", no /{text}/" for text in missing)
    first = f"{filled(row.command, names)}: status {result.status}{wanted} in:"
    return [first, *result.output.splitlines()[:OUTPUT_LINES]]


def filled(text: str, names: Mapping[str, str]) -> str:
    """`text` with the names in braces replaced; other braces are the shell's, or a regular expression's."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


MARK = "=== row ended with"
SECONDS = 120
OUTPUT_LINES = 12
