"""Any command capsules to the queues of a controller, while stores and hosts take their time and the size changes: no
transport, so that every byte reaches the commands.

The first byte says which kind of controller it is and in which state; the rest are records: 64 bytes of a submission
entry, one that says to which queue, whether its data is in the capsule, and what happens before it, one that says how
long its data is, 16 bytes of data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Command, Subsystem
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from tests.stacks.nvme.bench import Bench, BenchQueue
from tests.stacks.nvme.core_rig import ENABLE, NQN, SQE_WORDS, copy_ranges, ranges, sqe
from tests.stacks.nvme.test_fuzz import random_entry
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, DatasetAttribute, FabricsType, Fuse, IoOpcode
from wire.nvme.status import IoCommandStatus, StatusCode

MANAGEMENT_NQN = "nqn.2026-11.io.baremetal:management"
WITNESS_NQN = "nqn.2026-11.io.baremetal:witness"
BLOCK = 4096
KEPT = b"nobody's" * (BLOCK // 8)
LENGTHS = (0, 4, 16, 64, 512, 1024, 4096, 4096, 8192, 3 * BLOCK, 128 << 10, (128 << 10) + 4)
RECORD_BYTES = 64 + 2 + 16
RECORDS_MAX = 200
STATUSES = {0, *StatusCode, *IoCommandStatus}


def check(data: bytes) -> None:
    """Send the capsules, and check everything that must hold; raises whatever does not."""
    control, rest = (data or b"\0")[0], data[1:]
    small, other = MemoryStore(16 * BLOCK), MemoryStore(4 * BLOCK)
    bench = Bench(small, other)
    target, pool = bench.target, bench.port.pool
    target.add_subsystem(Subsystem(MANAGEMENT_NQN, kind=ADMINISTRATIVE))
    target.subsystems[NQN].set_visible_to(2, [WITNESS_NQN])
    free = pool.free_buffers
    witness_admin, witness = bench.host(host_nqn=WITNESS_NQN, host_id=b"witness of all  ")
    assert witness.io(IoOpcode.WRITE, 0, 1, data=KEPT, nsid=2).status == 0
    queues = _attacker(bench, control)
    sent = _send(bench, queues, rest)
    bench.is_storing = bench.is_fetching = True
    bench.pump()
    for queue in queues:
        _check_answers(queue, sent[queue])
    assert witness.io(IoOpcode.READ, 0, 1, expect=BLOCK, nsid=2).data == KEPT
    assert len(witness_admin.log_page(1, 64 * 64).data) == 64 * 64
    for queue in queues:
        queue.queue.closed()
    target.tick(10**12)
    bench.pump()
    assert pool.free_buffers == free, "a buffer is lost"
    assert target.line.requests == []
    assert target.line.exclusions.active == []
    assert len(target.controllers) == 1, "a controller stayed"


def _attacker(bench: Bench, control: int) -> list[BenchQueue]:
    """The queues that are fuzzed: an admin queue in some state, or two I/O queues behind their admin queue."""
    state = control & 7
    if state >= 4:
        return [*bench.host(queues=2)]
    if state >= 2:
        return [*bench.host(queues=0, nqn=(DISCOVERY_NQN, MANAGEMENT_NQN)[state - 2])]
    admin = bench.open_queue()
    if state == 1:
        admin.connect()
    return [admin]


def _send(bench: Bench, queues: list[BenchQueue], data: bytes) -> dict[BenchQueue, set[int]]:
    sent: dict[BenchQueue, set[int]] = {queue: set() for queue in queues}
    for record in list(records(data))[:RECORDS_MAX]:
        record = record.ljust(RECORD_BYTES, b"\0")
        _happen(bench, record[64] >> 3)
        host = queues[(record[64] >> 1 & 3) % len(queues)]
        if host.queue.state.value not in ("closing", "closed"):
            sent[host].add(_submit(host, record))
        bench.pump()
    return sent


def _happen(bench: Bench, what: int) -> None:
    """What else happens: stores and hosts stop or go on, one request is done, the namespace has another size."""
    if what & 1:
        bench.is_storing = not bench.is_storing
    if what & 2:
        bench.is_fetching = not bench.is_fetching
    if what & 4 and bench.with_store:
        bench.run_one(len(bench.with_store) // 2)
    if what & 24:
        bench.store.resize((4, 10, 16)[(what >> 3) - 1] * BLOCK, may_shrink=True)
        bench.target.subsystems[NQN].resize_namespace(1)


def _submit(host: BenchQueue, record: bytes) -> int:
    length = LENGTHS[record[65] % len(LENGTHS)]
    content = record[66:] * (length // 16 + 1)
    command = Command()
    host.cid += 1
    entry = SubmissionEntry.decode(record)
    entry.cid = host.cid
    command.words = SQE_WORDS(entry.encode(), 0)
    command.data_bytes = length
    if record[64] & 1 and length <= 8192:
        command.capsule_data = memoryview(content[:length])
    host.host_data[host.cid] = content[:length]
    host.queue.handle_capsule(command)
    return host.cid


def _check_answers(host: BenchQueue, sent: set[int]) -> None:
    # The rig's own commands have CIDs below those.
    answers = {cid: host.answers[cid] for cid in sent if cid in host.answers}
    is_over = host.queue.state.value in ("closing", "closed")
    assert is_over or len(answers) + host.queue.in_flight == len(sent), "a command is lost"
    assert len(host.order) == len(set(host.order)), "a command was answered twice"
    for answer in answers.values():
        assert answer.status in STATUSES, hex(answer.status)
        assert KEPT[:64] not in answer.data, "it read what it may not see"


def records(data: bytes) -> Iterator[bytes]:
    """The capsules."""
    for at in range(0, len(data), RECORD_BYTES):
        yield data[at : at + RECORD_BYTES]


def record(entry: SubmissionEntry, length: int = 0, data: bytes = b"", *, in_capsule: bool = False) -> bytes:
    """One capsule. length: of `LENGTHS`; data: 16 bytes, which are repeated."""
    return entry.encode() + bytes([in_capsule, LENGTHS.index(length)]) + data[:16].ljust(16, b"\0")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Capsules changed as one does who knows them: fields, whole ones, their order."""
    found = list(records(data[1:])) or [bytes(RECORD_BYTES)]
    for _ in range(1 + int(rng.random() * 4)):
        at = int(rng.random() * len(found))
        way = rng.random()
        if way < 0.3:
            found.insert(at, random_entry(rng, 0).encode() + bytes([int(rng.random() * 256) for _ in range(18)]))
        elif way < 0.4 and len(found) > 1:
            del found[at]
        elif way < 0.6:
            found.append(found[at])
        else:
            changed = bytearray(found[at].ljust(RECORD_BYTES, b"\0"))
            if rng.random() < 0.3:
                # Another queue, and something else that happens.
                changed[64] = int(rng.random() * 256)
            for _ in range(1 + int(rng.random() * 3)):
                changed[int(rng.random() * RECORD_BYTES)] = (0, 1, 0x40, 0x41, 0x42, 0xFF)[int(rng.random() * 6)]
            found[at] = bytes(changed)
    return data[:1] + b"".join(found)


