"""What a target serves, from the words on its command line, with advice where a file does not suit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from apps.errors import CommandError
from apps.output import complain
from apps.sizes import parse_some
from stacks.nvme.stores import Store, open_store
from stacks.nvme.stores.specification import is_image
from stacks.nvme.target.namespace import Namespace


def parse_source(text: str) -> str:
    """What `open_store` takes; typer.BadParameter for a size that is none."""
    if text.startswith("mem:"):
        parse_some(text.removeprefix("mem:"))
    return text


def open_source(text: str, *, block_bytes: int) -> Store:
    """The store that `text` names. CommandError with advice, or LocalError, for what cannot be served."""
    if text.startswith("mem:"):
        size = parse_some(text.removeprefix("mem:"))
        if size % block_bytes:
            problem = f"{text}: {size} bytes are no whole number of blocks of {block_bytes}"
            raise CommandError(problem, "choose another size or --block-size", status=2)
        return open_store(text, block_bytes=block_bytes)
    if not is_image(text):
        return open_store(text, block_bytes=block_bytes)
    path = text.removeprefix("file:")
    check_image(path, block_bytes)
    return open_store(text, block_bytes=block_bytes)


def check_image(path: str, block_bytes: int) -> None:
    """CommandError, with the command that mends it, for a path that cannot be an image."""
    try:
        size = Path(path).stat().st_size
    except FileNotFoundError as error:
        raise CommandError(f"{path}: no such file", f"make one: truncate -s 1G {path}") from error
    except OSError as error:
        raise CommandError(f"{path}: {(error.strerror or str(error)).lower()}", "check the path") from error
    if Path(path).is_dir():
        raise CommandError(f"{path} is a directory", "name an image file, or make one: truncate -s 1G disk.img")
    if Path(path).is_file() and not size:
        raise CommandError(f"{path} is empty", f"give it a size: truncate -s 1G {path}")
    if Path(path).is_file() and size % block_bytes:
        raise CommandError(
            f"{path} has {size} bytes, no whole number of blocks of {block_bytes}",
            f"round it up: truncate -s %{block_bytes} {path}",
        )


def check_each_once(sources: Sequence[str]) -> None:
    """CommandError when the same file is there twice, under whatever name."""
    seen: dict[str, str] = {}
    for text in sources:
        if not is_image(text):
            continue
        real = str(Path(text.removeprefix("file:")).resolve())
        if real in seen:
            also = "" if seen[real] == text else f" (as {seen[real]}, too)"
            raise CommandError(f"{text} is given twice{also}", "an image can be one namespace only", status=2)
        seen[real] = text


def failure_reporter(names: Sequence[str]) -> Callable[[Namespace, str], None]:
    """What says on standard error, once for each namespace and reason, that a store failed.

    The initiator only gets a status; who runs the target is the one who can do something about it.
    names: of the sources, from namespace 1 on.
    """
    said: set[tuple[int, str]] = set()

    def report(namespace: Namespace, failure: str) -> None:
        if len(said) < REPORTS_MAX and (namespace.nsid, failure) not in said:
            said.add((namespace.nsid, failure))
            complain(f"{names[namespace.nsid - 1]}: {failure}; commands of initiators fail with that")

    return report


REPORTS_MAX = 100
