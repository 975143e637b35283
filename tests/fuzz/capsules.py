"""Any command capsules to a queue of a controller: no transport, so that every byte reaches the commands.

The first byte says which queue of which kind of controller, and whether capsules come one by one or all at once; the
rest are capsules: 64 bytes of a submission entry, one of flags, one that says how long data is, 16 bytes of data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Command, Port, Subsystem
from stacks.nvme.target.controller_kind import ADMINISTRATIVE
from tests.stacks.nvme.core_rig import ENABLE, NQN, SQE_WORDS, CoreHost, copy_ranges, make_port, ranges, sqe
from tests.stacks.nvme.test_fuzz import random_entry
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.opcodes import DISCOVERY_NQN, AdminOpcode, DatasetAttribute, FabricsType, Fuse, IoOpcode
from wire.nvme.status import IoCommandStatus, StatusCode

MANAGEMENT_NQN = "nqn.2026-11.io.baremetal:management"
WITNESS_NQN = "nqn.2026-11.io.baremetal:witness"
WITNESS_ID = b"witness of all  "
BLOCK = 4096
KEPT = b"nobody's" * (BLOCK // 8)
LENGTHS = (0, 4, 16, 64, 512, 1024, 4096, 4096, 8192, 3 * BLOCK, 128 << 10, (128 << 10) + 4)
RECORD_BYTES = 64 + 2 + 16
RECORDS_MAX = 200
STATUSES = {0, *StatusCode, *IoCommandStatus}


def check(data: bytes) -> None:
    """Send the capsules, and check everything that must hold; raises whatever does not."""
    control, rest = (data or b"\0")[0], data[1:]
    port = _port()
    free = port.pool.free_buffers
    witness_admin, witness = _witness(port)
    admin, host = _attacker(port, control)
    sent = _send(host, rest, is_one_by_one=bool(control & 8))
    host.pump()
    answers = {cid: answer for cid, answer in host.answers.items() if cid > 0}
    assert set(answers) <= sent
    is_over = host.queue.state.value in ("closing", "closed")
    assert is_over or len(answers) + host.queue.in_flight == len(sent), "a command is lost"
    for answer in answers.values():
        assert answer.status in STATUSES, hex(answer.status)
        assert KEPT[:64] not in answer.data, "it read what it may not see"
    for _ in range(2):
        found = witness.io(IoOpcode.READ, 0, 1, expect=BLOCK, nsid=2)
        assert (found.status, found.data) == (0, KEPT)
    assert len(witness_admin.log_page(1, 64 * 64).data) == 64 * 64
    for queue in {host.queue, admin.queue}:
        queue.closed()
    port.target.tick(10**12)
    witness.pump()
    assert port.pool.free_buffers == free, "a buffer is lost"
    assert port.target.line.requests == []
    assert port.target.line.exclusions.active == []
    assert len(port.target.controllers) == 1, "a controller stayed"


def _port() -> Port:
    port = make_port(MemoryStore(16 * BLOCK), MemoryStore(4 * BLOCK))
    port.target.add_subsystem(Subsystem(MANAGEMENT_NQN, kind=ADMINISTRATIVE))
    port.target.subsystems[NQN].set_visible_to(2, [WITNESS_NQN])
    return port


def _witness(port: Port) -> tuple[CoreHost, CoreHost]:
    admin, io = CoreHost(port), CoreHost(port)
    cntlid = admin.connect(host_nqn=WITNESS_NQN, host_id=WITNESS_ID).dw0
    admin.set_property(0x14, ENABLE)
    io.connect(qid=1, cntlid=cntlid, host_nqn=WITNESS_NQN, host_id=WITNESS_ID)
    assert io.io(IoOpcode.WRITE, 0, 1, data=KEPT, nsid=2).status == 0
    return admin, io


def _attacker(port: Port, control: int) -> tuple[CoreHost, CoreHost]:
    """Its admin queue, and the queue that is fuzzed."""
    admin = CoreHost(port)
    if control & 7 == 0:
        return admin, admin
    nqn = {5: DISCOVERY_NQN, 6: MANAGEMENT_NQN}.get(control & 7, NQN)
    cntlid = admin.connect(nqn=nqn).dw0
    if control & 7 == 1:
        return admin, admin
    admin.set_property(0x14, ENABLE)
    if control & 7 in (2, 5, 6):
        return admin, admin
    io = CoreHost(port)
    io.connect(qid=1, cntlid=cntlid)
    return admin, io


def _send(host: CoreHost, data: bytes, *, is_one_by_one: bool) -> set[int]:
    sent: set[int] = set()
    for record in list(records(data))[:RECORDS_MAX]:
        if host.queue.state.value in ("closing", "closed"):
            break
        record = record.ljust(RECORD_BYTES, b"\0")
        # Its data is moved by plain copies, of what the host has; CIDs are its own affair.
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
        sent.add(host.cid)
        host.queue.handle_capsule(command)
        if is_one_by_one:
            host.pump()
    return sent


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
            for _ in range(1 + int(rng.random() * 3)):
                changed[int(rng.random() * RECORD_BYTES)] = (0, 1, 0x40, 0x41, 0x42, 0xFF)[int(rng.random() * 6)]
            found[at] = bytes(changed)
    return data[:1] + b"".join(found)


def seeds() -> list[bytes]:
    """Inputs to begin with: everything that hosts say, right, to each kind of queue."""
    found = []
    for mode in (0, 8):
        connect = sqe(AdminOpcode.FABRICS, nsid=FabricsType.CONNECT, cdw11=31)
        found.append(bytes([mode]) + record(connect, 1024))
        for state in (1, 2, 5, 6):
            found.append(bytes([mode | state]) + b"".join(_admin_records()))
        for state in (3, 4):
            found += [bytes([mode | state]) + each for each in _io_records()]
            found.append(bytes([mode | state]) + b"".join(_io_records()))
    return found


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