def seeds() -> list[bytes]:
    """Inputs to begin with: everything that hosts say, to each kind of queue, and stores that take their time."""
    connect = sqe(AdminOpcode.FABRICS, nsid=FabricsType.CONNECT, cdw11=31)
    found = [b"\0" + record(connect, 1024)]
    found += [bytes([state]) + b"".join(_admin_records()) for state in range(1, 5)]
    found += [b"\4" + each for each in _io_records()]
    for turn in range(8):
        # Both I/O queues in turn; something else happens at one place or another.
        mixed = []
        for number, each in enumerate(_io_records() * 2):
            changed = bytearray(each)
            for at in range(0, len(each), RECORD_BYTES):
                changed[at + 64] |= (1 + number % 2) << 1
            if number % 8 == turn:
                changed[64] |= (1, 2, 4, 8, 16, 24, 3, 9)[turn] << 3
            mixed.append(bytes(changed))
        found.append(b"\4" + b"".join(mixed))
    abort = sqe(AdminOpcode.ABORT, cdw10=1 | 2 << 16)
    found += [b"\4" + _held(each) + record(abort) for each in _io_records()]
    return found


def _held(capsules: bytes) -> bytes:
    """Capsules to I/O queue 1, of which the store and the host hold the first up."""
    changed = bytearray(capsules)
    for at in range(0, len(capsules), RECORD_BYTES):
        changed[at + 64] |= 1 << 1
    changed[64] |= 3 << 3
    return bytes(changed)


