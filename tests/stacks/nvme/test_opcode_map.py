"""All 256 opcodes, and all 256 fabrics commands, on every queue of each kind of controller in each of its states.

What is not there is Invalid Opcode and need not be tried again; what is there and out of place has its own status; and
log page 05h says of each what really becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Port, Subsystem
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from tests.stacks.nvme.core_rig import ENABLE, NQN, SHUT_DOWN_NORMAL, CoreHost, copy_ranges, make_port, ranges, sqe
from wire.nvme.logs_codec import EffectsEntry
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, DatasetAttribute, IoOpcode, LogPage
from wire.nvme.status import DNR, StatusCode

MANAGEMENT_NQN = "nqn.2026-11.io.baremetal:management"
NQNS = {"io": NQN, "discovery": DISCOVERY_NQN, "administrative": MANAGEMENT_NQN}
KINDS = list(NQNS)
BLOCK = 4096
CC = 0x14


def new_port() -> Port:
    port = make_port(MemoryStore(64 * BLOCK))
    port.target.add_subsystem(Subsystem(MANAGEMENT_NQN, kind=ADMINISTRATIVE))
    return port


def admin_of(kind: str, *configurations: int) -> CoreHost:
    """An admin queue whose controller was given these values of CC."""
    admin = CoreHost(new_port())
    assert admin.connect(nqn=NQNS[kind]).status == 0
    for configuration in configurations:
        assert admin.set_property(CC, configuration).status == 0
    return admin


def io_of(*configurations: int) -> CoreHost:
    """I/O queue 1 of an enabled controller, which was then given these values of CC."""
    admin = CoreHost(new_port())
    cntlid = admin.start()
    io = CoreHost(admin.port)
    assert io.connect(qid=1, cntlid=cntlid).status == 0
    for configuration in configurations:
        assert admin.set_property(CC, configuration).status == 0
    return io


def outcome(host: CoreHost, opcode: int, fctype: int) -> str:
    cid = host.send(sqe(opcode, nsid=fctype if opcode == AdminOpcode.FABRICS else 1), expect=4)
    host.pump()
    if cid not in host.answers:
        # An event request waits; a queue that closes answers nothing any more.
        return "unanswered"
    answer = host.answers.pop(cid)
    if answer.status == StatusCode.INVALID_OPCODE:
        assert answer.word & DNR
        return "invalid"
    return "sequence" if answer.status == StatusCode.COMMAND_SEQUENCE_ERROR else "there"


def mapped(make: Callable[[], CoreHost], *, fabrics: bool) -> str:
    """Which opcodes, or fabrics commands, end how; a fresh queue where one was taken, for it may change things."""
    found: dict[str, list[int]] = {}
    host = make()
    for number in range(256):
        if number == AdminOpcode.FABRICS and not fabrics:
            continue
        what = outcome(host, AdminOpcode.FABRICS if fabrics else number, number)
        found.setdefault(what, []).append(number)
        if what in ("there", "unanswered"):
            host = make()
    return "; ".join(f"{what} {spans(found[what])}" for what in sorted(found))


def spans(numbers: list[int]) -> str:
    """Numbers in hexadecimal, with ranges."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return " ".join(f"{part[0]:02x}" if len(part) == 1 else f"{part[0]:02x}-{part[-1]:02x}" for part in parts)


QUEUES: dict[str, Callable[[], CoreHost]] = {
    "fresh": lambda: CoreHost(new_port()),
    **{f"admin {kind}, not enabled": lambda kind=kind: admin_of(kind) for kind in KINDS},  # type: ignore[misc]
    **{f"admin {kind}": lambda kind=kind: admin_of(kind, ENABLE) for kind in KINDS},  # type: ignore[misc]
    **{
        f"admin {kind}, shut down": lambda kind=kind: admin_of(kind, ENABLE, SHUT_DOWN_NORMAL)  # type: ignore[misc]
        for kind in KINDS
    },
    "io": io_of,
    "io, shut down": lambda: io_of(SHUT_DOWN_NORMAL),
    "io, disabled": lambda: io_of(0),
}

