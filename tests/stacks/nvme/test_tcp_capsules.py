"""Commands as a target takes them over TCP: SGLs, data inside of capsules, digests, alignment, statuses."""

from __future__ import annotations

import pytest

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import connect_data
from tests.stacks.nvme.tcp_raw import RawHost, completion, in_capsule, outside, raw_admin, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from wire.nvme.kinds import SglKind, TcpDigest, TcpFatalStatus, TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import AdminOpcode, FabricsType, IoOpcode
from wire.nvme.sgl_codec import AnySgl, DataBlockSgl
from wire.nvme.status import StatusCode, is_do_not_retry, status_code
from wire.nvme.tcp_codec import TcpHostData

BOTH = int(TcpDigest.HEADER | TcpDigest.DATA)
DIGESTS = (0, int(TcpDigest.HEADER), int(TcpDigest.DATA), BOTH)
OK = 0


def io_host(**config: int) -> RawHost:
    return raw_io(TcpRig(MemoryStore(1 << 20), target=TcpTargetConfig(**config)))[1]  # type: ignore[arg-type]


WITHOUT_DATA: dict[str, tuple[bytes, int]] = {
    "a transport block": (outside(4096), OK),
    "no length": (outside(0), StatusCode.INVALID_SGL_DATA_LENGTH),
    "too short": (outside(4095), StatusCode.INVALID_SGL_DATA_LENGTH),
    "too long": (outside(4097), StatusCode.INVALID_SGL_DATA_LENGTH),
    "in a capsule without data": (in_capsule(4096), StatusCode.INVALID_SGL_DATA_LENGTH),
    "nothing in a capsule": (in_capsule(0), StatusCode.INVALID_SGL_DATA_LENGTH),
    "an address": (DataBlockSgl(length=4096, kind=SglKind.DATA_BLOCK).encode(), StatusCode.INVALID_SGL_TYPE),
    "a keyed block": (AnySgl(kind=SglKind.KEYED).encode(), StatusCode.INVALID_SGL_TYPE),
    "a keyed block to invalidate": (AnySgl(kind=SglKind.KEYED_INVALIDATE).encode(), StatusCode.INVALID_SGL_TYPE),
    "a segment": (AnySgl(kind=SglKind.SEGMENT).encode(), StatusCode.INVALID_SGL_TYPE),
    "a last segment": (AnySgl(kind=SglKind.LAST_SEGMENT).encode(), StatusCode.INVALID_SGL_TYPE),
    "a bit bucket": (AnySgl(kind=0x10).encode(), StatusCode.INVALID_SGL_TYPE),
    "nothing known": (AnySgl(kind=0xFF).encode(), StatusCode.INVALID_SGL_TYPE),
}


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_an_sgl_that_does_not_fit_is_the_commands_error(name: str) -> None:
    sgl, expected = WITHOUT_DATA[name]
    host = io_host()
    host.send(host.capsule(IoOpcode.READ, sgl=sgl, nsid=1))
    *_, last = host.take()
    assert status_code(completion(last).status) == expected
    # The connection goes on.
    assert host.status(IoOpcode.FLUSH, nsid=1) == OK
    assert host.termination is None


WITH_DATA: dict[str, tuple[bytes, int]] = {
    "as it should be": (in_capsule(4096), OK),
    "an offset": (in_capsule(4096, offset=4), StatusCode.INVALID_SGL_OFFSET),
    "an offset far away": (in_capsule(4096, offset=1 << 63), StatusCode.INVALID_SGL_OFFSET),
    "less than there is": (in_capsule(4092), StatusCode.INVALID_SGL_DATA_LENGTH),
    "more than there is": (in_capsule(4100), StatusCode.INVALID_SGL_DATA_LENGTH),
    "a transport block": (outside(4096), StatusCode.INVALID_SGL_TYPE),
    "a segment": (AnySgl(kind=SglKind.SEGMENT).encode(), StatusCode.INVALID_SGL_TYPE),
}


@pytest.mark.parametrize("name", WITH_DATA)
@pytest.mark.parametrize("digests", [0, BOTH])
def test_an_sgl_that_does_not_fit_the_data_in_its_capsule_is_the_commands_error(name: str, digests: int) -> None:
    sgl, expected = WITH_DATA[name]
    rig = TcpRig(MemoryStore(1 << 20))
    host = raw_io(rig, digests=digests)[1]
    assert host.status(IoOpcode.WRITE, sgl=sgl, data=b"w" * 4096, nsid=1) == expected
    assert host.status(IoOpcode.FLUSH, nsid=1) == OK
    content = bytearray(4096)
    rig.subsystem.namespaces[1].store.read(0, memoryview(content))
    assert content == (b"w" * 4096 if expected == OK else bytes(4096))


