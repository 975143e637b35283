"""Who may do what in the presence of a reservation: every type, command and host, through the target, as reviewed."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from stacks.nvme.target.reservations.table import ADMIN_GROUPS, BEHAVIOR, Access, CommandGroup, Relation, access_of
from tests.stacks.nvme.core_rig import copy_ranges, sqe
from tests.stacks.nvme.reservation_rig import KEY_A, KEY_B, Node, ReservationRig
from wire.nvme.commands_codec import DatasetRange
from wire.nvme.opcodes import AdminOpcode, DatasetAttribute, Fuse, IoOpcode
from wire.nvme.reservations import ReservationType
from wire.nvme.status import StatusCode

RANGE = DatasetRange(slba=0, blocks=1).encode()

# One column for a host that is not registered, one that is, and the holder. Under "all registrants" whoever registers
# holds, so the second column is a holder's as well.
REVIEWED = """\
                     WE       EA       WE-RO    EA-RO    WE-AR    EA-AR
    read             + + +    - - +    + + +    - + +    + + +    - + +
    compare          + + +    - - +    + + +    - + +    + + +    - + +
    verify           + + +    - - +    + + +    - + +    + + +    - + +
    write            - - +    - - +    - + +    - + +    - + +    - + +
    write zeroes     - - +    - - +    - + +    - + +    - + +    - + +
    deallocate       - - +    - - +    - + +    - + +    - + +    - + +
    uncorrectable    - - +    - - +    - + +    - + +    - + +    - + +
    copy             - - +    - - +    - + +    - + +    - + +    - + +
    fused write      - - +    - - +    - + +    - + +    - + +    - + +
    flush            - - +    - - +    - + +    - + +    - + +    - + +
    report           + + +    + + +    + + +    + + +    + + +    + + +
    register         + + +    + + +    + + +    + + +    + + +    + + +
    acquire          - - +    - - +    - - +    - - +    - + +    - + +
    preempt          - + +    - + +    - + +    - + +    - + +    - + +
    preempt, abort   - + +    - + +    - + +    - + +    - + +    - + +
    release          - + +    - + +    - + +    - + +    - + +    - + +
    clear            - + +    - + +    - + +    - + +    - + +    - + +
    """


def dataset(node: Node) -> int:
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=DatasetAttribute.DEALLOCATE)
    return node.io.do(entry, data=RANGE).status


def copied(node: Node) -> int:
    """Copy block 1 to block 0: both have to be allowed."""
    return node.io.do(sqe(IoOpcode.COPY, nsid=1), data=copy_ranges((1, 1))).status


def fused(node: Node) -> int:
    """Compare and Write; the status of the half that is refused, if one is."""
    cids = []
    for opcode, fuse in ((IoOpcode.COMPARE, Fuse.FIRST), (IoOpcode.WRITE, Fuse.SECOND)):
        entry = sqe(opcode, nsid=1)
        entry.flags |= fuse
        cids.append(node.io.send(entry, data=bytes(4096), in_capsule=True))
    node.rig.pump()
    first, second = (node.io.status(cid) for cid in cids)
    assert first is not None
    assert second is not None
    return second if first == 0 else first if second == StatusCode.ABORTED_FAILED_FUSED else -1


def key_of(node: Node) -> int:
    return KEY_A if node.host_id.startswith(b"holder") else KEY_B


def commands(kind: ReservationType) -> dict[str, Callable[[Node], int]]:
    return {
        "read": Node.read,
        "compare": lambda node: node.io.io(IoOpcode.COMPARE, 0, 1, data=bytes(4096)).status,
        "verify": lambda node: node.io.io(IoOpcode.VERIFY, 0, 1).status,
        "write": Node.write,
        "write zeroes": lambda node: node.io.io(IoOpcode.WRITE_ZEROES, 0, 1).status,
        "deallocate": dataset,
        "uncorrectable": lambda node: node.io.io(IoOpcode.WRITE_UNCORRECTABLE, 0, 1).status,
        "copy": copied,
        "fused write": fused,
        "flush": lambda node: node.io.do(sqe(IoOpcode.FLUSH, nsid=1)).status,
        "report": lambda node: node.ask_report(length=64).status,
        "register": lambda node: node.register(key_of(node)),
        "acquire": lambda node: node.acquire(key_of(node), kind),
        "preempt": lambda node: node.preempt(key_of(node), KEY_A, kind),
        "preempt, abort": lambda node: node.send_acquire(key_of(node), KEY_A, kind, 2).status,
        "release": lambda node: node.release(key_of(node), kind),
        "clear": lambda node: node.clear(key_of(node)),
    }


def outcome(kind: ReservationType, name: str, relation: Relation) -> str:
    rig = ReservationRig()
    holder = rig.host("holder")
    node = holder if relation is Relation.HOLDER else rig.host("other")
    holder.register(KEY_A)
    if relation is Relation.REGISTRANT:
        node.register(KEY_B)
    assert holder.acquire(KEY_A, kind) == 0
    assert holder.io.io(IoOpcode.WRITE, 1, 1, data=b"new." * 1024).status == 0
    status = commands(kind)[name](node)
    assert status in (0, StatusCode.RESERVATION_CONFLICT)
    if status:
        # What is refused has not been done.
        assert holder.io.io(IoOpcode.READ, 0, 2, expect=8192).data == bytes(4096) + b"new." * 1024
    return "-" if status else "+"


def test_every_command_of_every_host_is_allowed_or_not_as_reviewed() -> None:
    lines = ["                 WE       EA       WE-RO    EA-RO    WE-AR    EA-AR"]
    for name in commands(ReservationType.WRITE_EXCLUSIVE):
        columns = [
            " ".join(outcome(kind, name, relation) for relation in reversed(Relation)) for kind in ReservationType
        ]
        lines.append(f"{name:<16} {'    '.join(columns)}")
    assert "\n".join(lines) + "\n" == dedent(REVIEWED)


def test_the_table_is_the_figure_of_the_specification() -> None:
    assert {group: "".join(row.split()) for group, row in BEHAVIOR.items()} == {
        CommandGroup.READ: "AACCAACA",
        CommandGroup.WRITE: "CCCCCACA",
        CommandGroup.ACQUIRE: "CCCCCCCC",
        CommandGroup.PREEMPT_OR_RELEASE: "CACACACA",
        CommandGroup.OTHER: "AAAAAAAA",
    }


SHARED = (ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS, ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS)
REACHABLE = [
    (kind, relation)
    for kind in ReservationType
    for relation in Relation
    if kind not in SHARED or relation is not Relation.REGISTRANT
]


@pytest.mark.parametrize(("kind", "relation"), REACHABLE)
def test_access_is_what_reading_and_writing_come_to(kind: ReservationType, relation: Relation) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in REVIEWED.splitlines()[1:5] if "zero" not in line}
    column = 3 * (kind - 1) + list(reversed(Relation)).index(relation)
    expected = (rows["read"][column] == "+") + (rows["write"][column] == "+")
    assert access_of(kind, relation) is Access(expected)


def test_admin_commands_are_in_the_groups_of_the_figure() -> None:
    assert ADMIN_GROUPS[AdminOpcode.FORMAT_NVM] is CommandGroup.WRITE
    assert [opcode for opcode, group in ADMIN_GROUPS.items() if group is CommandGroup.READ] == [
        AdminOpcode.SECURITY_RECEIVE
    ]


def test_what_keeps_a_host_out_is_a_small_mapping() -> None:
    rig = ReservationRig()
    a, b = rig.host("a"), rig.host("b")
    assert rig.subsystem.sharing.restrictions(b.host_id) == {}
    a.register(KEY_A)
    a.acquire(KEY_A, ReservationType.WRITE_EXCLUSIVE)
    assert rig.subsystem.sharing.restrictions(a.host_id) == {}
    assert rig.subsystem.sharing.restrictions(b.host_id) == {1: Access.READ}
    a.preempt(KEY_A, KEY_A, ReservationType.EXCLUSIVE_ACCESS)
    assert rig.subsystem.sharing.restrictions(b.host_id) == {1: Access.NONE}


def test_queues_look_where_only_allowed_namespaces_are() -> None:
    rig = ReservationRig()
    a, b = rig.host("a"), rig.host("b", controllers=2)
    a.register(KEY_A)
    a.acquire(KEY_A, ReservationType.WRITE_EXCLUSIVE)
    for io in b.ios:
        assert (set(io.queue.readable), set(io.queue.writable)) == ({1, 2}, {2})
    store = rig.subsystem.remove_namespace(2).store
    assert set(b.io.queue.writable) == set()
    rig.subsystem.add_namespace(store)
    assert (set(a.io.queue.writable), set(b.io.queue.writable)) == ({1, 2}, {2})
