"""The one boundary between exceptions and people: a line that says what is wrong and what to do, and an exit status."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, Protocol, runtime_checkable

import typer

from apps.output import OutputClosed, discard_output
from stacks.runtime import StackError
from stacks.runtime.toml_problems import ConfigurationError
from transports.errors import TransportError


class CommandError(Exception):
    """A command cannot do what was asked.

    problem: what is wrong, without a full stop. remedy: what to do about it, or empty. status: the exit status.
    """

    def __init__(self, problem: str, remedy: str = "", *, status: int = 1) -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.status = status


def run(command: Callable[[], object]) -> NoReturn:
    """Run `command` and leave the process with its exit status; every failure is one line on standard error."""
    try:
        result = command()
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the boundary
        sys.exit(report(error))
    if result == INTERRUPTED:
        # Some versions of the command line library swallow the interrupt and return its status.
        sys.exit(report(KeyboardInterrupt()))
    sys.exit(result if isinstance(result, int) else 0)


def report(error: BaseException) -> int:
    """Print `error` as one line on standard error; returns the exit status.

    An exception that nobody foresaw is a fault of ours: BAREMETAL_DEBUG=1 shows where it came from.
    """
    error = first_leaf(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0
    if isinstance(error, OutputClosed):
        discard_output()
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        print("baremetal: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    if os.environ.get("BAREMETAL_DEBUG"):
        traceback.print_exception(error)
    text, status = explain(error)
    for line in mistakes(error) or [text]:
        print(f"baremetal: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    return status


def mistakes(error: BaseException) -> list[str]:
    """A line for each mistake in a configuration that has several; of many, the first ones and how many there are."""
    lines = error.lines if isinstance(error, ConfigurationError) else []
    if len(lines) <= MISTAKES_MAX:
        return lines
    return [*lines[:MISTAKES_MAX], f"and {len(lines) - MISTAKES_MAX} more mistakes"]


def explain(error: BaseException) -> tuple[str, int]:
    """The line for `error`, and the exit status."""
    if isinstance(error, CommandError):
        return str(error), error.status
    if isinstance(error, UsageError):
        problem = plain(error.format_message().rstrip(".")) or "name a command"
        return f"{problem}; --help tells how the command is used", USAGE
    if isinstance(error, StackError | TransportError):
        return str(error), 1
    if isinstance(error, OSError):
        return explain_os_error(error), 1
    if isinstance(error, OutputClosed):
        return str(error), 1
    if isinstance(error, MemoryError):
        return "not enough memory; ask for less, or serve a file instead of mem:", 1
    kind = type(error).__name__
    return f"this is a fault in baremetal ({kind}: {error}); BAREMETAL_DEBUG=1 shows where it comes from", 70


def plain(words: str) -> str:
    """What the command line library says of an argument, without the words of what it is made with."""
    for pattern, ours in LIBRARY_WORDS:
        words = re.sub(pattern, ours, words)
    return words


def explain_os_error(error: OSError) -> str:
    """What the operating system refused, on which file, and what to do where that is known."""
    if isinstance(error, IsADirectoryError) and error.filename:
        return f"{error.filename} is a directory; name the file"
    where = f"{error.filename}: " if error.filename else ""
    what = (error.strerror or str(error)).lower() if error.errno else str(error)
    remedy = REMEDIES.get(error.errno or 0, "")
    return f"{where}{what}; {remedy}" if remedy else f"{where}{what}"


def first_leaf(error: BaseException) -> BaseException:
    """The exception inside nested groups that a person should hear of: the first, an interrupt before all others."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [first_leaf(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, KeyboardInterrupt)), leaves[0])


@runtime_checkable
class UsageError(Protocol):
    """What the command line library raises for bad arguments; its class has lived under several names."""

    exit_code: int

    def format_message(self) -> str:
        """What is wrong with the arguments."""


MISTAKES_MAX = 10
"""So many mistakes have a line each."""
INTERRUPTED = 130
USAGE = 2
LIBRARY_WORDS = (
    (r"^Invalid value: ", ""),
    (r"Value error, ", ""),
    (r"Input should be a valid integer.*", "this is no whole number"),
    (r"Input should be a valid number.*", "this is no number"),
    (r"Input should be less than or equal to (\S+)", r"\1 is the most"),
    (r"Input should be greater than or equal to (\S+)", r"\1 is the least"),
)
REMEDIES = {
    errno.ENOSPC: "free some space, or choose another place (--output, --directory or file)",
    errno.EDQUOT: "your disk quota is used up; free some space",
    errno.ENOENT: "check the path",
    errno.EACCES: "check the permissions, or choose another path",
    errno.EROFS: "choose a path that can be written",
    errno.EADDRNOTAVAIL: "use an address of this machine, such as 127.0.0.2",
    errno.EADDRINUSE: "stop the other process, or use another address, such as 127.0.0.3",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENETUNREACH: "check the address and the routes",
    errno.EHOSTUNREACH: "check the address and the routes",
}