@pytest.mark.parametrize("in_capsule_bytes", [0, 16, 4096, 8192, 32768])
def test_io_capsules_carry_what_the_controller_says_and_no_more(in_capsule_bytes: int) -> None:
    for length in (512, 4096, 8192, 32768):
        rig = TcpRig(MemoryStore(1 << 20, block_bytes=512), target=TcpTargetConfig(in_capsule_bytes=in_capsule_bytes))
        host = raw_io(rig)[1]
        data, blocks = b"d" * length, length // 512 - 1
        host.send(host.capsule(IoOpcode.WRITE, sgl=in_capsule(length), data=data, nsid=1, cdw12=blocks))
        if length <= in_capsule_bytes:
            assert status_code(completion(host.take()[0]).status) == OK
        else:
            assert host.termination is not None
            assert host.termination.fes == TcpFatalStatus.LIMIT_EXCEEDED


@pytest.mark.parametrize("in_capsule_bytes", [0, 4096, 32768])
def test_admin_and_fabrics_capsules_carry_8192_bytes_whatever_the_controller_says(in_capsule_bytes: int) -> None:
    rig = TcpRig(target=TcpTargetConfig(in_capsule_bytes=in_capsule_bytes))
    admin, io = raw_io(rig)
    # Both were connected with data in the capsule.
    assert io.termination is None
    # An admin command with 8192 bytes gets as far as its own rules.
    code = admin.status(AdminOpcode.KEEP_ALIVE, sgl=in_capsule(8192), data=bytes(8192))
    assert code in (OK, StatusCode.INVALID_SGL_DATA_LENGTH, StatusCode.INVALID_FIELD)
    again = io.status(
        AdminOpcode.FABRICS, sgl=in_capsule(8192), data=connect_data().ljust(8192, b"\0"), nsid=FabricsType.CONNECT
    )
    assert again == StatusCode.COMMAND_SEQUENCE_ERROR
    admin.send(admin.capsule(AdminOpcode.KEEP_ALIVE, sgl=in_capsule(8196), data=bytes(8196)))
    assert admin.termination is not None
    assert admin.termination.fes == TcpFatalStatus.LIMIT_EXCEEDED


def test_read_data_does_not_go_into_a_capsule() -> None:
    host = io_host()
    code = host.status(IoOpcode.READ, sgl=in_capsule(4096), data=bytes(4096), nsid=1)
    assert code == StatusCode.INVALID_SGL_TYPE