# Abort, Get and Set Features and event requests are optional for a discovery controller (NVMe Base 2.0 3.1.2.3.4).
REVIEWED = """\
    fresh: invalid 00-7e 80-ff
    admin io, not enabled: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; sequence 02 06 08-0a 0c 18
    admin discovery, not enabled: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; sequence 02 06 08-0a 0c 18
    admin administrative, not enabled: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; sequence 02 06 08-0a 0c 18
    admin io: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; there 02 06 08-0a 18; unanswered 0c
    admin discovery: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; there 02 06 08-0a 18; unanswered 0c
    admin administrative: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; there 02 06 08-0a 18; unanswered 0c
    admin io, shut down: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; sequence 02 06 08-0a 0c 18
    admin discovery, shut down: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; sequence 02 06 08-0a 0c 18
    admin administrative, shut down: invalid 00-01 03-05 07 0b 0d-17 19-7e 80-ff; sequence 02 06 08-0a 0c 18
    io: invalid 03 06-07 0a-0b 0f-10 12-14 16-18 1a-7e 80-ff; there 00-02 04-05 08-09 0c-0e 11 15 19
    io, shut down: sequence 00-7e 80-ff
    io, disabled: unanswered 00-7e 80-ff
    """


def test_every_opcode_of_every_queue_ends_as_reviewed() -> None:
    lines = [f"{name}: {mapped(make, fabrics=False)}" for name, make in QUEUES.items()]
    assert "\n".join(lines) + "\n" == dedent(REVIEWED)


ADMIN_FABRICS = "invalid 02-03 05-07 09-ff; sequence 01; there 00 04 08"
IO_FABRICS = "invalid 00 02-07 09-ff; sequence 01; there 08"
REVIEWED_FABRICS = {"fresh": "invalid 00 02-ff; there 01", "io, disabled": "unanswered 00-ff"}


@pytest.mark.parametrize("name", QUEUES)
def test_every_fabrics_command_of_every_queue_ends_as_reviewed(name: str) -> None:
    usual = ADMIN_FABRICS if name.startswith("admin") else IO_FABRICS
    assert mapped(QUEUES[name], fabrics=True) == REVIEWED_FABRICS.get(name, usual)


# Flags, and what is reserved

UNTAKEN_FLAGS = (0x00, 0x80, 0xC0, 0x43, *(0x40 | 1 << bit for bit in range(2, 6)))
"""PSDT 00b, 10b and 11b, which are not for fabrics; FUSE 11b; and the reserved bits, one by one."""


@pytest.mark.parametrize("kind", KINDS)
def test_no_command_is_taken_with_flags_that_are_not_for_fabrics(kind: str) -> None:
    queues = [admin_of(kind), admin_of(kind, ENABLE), *([io_of()] if kind == "io" else [])]
    for host in queues:
        for opcode in range(256):
            for flags in UNTAKEN_FLAGS:
                entry = sqe(opcode, nsid=1)
                entry.flags = flags
                answer = host.do(entry, expect=4)
                assert (answer.status, answer.word & DNR) == (StatusCode.INVALID_FIELD, DNR), (hex(opcode), hex(flags))


def test_an_admin_queue_takes_no_half_of_a_fused_pair() -> None:
    admin = admin_of("io", ENABLE)
    for fuse in (1, 2):
        entry = sqe(AdminOpcode.KEEP_ALIVE)
        entry.flags |= fuse
        assert admin.do(entry).status == StatusCode.INVALID_FIELD


RESERVED: list[tuple[str, int, tuple[str, ...]]] = [
    ("admin", AdminOpcode.KEEP_ALIVE, ("cdw2", "cdw3", "cdw10", "cdw11", "cdw12", "cdw13", "cdw14", "cdw15")),
    ("admin", AdminOpcode.ABORT, ("cdw2", "cdw3", "cdw11", "cdw12", "cdw13", "cdw14", "cdw15")),
    ("io", IoOpcode.FLUSH, ("cdw2", "cdw3", "cdw10", "cdw11", "cdw12", "cdw13", "cdw14", "cdw15")),
    ("io", IoOpcode.WRITE_UNCORRECTABLE, ("cdw2", "cdw3", "cdw13", "cdw14", "cdw15")),
    ("io", IoOpcode.VERIFY, ("cdw13",)),
]


