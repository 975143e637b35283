"""What the I/O commands have in common: finding their namespace and blocks, and what goes wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.namespace import Namespace
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import NSID_BROADCAST
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def namespace_of(queue: Queue, command: Command) -> Namespace:
    """The namespace that the command names; CommandError when I/O on it is not possible now."""
    namespace = queue.namespaces.get(command.words[1])
    if namespace is None:
        raise not_accessible(queue, command.words[1])
    return namespace


def range_of(queue: Queue, command: Command, *, changes: bool = True) -> tuple[Namespace, int, int]:
    """(namespace, first block, blocks) of the command; changes: whether it needs one that can be written."""
    namespace, words = namespace_of(queue, command), command.words
    block, blocks = words[10] | words[11] << 32, (words[12] & 0xFFFF) + 1
    if block + blocks > namespace.plain_blocks:
        check_readable(namespace, block, blocks, is_read=not changes)
    return writable(namespace) if changes else namespace, block, blocks


def check_readable(
    namespace: Namespace, block: int, blocks: int, *, location: int | None = 40, is_read: bool = True
) -> None:
    """CommandError for blocks past the end, and for a read of those that Write Uncorrectable has marked.

    location: byte of the submission entry that says which blocks.
    """
    if block + blocks > namespace.block_count:
        raise CommandError(StatusCode.LBA_OUT_OF_RANGE, "past the end", location=location)
    bad = namespace.first_uncorrectable(block, blocks) if is_read else None
    if bad is not None:
        namespace.media_errors += 1
        raise CommandError(StatusCode.UNRECOVERED_READ_ERROR, f"block {bad} is marked uncorrectable", lba=bad)


def writable(namespace: Namespace) -> Namespace:
    """The namespace itself; CommandError when it is write protected."""
    if namespace.store.is_read_only:
        raise CommandError(StatusCode.NAMESPACE_WRITE_PROTECTED, "read-only namespace", location=4)
    return namespace


def not_accessible(queue: Queue, nsid: int) -> CommandError:
    """Why there is no I/O on that namespace: it does not exist, or its ANA group is not accessible."""
    assert queue.controller is not None
    subsystem = queue.controller.subsystem
    namespace = subsystem.namespaces.get(nsid)
    if namespace is not None:
        code = _ANA_CODES.get(subsystem.ana_states.get(namespace.ana_group), StatusCode.ANA_TRANSITION)
        return CommandError(code, f"namespace {nsid} is not reached this way")
    what = "all namespaces at once" if nsid == NSID_BROADCAST else f"no namespace {nsid}"
    return CommandError(StatusCode.INVALID_NAMESPACE, what, location=4)


def is_gone(queue: Queue, command: Command) -> bool:
    """Whether the namespace went, and perhaps its store, while the host's data came; then the command has failed."""
    if queue.namespaces.get(command.words[1]) is command.namespace:
        return False
    error = not_accessible(queue, command.words[1])
    queue.fail(command, error.code, location=error.location)
    return True


def is_past_end(queue: Queue, command: Command, blocks: int) -> bool:
    """Whether the namespace has shrunk below the `blocks` that come next; then the command has failed."""
    assert command.namespace is not None
    if command.block + blocks <= command.namespace.block_count:
        return False
    queue.fail(command, StatusCode.LBA_OUT_OF_RANGE.value, location=40)
    return True


def store_failed(queue: Queue, command: Command, *, lba: int | None = None, dw0: int = 0) -> None:
    """End a command with what its store said, count that, and tell the program.

    lba: the block where it failed, None for the command's first.
    """
    target = queue.port.target
    target.last_store_failure = command.failure
    if target.on_store_failure is not None and command.namespace is not None:
        target.on_store_failure(command.namespace, command.failure)
    if command.status == StatusCode.INTERNAL_ERROR:
        target.store_failures += 1
    elif command.status >> 8 == StatusCode.WRITE_FAULT.value >> 8 and command.namespace is not None:
        command.namespace.media_errors += 1
    queue.fail(command, command.status, lba=lba, dw0=dw0)


FUA = 1 << 30
"""Force Unit Access in CDW12."""

_ANA_CODES: dict[AnaState | None, StatusCode] = {
    AnaState.INACCESSIBLE: StatusCode.ANA_INACCESSIBLE,
    AnaState.PERSISTENT_LOSS: StatusCode.ANA_PERSISTENT_LOSS,
    AnaState.CHANGE: StatusCode.ANA_TRANSITION,
}
