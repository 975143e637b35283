"""Any bytes from a host to a target over TCP.

The first two bytes say in which state the connection is, how the rest is cut, and whether digests are made right before
it is sent; the rest is what the host says.
"""

from __future__ import annotations

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.stores import MemoryStore
from tests.fuzz.direct import SECOND, SIZES, DirectHost, DirectTarget, Wire, damaged, sealed, whole_pdus
from tests.stacks.nvme.held_stores import CopyingStore
from tests.wire.nvme.tcp_pdus import pdu
from wire.nvme.kinds import SglKind, TcpPduKind
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.sgl_codec import DataBlockSgl
from wire.nvme.tcp_codec import TcpHostData, TcpInitializeRequest, TcpTerminate

BLOCKS = 16
SHELVES = ((8 << 10, 8), (64 << 10, 2))
KEPT = bytes(range(256)) * 16


def check(data: bytes) -> None:
    """Send `data`, and check everything that must hold; raises whatever does not."""
    control, rest = data[:2].ljust(2, b"\0"), data[2:]
    digests, state = control[0] & 3, control[0] >> 2 & 3
    store = (MemoryStore, CopyingStore)[control[0] >> 4 & 1](BLOCKS * 4096)
    config = TcpTargetConfig(
        shelves=SHELVES, host_data_bytes=8192, in_capsule_bytes=8192, shortcuts=not control[0] & 0x20
    )
    direct = DirectTarget(store, config)
    store.write(BLOCKS - 1, [memoryview(KEPT)])
    witness, witness_admin = _io_queue(direct, 0)
    sizes = SIZES[control[1] % len(SIZES)]
    wires, wire = _attacker(direct, state, digests, sizes)
    before = len(wire.said)
    if control[0] & 0x40:
        rest = b"".join(sealed(each, digests) for each in whole_pdus(rest))
    direct.feed(wire, rest)
    direct.pass_time(SECOND // 10)
    _check_said(wire, before)
    _check_witness(direct, witness, KEPT)
    for each in wires:
        direct.close(each)
    direct.pass_time(60 * SECOND)
    assert direct.tcp.queue_count == 2, "a connection stayed"
    assert direct.tcp.port.pool.free_buffers == sum(count for _, count in SHELVES), "a buffer is lost"
    assert len(direct.target.controllers) == 1
    direct.close(witness_admin.wire)


def _io_queue(direct: DirectTarget, digests: int, sizes: tuple[int, ...] = (1 << 20,)) -> tuple[DirectHost, DirectHost]:
    admin = DirectHost(direct, direct.accept(), digests)
    cntlid = admin.connect()
    admin.enable()
    io = DirectHost(direct, direct.accept(sizes), digests)
    io.connect(qid=1, cntlid=cntlid)
    return io, admin


def _attacker(direct: DirectTarget, state: int, digests: int, sizes: tuple[int, ...]) -> tuple[list[Wire], Wire]:
    if state == 0:
        wire = direct.accept(sizes)
        return [wire], wire
    if state == 1:
        admin = DirectHost(direct, direct.accept(sizes), digests)
        admin.connect()
        admin.enable()
        return [admin.wire], admin.wire
    io, admin = _io_queue(direct, digests, sizes)
    if state == 3:
        # With data asked for, TTAG 1 and CID 2.
        sgl = DataBlockSgl(length=16384, kind=SglKind.TRANSPORT).encode()
        direct.feed(io.wire, io.capsule(IoOpcode.WRITE, sgl=sgl, nsid=1, cdw12=3))
    return [io.wire, admin.wire], io.wire


def _check_said(wire: Wire, before: int) -> None:
    """What the target said is PDUs from end to end, intact, and nothing follows a TermReq."""
    found = wire.pdus
    assert sum(each.plen for each in found) == len(wire.said) >= before
    for each in found:
        assert each.is_header_intact
        assert each.is_data_intact
        assert each.kind in ALLOWED
    terminations = [each for each in found if each.kind is TcpPduKind.CONTROLLER_TERMINATE]
    assert terminations in ([], found[-1:])
    for each in terminations:
        assert 1 <= each.field("fes") <= 6
        assert wire.core.is_finished


def _check_witness(direct: DirectTarget, witness: DirectHost, expected: bytes) -> None:
    sgl = DataBlockSgl(length=4096, kind=SglKind.TRANSPORT).encode()
    before = len(witness.wire.pdus)
    direct.feed(witness.wire, witness.capsule(IoOpcode.READ, sgl=sgl, nsid=1, cdw10=BLOCKS - 1))
    data, answer = witness.wire.pdus[before:]
    assert answer.field("cqe_status") == 0
    assert len(data.data) == len(expected)


ALLOWED = (
    TcpPduKind.INITIALIZE_RESPONSE,
    TcpPduKind.CONTROLLER_TERMINATE,
    TcpPduKind.COMPLETION,
    TcpPduKind.CONTROLLER_DATA,
    TcpPduKind.READY_TO_TRANSFER,
)


mutated = damaged


def seeds() -> list[bytes]:
    """Inputs to begin with: what a host says in each state, with and without digests."""
    found = [b"\0\0" + TcpInitializeRequest(digests=digests).encode() for digests in range(4)]
    for digests in range(4):
        direct = DirectTarget(MemoryStore(BLOCKS * 4096), TcpTargetConfig(shelves=SHELVES))
        host = DirectHost(direct, direct.accept(), digests)
        outside = DataBlockSgl(length=4096, kind=SglKind.TRANSPORT).encode()
        inside = DataBlockSgl(length=4096, kind=SglKind.DATA_BLOCK_OFFSET).encode()
        host.cid = 10
        read = host.capsule(IoOpcode.READ, sgl=outside, nsid=1)
        write = host.capsule(IoOpcode.WRITE, sgl=inside, data=bytes(4096), nsid=1)
        identify = host.capsule(AdminOpcode.IDENTIFY, sgl=outside, cdw10=1)
        data = TcpHostData(cid=2, ttag=1, flags=4, length=16384)
        for cut in range(len(SIZES)):
            for flags in (0, 0x10, 0x20, 0x40):
                control = bytes([digests | flags, cut])
                found.append(bytes([control[0] | 1 << 2, cut]) + identify)
                found.append(bytes([control[0] | 2 << 2, cut]) + read * 3 + write + read)
                found.append(bytes([control[0] | 3 << 2, cut]) + pdu(data, bytes(16384), digests=digests) + read)
                found.append(bytes([control[0] | 2 << 2, cut]) + TcpTerminate(fes=2).encode() + read)
    return found