@pytest.mark.parametrize("hpda", range(32))
@pytest.mark.parametrize("digests", DIGESTS)
def test_data_towards_the_host_is_aligned_as_it_asked(hpda: int, digests: int) -> None:
    rig = TcpRig(MemoryStore(1 << 20))
    rig.subsystem.namespaces[1].store.write(0, [memoryview(bytes(range(256)) * 64)])
    host = raw_io(rig, digests=digests, hpda=hpda)[1]
    host.send(host.capsule(IoOpcode.READ, sgl=outside(16384), nsid=1, cdw12=3))
    data, answer = host.take()
    unit = (hpda + 1) * 4
    header_bytes = 24 + 4 * (digests & 1)
    assert data.pdo == (-(-header_bytes // unit) * unit if hpda else header_bytes)
    assert data.plen == data.pdo + 16384 + 2 * (digests & 2)
    assert data.data == bytes(range(256)) * 64
    assert not any(data.padding)
    assert data.is_header_intact
    assert data.is_data_intact
    assert status_code(completion(answer).status) == OK


@pytest.mark.parametrize("maxr2t", [0, 1, 0xFFFFFFFF])
def test_any_number_of_r2ts_is_more_than_the_target_makes_use_of(maxr2t: int) -> None:
    rig = TcpRig(MemoryStore(1 << 20))
    host = raw_io(rig, maxr2t=maxr2t)[1]
    for _ in range(4):
        host.send(host.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
    requests = host.take()
    assert [each.kind for each in requests] == [TcpPduKind.READY_TO_TRANSFER] * 4
    assert len({each.field("ttag") for each in requests}) == 4
    for each in reversed(requests):
        header = TcpHostData(flags=4, cid=each.field("cid"), ttag=each.field("ttag"), length=65536)
        host.send(host.sealed(header, bytes(65536)))
    answers = host.take()
    assert [completion(each).cid for each in answers] == [each.field("cid") for each in reversed(requests)]


@pytest.mark.parametrize("digests", [int(TcpDigest.DATA), BOTH])
def test_a_wrong_digest_of_data_in_a_capsule_fails_the_command_and_nothing_else(digests: int) -> None:
    rig = TcpRig(MemoryStore(1 << 20))
    host = raw_io(rig, digests=digests)[1]
    raw = bytearray(host.capsule(IoOpcode.WRITE, sgl=in_capsule(4096), data=b"w" * 4096, nsid=1))
    raw[-1] ^= 1
    host.send(bytes(raw))
    [answer] = host.take()
    assert status_code(completion(answer).status) == StatusCode.TRANSIENT_TRANSPORT_ERROR
    assert not is_do_not_retry(completion(answer).status)
    assert host.status(IoOpcode.WRITE, sgl=in_capsule(4096), data=b"x" * 4096, nsid=1) == OK
    assert rig.tcp_target.counters.data_digest_errors == 1
    assert host.termination is None


@pytest.mark.parametrize("digests", [int(TcpDigest.DATA), BOTH])
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_wrong_digest_of_one_piece_of_data_fails_the_command_once_all_of_it_is_there(
    digests: int, damaged: int
) -> None:
    rig = TcpRig(MemoryStore(1 << 20))
    host = raw_io(rig, digests=digests)[1]
    host.send(host.capsule(IoOpcode.WRITE, sgl=outside(49152), nsid=1, cdw12=11))
    [request] = host.take()
    for piece in range(3):
        header = TcpHostData(
            flags=4 if piece == 2 else 0,
            cid=request.field("cid"),
            ttag=request.field("ttag"),
            offset=piece * 16384,
            length=16384,
        )
        raw = bytearray(host.sealed(header, b"w" * 16384))
        if piece == damaged:
            raw[1000] ^= 0x80
        assert host.take() == []
        host.send(bytes(raw))
    [answer] = host.take()
    assert status_code(completion(answer).status) == StatusCode.TRANSIENT_TRANSPORT_ERROR
    content = bytearray(4096)
    rig.subsystem.namespaces[1].store.read(0, memoryview(content))
    assert content == bytes(4096)
    assert host.status(IoOpcode.FLUSH, nsid=1) == OK
    assert rig.tcp_target.counters.data_digest_errors == 1


@pytest.mark.parametrize("cattr", [0, 4])
def test_success_comes_with_data_only_where_sq_flow_control_is_off(cattr: int) -> None:
    rig = TcpRig(MemoryStore(1 << 20))
    host = raw_io(rig, cattr=cattr)[1]
    host.send(host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1))
    data, *rest = host.take()
    assert bool(data.flags & TcpPduFlag.SUCCESS) == bool(cattr)
    assert data.flags & TcpPduFlag.LAST
    assert len(rest) == (0 if cattr else 1)


def test_admin_data_ends_with_success_too_where_sq_flow_control_is_off() -> None:
    rig = TcpRig()
    host = RawHost(rig)
    host.initialize()
    assert host.connect(cattr=4).status == 0
    host.enable()
    host.send(host.capsule(AdminOpcode.IDENTIFY, sgl=outside(4096), cdw10=1))
    [data] = host.take()
    assert data.flags & TcpPduFlag.SUCCESS


@pytest.mark.parametrize("digests", DIGESTS)
@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_run_of_commands_is_answered_one_by_one_in_order(digests: int, shortcuts: bool) -> None:
    rig = TcpRig(MemoryStore(1 << 20), target=TcpTargetConfig(shortcuts=shortcuts))
    host = raw_io(rig, entries=128, digests=digests)[1]
    for block in range(100):
        rig.subsystem.namespaces[1].store.write(block, [memoryview(bytes([block]) * 4096)])
    capsules = [host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1, cdw10=block) for block in range(100)]
    capsules[50] = host.capsule(IoOpcode.WRITE, sgl=in_capsule(4096), data=b"w" * 4096, nsid=1, cdw10=50)
    capsules[60] = host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=99)
    host.send(b"".join(capsules))
    host.run(50_000_000)
    answers = host.take()
    reads = [each for each in answers if each.kind is TcpPduKind.CONTROLLER_DATA]
    assert [each.data[0] for each in reads] == [block for block in range(100) if block not in (50, 60)]
    assert len([each for each in answers if each.kind is TcpPduKind.COMPLETION]) == 100
    failed = [completion(each).status for each in answers if each.kind is TcpPduKind.COMPLETION]
    assert sum(map(bool, failed)) == 1


def test_disconnect_ends_the_queue_right_after_its_answer() -> None:
    rig = TcpRig()
    admin, io = raw_io(rig)
    before = rig.simulation.now
    assert io.status(AdminOpcode.FABRICS, nsid=FabricsType.DISCONNECT) == OK
    rig.run_until(lambda: rig.tcp_target.queue_count == 1)
    rig.run_until(lambda: io.is_closed)
    assert rig.simulation.now - before < 10_000_000
    assert admin.status(AdminOpcode.KEEP_ALIVE) == OK


def test_nothing_but_connect_is_taken_on_a_fresh_connection() -> None:
    host = RawHost(TcpRig())
    host.initialize()
    assert host.status(AdminOpcode.IDENTIFY, sgl=outside(4096), cdw10=1) == StatusCode.INVALID_OPCODE
    assert host.connect().status == 0


def test_a_refused_connect_may_be_tried_again() -> None:
    host = RawHost(TcpRig())
    host.initialize()
    assert status_code(host.connect(nqn="nqn.2026-11.io.baremetal:other").status)
    assert host.connect().status == 0
    assert raw_admin(TcpRig()).connect().status >> 1 & 0xFF == StatusCode.COMMAND_SEQUENCE_ERROR
