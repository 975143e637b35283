"""What the I/O commands have in common: finding their namespace and blocks, and what goes wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.ana_effects import not_reached
from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.reservations.table import may_read
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from wire.nvme.opcodes import NSID_BROADCAST
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def namespace_of(queue: Queue, command: Command, *, changes: bool = True) -> Namespace:
    """The namespace that the command names; CommandError when I/O on it is not possible now.

    changes: whether the command changes it, so that a reservation must let the host write; else read.
    """
    namespace = (queue.writable if changes else queue.readable).get(command.words[1])
    if namespace is None:
        raise not_accessible(queue, command.words[1])
    return namespace


def range_of(queue: Queue, command: Command, *, changes: bool = True) -> tuple[Namespace, int, int]:
    """(namespace, first block, blocks) of the command; changes: whether it needs one that can be written."""
    namespace, words = namespace_of(queue, command, changes=changes), command.words
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
    """Why there is no I/O on that namespace: a reservation, this host has none of that number, or its ANA group is not
    accessible.
    """
    assert queue.controller is not None
    if nsid in queue.namespaces:
        return CommandError(StatusCode.RESERVATION_CONFLICT, f"namespace {nsid} is reserved")
    attachments = queue.controller.attachments
    namespace = attachments.attached.get(nsid)
    if namespace is not None:
        return not_reached(nsid, attachments.state_of(namespace))
    if 1 <= nsid <= NAMESPACES_MAX:
        # An inactive NSID, where those below are invalid (NVMe Base 2.0 3.2.1.3, 3.2.1.4).
        return CommandError(StatusCode.INVALID_FIELD, f"no namespace {nsid}", location=4)
    what = "all namespaces at once" if nsid == NSID_BROADCAST else f"{nsid} is no namespace ID"
    return CommandError(StatusCode.INVALID_NAMESPACE, what, location=4)


def is_gone(queue: Queue, command: Command) -> bool:
    """Whether the namespace went, and perhaps its store, while the host's data came, or the host's right to do this
    to it; then the command has failed.
    """
    nsid, namespace = command.words[1], command.namespace
    if queue.writable.get(nsid) is namespace:
        return False
    if may_read(command.opcode) and queue.readable.get(nsid) is namespace:
        return False
    # One that is there now is another of the same number: the one that the command is for has gone all the same.
    now = queue.namespaces.get(nsid)
    is_other = now is not None and now is not namespace
    code = StatusCode.INVALID_FIELD.value if is_other else not_accessible(queue, nsid).code
    queue.fail(command, code, location=4)
    return True


def is_taken_away(queue: Queue, command: Command, *, dw0: int = 0) -> bool:
    """Whether the namespace of a command that is half done is not the host's any more; then the command has failed.

    A host that may not begin such a command any more may still end this one (NVMe Base 2.0 8.19): the store is there.
    """
    nsid = command.words[1]
    assert queue.controller is not None
    if queue.controller.attachments.attached.get(nsid) is command.namespace:
        return False
    queue.fail(command, StatusCode.INVALID_FIELD.value, location=4, dw0=dw0)
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
    target.tell_store_failure(command.namespace, command.failure, command.trace)
    if command.status == StatusCode.INTERNAL_ERROR:
        target.store_failures += 1
    elif command.status >> 8 == StatusCode.WRITE_FAULT.value >> 8 and command.namespace is not None:
        command.namespace.media_errors += 1
    queue.fail(command, command.status, lba=lba, dw0=dw0)


FUA = 1 << 30
"""Force Unit Access in CDW12."""