def _admin_records() -> list[bytes]:
    found = [record(sqe(AdminOpcode.IDENTIFY, nsid=1, cdw10=cns), 4096) for cns in (0, 1, 2, 3, 5, 6, 7, 8, 0x1C)]
    found += [
        record(sqe(AdminOpcode.GET_LOG_PAGE, nsid=0xFFFFFFFF, cdw10=page | 0x7F << 16), 512) for page in range(15)
    ]
    for fid in (1, 2, 4, 5, 6, 7, 8, 0x0A, 0x0B, 0x0E, 0x0F, 0x16, 0x81, 0x82, 0x83):
        found.append(record(sqe(AdminOpcode.GET_FEATURES, nsid=1, cdw10=fid)))
        found.append(record(sqe(AdminOpcode.SET_FEATURES, cdw10=fid, cdw11=1)))
    found += [record(sqe(AdminOpcode.ASYNC_EVENT_REQUEST))] * 2
    found += [record(sqe(AdminOpcode.ABORT, cdw10=1 << 16)), record(sqe(AdminOpcode.KEEP_ALIVE))]
    for offset in (0, 8, 0x14, 0x1C):
        size = int(offset == 0)
        found.append(record(sqe(AdminOpcode.FABRICS, nsid=FabricsType.PROPERTY_GET, cdw10=size, cdw11=offset)))
    found.append(record(sqe(AdminOpcode.FABRICS, nsid=FabricsType.PROPERTY_SET, cdw11=0x14, cdw12=ENABLE)))
    return found


def _io_records() -> list[bytes]:
    def io(opcode: int, *, flags: int = 0, cdw12: int = 0, length: int = 0, inside: bool = False) -> bytes:
        entry = sqe(opcode, nsid=1, cdw10=1, cdw12=cdw12)
        entry.flags |= flags
        return record(entry, length, b"sixteen bytes...", in_capsule=inside)

    found = [io(IoOpcode.READ, length=BLOCK), io(IoOpcode.FLUSH), io(IoOpcode.VERIFY, cdw12=3)]
    for inside in (False, True):
        found += [io(opcode, length=BLOCK, inside=inside) for opcode in (IoOpcode.WRITE, IoOpcode.COMPARE)]
        found.append(
            io(IoOpcode.COMPARE, flags=Fuse.FIRST, length=BLOCK, inside=inside)
            + io(IoOpcode.WRITE, flags=Fuse.SECOND, length=BLOCK, inside=inside)
        )
    found += [io(opcode, cdw12=1) for opcode in (IoOpcode.WRITE_ZEROES, IoOpcode.WRITE_UNCORRECTABLE)]
    trim = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=DatasetAttribute.DEALLOCATE)
    found.append(record(trim, 16, ranges((2, 3))))
    found.append(record(sqe(IoOpcode.COPY, nsid=1, cdw10=4), 64, copy_ranges((0, 2))[:16]))
    for opcode, action in ((0x0D, 0), (0x11, 1 << 8), (0x15, 1 << 8), (0x0D, 1)):
        found.append(record(sqe(opcode, nsid=1, cdw10=action), 16, bytes(8) + b"some key"))
    found.append(record(sqe(IoOpcode.RESERVATION_REPORT, nsid=1, cdw10=15, cdw11=1), 64))
    found.append(record(sqe(AdminOpcode.FABRICS, nsid=FabricsType.DISCONNECT)))
    return found