@pytest.mark.parametrize(("where", "opcode", "names"), RESERVED)
def test_reserved_dwords_are_not_looked_at(where: str, opcode: int, names: tuple[str, ...]) -> None:
    host = io_of() if where == "io" else admin_of("io", ENABLE)
    for name in names:
        entry = sqe(opcode, nsid=int(where == "io"))
        setattr(entry, name, 0xFFFFFFFF)
        assert host.do(entry).status == 0, name


# Log page 05h


@pytest.mark.parametrize("kind", KINDS)
def test_the_effects_log_of_each_kind_of_controller_is_what_becomes_of_its_commands(kind: str) -> None:
    admin = admin_of(kind, ENABLE)
    log = admin.log_page(LogPage.COMMAND_EFFECTS, 4096).data
    io = io_of() if kind == "io" else None
    for opcode in set(range(256)) - {AdminOpcode.FABRICS}:
        told = EffectsEntry.decode(log, opcode * 4)
        assert told.supported == (outcome(admin, opcode, 0) != "invalid"), hex(opcode)
        told = EffectsEntry.decode(log, 1024 + opcode * 4)
        assert told.supported == (io is not None and outcome(io, opcode, 0) != "invalid"), hex(opcode)
    # Fabrics commands have no entry.
    assert not EffectsEntry.decode(log, AdminOpcode.FABRICS * 4).supported


def executed(io: CoreHost, opcode: int) -> int:
    """Run an I/O command on blocks 8 to 11 so that it changes them, if it can; its status."""
    data, entry = b"", sqe(opcode, nsid=1, cdw10=8, cdw12=3)
    if opcode in (IoOpcode.WRITE, IoOpcode.COMPARE):
        data = b"new." * BLOCK
    elif opcode == IoOpcode.DATASET_MANAGEMENT:
        entry, data = sqe(opcode, nsid=1, cdw11=DatasetAttribute.DEALLOCATE), ranges((8, 4))
    elif opcode == IoOpcode.COPY:
        entry, data = sqe(opcode, nsid=1, cdw10=8), copy_ranges((0, 4))
    elif opcode == IoOpcode.RESERVATION_REGISTER:
        entry, data = sqe(opcode, nsid=1), bytes(8) + b"someskey"
    elif opcode == IoOpcode.RESERVATION_REPORT:
        entry, data = sqe(opcode, nsid=1, cdw10=15, cdw11=1), b""
    length = 4 * BLOCK if opcode == IoOpcode.READ else 64 if opcode == IoOpcode.RESERVATION_REPORT else 0
    return io.do(entry, data=data, expect=length).status


CONFLICTS = {IoOpcode.RESERVATION_ACQUIRE, IoOpcode.RESERVATION_RELEASE}
"""Which say so of a host that is not registered, and change no block either way."""


@pytest.mark.parametrize("opcode", [each for each in IoOpcode if each not in (IoOpcode.FABRICS, *CONFLICTS)])
def test_the_effects_log_says_of_each_io_command_whether_blocks_change(opcode: IoOpcode) -> None:
    io = io_of()
    io.io(IoOpcode.WRITE, 8, 4, data=b"old." * BLOCK)
    told = EffectsEntry.decode(admin_of("io", ENABLE).log_page(LogPage.COMMAND_EFFECTS, 4096).data, 1024 + opcode * 4)
    before = io.io(IoOpcode.READ, 8, 4, expect=4 * BLOCK)
    status = executed(io, opcode)
    if opcode == IoOpcode.COMPARE:
        assert status == StatusCode.COMPARE_FAILURE
    else:
        assert status == (0 if told.supported else StatusCode.INVALID_OPCODE)
    after = io.io(IoOpcode.READ, 8, 4, expect=4 * BLOCK)
    assert ((before.status, before.data) != (after.status, after.data)) == told.lba_content
