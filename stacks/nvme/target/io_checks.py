"""What the I/O commands have in common: finding their namespace and blocks, and what goes wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.reservations.table import may_read
from wire.nvme.kinds import AnaState
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
    if block + blocks > namespace.block_count:
        raise CommandError(StatusCode.LBA_OUT_OF_RANGE, "past the end", location=40)
    return writable(namespace) if changes else namespace, block, blocks


def writable(namespace: Namespace) -> Namespace:
    """The namespace itself; CommandError when it is write protected."""
    if namespace.store.is_read_only:
        raise CommandError(StatusCode.NAMESPACE_WRITE_PROTECTED, "read-only namespace", location=4)
    return namespace


def not_accessible(queue: Queue, nsid: int) -> CommandError:
    """Why there is no I/O on that namespace: a reservation, none of that number, or an ANA group not accessible."""
    assert queue.controller is not None
    subsystem = queue.controller.subsystem
    if nsid in queue.namespaces:
        return CommandError(StatusCode.RESERVATION_CONFLICT, f"namespace {nsid} is reserved")
    namespace = subsystem.namespaces.get(nsid)
    if namespace is not None:
        code = _ANA_CODES.get(subsystem.ana_states.get(namespace.ana_group), StatusCode.ANA_TRANSITION)
        return CommandError(code, f"namespace {nsid} is not reached this way")
    what = "all namespaces at once" if nsid == NSID_BROADCAST else f"no namespace {nsid}"
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
    error = not_accessible(queue, command.words[1])
    queue.fail(command, error.code, location=error.location)
    return True


def store_failed(queue: Queue, command: Command) -> None:
    """End a command with what its store said, count that, and tell the program."""
    target = queue.port.target
    target.tell_store_failure(command.namespace, command.failure)
    if command.status == StatusCode.INTERNAL_ERROR:
        target.store_failures += 1
    elif command.status >> 8 == StatusCode.WRITE_FAULT.value >> 8 and command.namespace is not None:
        command.namespace.media_errors += 1
    queue.fail(command, command.status)


_ANA_CODES: dict[AnaState | None, StatusCode] = {
    AnaState.INACCESSIBLE: StatusCode.ANA_INACCESSIBLE,
    AnaState.PERSISTENT_LOSS: StatusCode.ANA_PERSISTENT_LOSS,
    AnaState.CHANGE: StatusCode.ANA_TRANSITION,
}
