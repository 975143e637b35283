"""A store from the words a person types: `mem:1GiB` or a path."""

from __future__ import annotations

import re

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.file import open_image
from stacks.nvme.stores.memory import MemoryStore
from stacks.nvme.stores.read_only import ReadOnlyStore
from stacks.runtime import LocalError


def open_store(text: str, *, block_bytes: int = 4096, is_read_only: bool = False) -> Store:
    """The store that `text` names: `mem:SIZE`, or the path of an image file (`file:PATH` for odd names); `ro:` before
    anything makes it read-only.

    Raises LocalError with one line for a person.
    """
    if text.startswith("ro:"):
        return open_store(text.removeprefix("ro:"), block_bytes=block_bytes, is_read_only=True)
    if text.startswith("mem:"):
        memory = MemoryStore(parse_size(text.removeprefix("mem:")), block_bytes=block_bytes)
        return ReadOnlyStore(memory) if is_read_only else memory
    return open_image(text.removeprefix("file:"), block_bytes=block_bytes, is_read_only=is_read_only)


def parse_size(text: str) -> int:
    """Bytes of a size as people write it: 4096, 4k, 128KiB, 1GiB, 1.5T.

    Powers of 1024, except with a B and no i (1GB is 10^9). Raises LocalError for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(i?b)?", text.strip().lower())
    if match is None:
        raise LocalError(f"{text!r} is not a size; write 4096, 4k, 512MiB or 1GiB")
    number, prefix, unit = match.groups()
    base = 1000 if prefix and unit == "b" else 1024
    size = float(number) * base ** (" kmgtp".index(prefix) if prefix else 0)
    if size != int(size):
        raise LocalError(f"{text!r} is not a whole number of bytes")
    return int(size)
