"""Standard output and standard error as a command line needs them: whole lines, and nothing that breaks the work."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console


def prepare_standard_streams() -> None:
    """Put null devices in place of closed standard streams, and have standard output raise OutputClosed.

    Otherwise the next file or socket that is opened gets the number of the stream that is missing, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            os.set_inheritable(opened, True)
            setattr(sys, name, os.fdopen(opened, "r" if number == 0 else "w", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        old = sys.stdout
        encoding, errors, is_line_buffered = old.encoding, old.errors, old.line_buffering
        sys.stdout = StandardOutput(old.detach(), encoding=encoding, errors=errors, line_buffering=is_line_buffered)


class OutputClosed(Exception):  # noqa: N818 (it is nobody's error)
    """Standard output does not take what is printed; the text says why."""


class StandardOutput(io.TextIOWrapper):
    """Standard output that says itself what is wrong with it.

    Libraries take a broken pipe for a reason to leave without a word, and other errors look like those of a file.
    """

    def write(self, text: str) -> int:
        """As of any text file; raises OutputClosed."""
        with output_errors():
            return super().write(text)

    def flush(self) -> None:
        """As of any text file; raises OutputClosed."""
        with output_errors():
            super().flush()


@contextlib.contextmanager
def output_errors() -> Iterator[None]:
    """Turn what the operating system says of standard output into OutputClosed."""
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosed("whoever read the output has stopped, and not all of it was printed") from error
    except OSError as error:
        raise OutputClosed(f"cannot print on standard output: {(error.strerror or str(error)).lower()}") from error


def console(*, stderr: bool = False) -> Console:
    """A console that folds lines at the width of a terminal, and leaves whole what goes into a pipe or file.

    Text is printed as it is, since most of it has names in it that others chose: `:one` is no emoji, `[b]` no style.
    A line of ours that has styles says `markup=True`, and escapes the names.
    """
    found = Console(stderr=stderr, markup=False, emoji=False)
    return found if found.is_terminal else Console(stderr=stderr, width=PIPE_COLUMNS, markup=False, emoji=False)


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they are: neither folded nor coloured, and with their tabs."""
    for line in lines:
        print(line)  # noqa: T201


def print_json(document: object) -> None:
    """One JSON document."""
    console().print_json(data=document)


def announce(say: Callable[[], None]) -> None:
    """Call `say`, which prints; when nobody takes that (any more), the process goes on without a word."""
    try:
        say()
        sys.stdout.flush()
    except OutputClosed:
        discard_output()


def complain(line: str) -> None:
    """One line on standard error, under our name, whatever has become of it."""
    with contextlib.suppress(OSError):
        print(f"baremetal: {line}", file=sys.stderr, flush=True)  # noqa: T201


def discard_output() -> None:
    """Let what is still to be printed vanish, so that the interpreter does not fail on its way out."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


PIPE_COLUMNS = 1000
