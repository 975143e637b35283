"""What a host may do in the presence of a reservation, as one table.

This is figure "Command Behavior in the Presence of a Reservation" of NVM Express Base 2.0 (8.19) with the groups of
NVM Command Set 1.0 (5.7). The columns of the figure are types of reservation, two by two for hosts that are not
registered and hosts that are; whoever holds the reservation is kept from nothing.
"""

from __future__ import annotations

import enum

from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.reservations import ReservationType


class CommandGroup(enum.Enum):
    """A row of the figure."""

    READ = "read"
    WRITE = "write"
    ACQUIRE = "acquire"
    PREEMPT_OR_RELEASE = "preempt, release"
    OTHER = "other"
    """Register and Report among them."""


class Relation(enum.Enum):
    """What a host is to a reservation."""

    HOLDER = "holder"
    REGISTRANT = "registrant"
    NON_REGISTRANT = "non-registrant"


class Access(enum.IntEnum):
    """What a host may do with the blocks of a namespace: all that a queue has to know of reservations."""

    NONE = 0
    READ = 1
    READ_WRITE = 2


def is_allowed(group: CommandGroup, kind: ReservationType, relation: Relation) -> bool:
    """Whether a command of `group` goes on when a host that is `relation` to a reservation of `kind` sends it."""
    if relation is Relation.HOLDER:
        return True
    is_registered = relation is Relation.REGISTRANT
    return BEHAVIOR[group].split()[2 * _COLUMNS[kind] + is_registered] == "A"


def access_of(kind: ReservationType, relation: Relation) -> Access:
    """What reading and writing come to for such a host."""
    if is_allowed(CommandGroup.WRITE, kind, relation):
        return Access.READ_WRITE
    return Access.READ if is_allowed(CommandGroup.READ, kind, relation) else Access.NONE


def may_read(opcode: int) -> bool:
    """Whether an I/O command with this opcode needs no more than the right to read."""
    return IO_GROUPS.get(opcode) is CommandGroup.READ


# A: allowed, C: Reservation Conflict. Each pair is for a host that is not registered, and for one that is.
BEHAVIOR: dict[CommandGroup, str] = {
    # ............................... WE.... EA.... WE-RO/AR EA-RO/AR
    CommandGroup.READ: ("              A A    C C    A A      C A "),
    CommandGroup.WRITE: ("             C C    C C    C A      C A "),
    CommandGroup.ACQUIRE: ("           C C    C C    C C      C C "),
    CommandGroup.PREEMPT_OR_RELEASE: ("C A    C A    C A      C A "),
    CommandGroup.OTHER: ("             A A    A A    A A      A A "),
}

_COLUMNS: dict[ReservationType, int] = {
    ReservationType.WRITE_EXCLUSIVE: 0,
    ReservationType.EXCLUSIVE_ACCESS: 1,
    ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY: 2,
    ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS: 2,
    ReservationType.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY: 3,
    ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS: 3,
}

IO_GROUPS: dict[int, CommandGroup] = {
    IoOpcode.READ.value: CommandGroup.READ,
    IoOpcode.COMPARE.value: CommandGroup.READ,
    IoOpcode.VERIFY.value: CommandGroup.READ,
    IoOpcode.WRITE.value: CommandGroup.WRITE,
    IoOpcode.WRITE_ZEROES.value: CommandGroup.WRITE,
    IoOpcode.WRITE_UNCORRECTABLE.value: CommandGroup.WRITE,
    IoOpcode.DATASET_MANAGEMENT.value: CommandGroup.WRITE,
    IoOpcode.FLUSH.value: CommandGroup.WRITE,
    # Its destination. The source is read (figure, note 3); where both are one namespace, who may write may read.
    IoOpcode.COPY.value: CommandGroup.WRITE,
    IoOpcode.RESERVATION_REGISTER.value: CommandGroup.OTHER,
    IoOpcode.RESERVATION_REPORT.value: CommandGroup.OTHER,
}
"""Acquire and Release are in groups by what they do, which `rules` knows."""

ADMIN_GROUPS: dict[int, CommandGroup] = {
    AdminOpcode.SECURITY_RECEIVE.value: CommandGroup.READ,
    AdminOpcode.SECURITY_SEND.value: CommandGroup.WRITE,
    AdminOpcode.FORMAT_NVM.value: CommandGroup.WRITE,
    AdminOpcode.SANITIZE.value: CommandGroup.WRITE,
    AdminOpcode.NAMESPACE_MANAGEMENT.value: CommandGroup.WRITE,
    AdminOpcode.NAMESPACE_ATTACHMENT.value: CommandGroup.WRITE,
}
"""Every other admin command is allowed. A controller here has none of these so far; whoever adds one asks the table."""
