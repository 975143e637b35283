"""Requests and their replies: every command, every flag, and everything that is wrong with them."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.nbd.errors import nbd_error
from tests.stacks.nvme.nbd.disk import Disk, Operation
from tests.stacks.nvme.nbd.rig import NbdRig
from wire.nbd import CommandFlag, CommandKind, NbdError, NbdRequest
from wire.nvme.status import StatusCode

MIB = 1 << 20
FUA, NO_HOLE, DF = CommandFlag.FUA, CommandFlag.NO_HOLE, CommandFlag.DF
REQ_ONE, FAST_ZERO = CommandFlag.REQ_ONE, CommandFlag.FAST_ZERO
both_kinds_of_replies = pytest.mark.parametrize("is_structured", [True, False], ids=["structured", "simple"])


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@both_kinds_of_replies
@pytest.mark.parametrize("size", [512, 4096, 65536, 300 * 512, MIB])
def test_what_was_written_is_read(is_structured: bool, size: int) -> None:
    rig = NbdRig(Disk(block_count=4096))
    client = rig.client(is_structured=is_structured)
    data = noise(size)
    assert client.write(1024, data).error == 0
    assert client.read(1024, size) == data
    assert client.read(512, 512) == bytes(512)
    assert (rig.server.counters.bytes_read, rig.server.counters.bytes_written) == (size + 512, size)


@both_kinds_of_replies
def test_replies_come_in_the_order_in_which_the_disk_is_done_and_are_told_apart_by_cookies(is_structured: bool) -> None:
    rig = NbdRig(Disk(rng=random.Random(3)))
    rig.disk.memory[:] = noise(MIB)
    client = rig.client(is_structured=is_structured)
    asked = {client.core.say_request(CommandKind.READ, at * 512, 512): at for at in range(64)}
    client.finish(*asked)
    assert client.core.order != list(asked)
    for cookie, at in asked.items():
        assert client.core.replies[cookie].data == rig.disk.memory[at * 512 : at * 512 + 512]


def test_a_read_is_one_chunk_whether_that_is_asked_for_or_not() -> None:
    client = NbdRig(Disk(block_count=4096)).client()
    for flags in (0, DF):
        assert client.do(CommandKind.READ, 0, MIB, flags=flags).chunks == 1


def test_flush_and_fua_reach_the_disk() -> None:
    rig = NbdRig()
    client = rig.client()
    assert client.write(0, bytes(512), flags=FUA).error == 0
    assert client.write(512, bytes(512)).error == 0
    assert client.do(CommandKind.FLUSH).error == 0
    assert client.do(CommandKind.FLUSH, flags=FUA).error == 0
    assert rig.disk.operations == [
        Operation("write", 0, 1, is_fua=True),
        Operation("write", 1, 1),
        Operation("flush"),
        Operation("flush"),
    ]


def test_a_flush_is_not_answered_before_the_disk_says_so() -> None:
    rig = NbdRig()
    client = rig.client()
    rig.disk.is_held = True
    cookie = client.core.say_request(CommandKind.FLUSH)
    client.say()
    assert cookie not in client.core.replies
    rig.let_disk_go_on()
    assert client.finish(cookie)[0].error == 0


@pytest.mark.parametrize(
    ("kind", "verb"), [(CommandKind.TRIM, "trim"), (CommandKind.WRITE_ZEROES, "zeroes")], ids=["trim", "zeroes"]
)
def test_trim_and_zeroes_are_one_command_and_with_fua_a_flush_follows(kind: CommandKind, verb: str) -> None:
    rig = NbdRig()
    rig.disk.memory[:] = noise(MIB)
    client = rig.client()
    assert client.do(kind, 1024, 4096).error == 0
    assert rig.disk.memory[1024:5120] == bytes(4096)
    assert client.do(kind, 8192, 512, flags=FUA).error == 0
    assert rig.disk.operations == [Operation(verb, 2, 8), Operation(verb, 16, 1), Operation("flush")]


@pytest.mark.parametrize("has_command", [True, False], ids=["command", "no command"])
def test_zeroes_that_must_not_be_a_hole_are_written_out(has_command: bool) -> None:
    rig = NbdRig(Disk(block_count=8192), can_write_zeroes=has_command)
    rig.disk.memory[:] = noise(4 * MIB)
    client = rig.client()
    flags = NO_HOLE if has_command else 0
    assert client.do(CommandKind.WRITE_ZEROES, 512, 3 * MIB, flags=flags | FUA).error == 0
    assert rig.disk.memory[512 : 512 + 3 * MIB] == bytes(3 * MIB)
    assert rig.disk.verbs() == ["write"] * 3 + ["flush"]
    before = noise(4 * MIB)
    assert rig.disk.memory[:512] == before[:512]
    assert rig.disk.memory[512 + 3 * MIB :] == before[512 + 3 * MIB :]


def test_zeroes_that_cannot_be_written_out_say_why() -> None:
    rig = NbdRig(Disk(block_count=8192))
    rig.disk.status["write"] = StatusCode.CAPACITY_EXCEEDED
    assert rig.client().do(CommandKind.WRITE_ZEROES, 0, 3 * MIB, flags=NO_HOLE).error == NbdError.ENOSPC
    assert rig.disk.verbs() == ["write"]


def test_fast_zeroes_are_done_where_they_are_fast_and_refused_where_not() -> None:
    client = NbdRig().client()
    assert client.do(CommandKind.WRITE_ZEROES, 0, 1024, flags=FAST_ZERO).error == 0
    assert client.do(CommandKind.WRITE_ZEROES, 0, 1024, flags=FAST_ZERO | NO_HOLE).error == NbdError.ENOTSUP
    assert client.do(CommandKind.WRITE_ZEROES, 0, 1000, flags=FAST_ZERO).error == NbdError.ENOTSUP
    assert client.do(CommandKind.WRITE_ZEROES, 100, 1024, flags=FAST_ZERO).error == NbdError.ENOTSUP
    slow = NbdRig(can_write_zeroes=False).client()
    assert slow.do(CommandKind.WRITE_ZEROES, 0, 1024, flags=FAST_ZERO).error == NbdError.EINVAL


REFUSED = [
    (CommandKind.READ, MIB, 512, 0, NbdError.EINVAL),
    (CommandKind.READ, MIB - 512, 1024, 0, NbdError.EINVAL),
    (CommandKind.READ, 0xFFFFFFFFFFFFFE00, 512, 0, NbdError.EINVAL),
    (CommandKind.READ, 0, 0xFFFFFE00, 0, NbdError.EINVAL),
    (CommandKind.READ, 0, 512, NO_HOLE, NbdError.EINVAL),
    (CommandKind.READ, 0, 512, REQ_ONE, NbdError.EINVAL),
    (CommandKind.READ, 0, 512, 1 << 15, NbdError.EINVAL),
    (CommandKind.WRITE, MIB, 512, 0, NbdError.ENOSPC),
    (CommandKind.WRITE, MIB - 512, 1024, 0, NbdError.ENOSPC),
    (CommandKind.WRITE, 0, 512, DF, NbdError.EINVAL),
    (CommandKind.WRITE, 0, 512, NO_HOLE, NbdError.EINVAL),
    (CommandKind.TRIM, MIB - 512, 1024, 0, NbdError.EINVAL),
    (CommandKind.TRIM, 0, 512, FAST_ZERO, NbdError.EINVAL),
    (CommandKind.WRITE_ZEROES, MIB - 512, 1024, 0, NbdError.ENOSPC),
    (CommandKind.WRITE_ZEROES, 0, 512, DF, NbdError.EINVAL),
    (CommandKind.FLUSH, 0, 512, 0, NbdError.EINVAL),
    (CommandKind.FLUSH, 512, 0, 0, NbdError.EINVAL),
    (CommandKind.FLUSH, 0, 0, NO_HOLE, NbdError.EINVAL),
    (CommandKind.CACHE, 0, 512, 0, NbdError.EINVAL),
    (CommandKind.BLOCK_STATUS, 0, 512, 0, NbdError.EINVAL),
    (8, 0, 0, 0, NbdError.EINVAL),
    (0xFFFF, 0, 0, 0, NbdError.EINVAL),
]


@both_kinds_of_replies
@pytest.mark.parametrize(("kind", "offset", "length", "flags", "error"), REFUSED)
def test_a_request_that_cannot_be_is_refused_and_the_next_is_carried_out(
    is_structured: bool, kind: int, offset: int, length: int, flags: int, error: NbdError
) -> None:
    rig = NbdRig()
    client = rig.client(is_structured=is_structured)
    data = bytes(length) if kind == CommandKind.WRITE else b""
    reply = client.do(kind, offset, length, flags=flags, data=data)
    assert reply.error == error
    assert bool(reply.message) == is_structured
    assert rig.disk.operations == []
    assert rig.server.counters.errors == 1
    assert client.read(0, 512) == bytes(512)


def test_df_is_unknown_without_structured_replies() -> None:
    assert NbdRig().client(is_structured=False).do(CommandKind.READ, 0, 512, flags=DF).error == NbdError.EINVAL


def test_fua_is_borne_on_every_command() -> None:
    client = NbdRig().client()
    for kind in (CommandKind.READ, CommandKind.FLUSH, CommandKind.TRIM, CommandKind.WRITE_ZEROES):
        length = 0 if kind == CommandKind.FLUSH else 512
        assert client.do(kind, 0, length, flags=FUA).error == 0


@pytest.mark.parametrize("kind", [CommandKind.WRITE, CommandKind.TRIM, CommandKind.WRITE_ZEROES])
def test_a_read_only_export_refuses_changes(kind: CommandKind) -> None:
    rig = NbdRig(is_read_only=True)
    client = rig.client()
    data = bytes(512) if kind == CommandKind.WRITE else b""
    assert client.do(kind, 0, 512, data=data).error == NbdError.EPERM
    assert client.do(CommandKind.FLUSH).error == 0
    assert client.read(0, 512) == bytes(512)


def test_trim_is_unknown_where_the_backend_has_none() -> None:
    assert NbdRig(can_trim=False).client().do(CommandKind.TRIM, 0, 512).error == NbdError.EINVAL


@both_kinds_of_replies
@pytest.mark.parametrize("kind", [CommandKind.READ, CommandKind.WRITE, CommandKind.TRIM, CommandKind.WRITE_ZEROES])
def test_a_request_of_nothing_does_nothing_with_success(is_structured: bool, kind: CommandKind) -> None:
    rig = NbdRig()
    client = rig.client(is_structured=is_structured)
    for offset in (0, 100, MIB):
        assert client.do(kind, offset, 0).error == 0
    assert rig.disk.operations == []


@pytest.mark.slow
def test_data_of_a_refused_write_is_skipped_however_much_it_is() -> None:
    rig = NbdRig()
    client = rig.client()
    size = (32 << 20) + 1
    cookie = client.core.say_write(0, bytes(size))
    after = client.core.say_write(512, b"x" * 512)
    too_far, fine = client.finish(cookie, after)
    assert (too_far.error, fine.error) == (NbdError.ENOSPC, 0)
    assert rig.disk.memory[512:1024] == b"x" * 512
    rig = NbdRig(Disk(4096, 10240))
    client = rig.client()
    assert client.write(0, bytes(size)).error == NbdError.EINVAL
    assert rig.disk.operations == []


@pytest.mark.slow
@both_kinds_of_replies
def test_the_largest_request_is_carried_out(is_structured: bool) -> None:
    rig = NbdRig(Disk(4096, 10240), cuts=False, capacity_bytes=1 << 22)
    client = rig.client(is_structured=is_structured)
    data = noise(MIB) * 32
    assert client.write(4096, data).error == 0
    assert client.read(4096, len(data)) == data
    assert client.read(4096 + 100, len(data) - 200) == data[100:-100]


STATUSES = [
    ("read", CommandKind.READ, StatusCode.UNRECOVERED_READ_ERROR, NbdError.EIO),
    ("read", CommandKind.READ, StatusCode.LBA_OUT_OF_RANGE, NbdError.EINVAL),
    ("read", CommandKind.READ, StatusCode.HOST_PATH_ERROR, NbdError.EIO),
    ("write", CommandKind.WRITE, StatusCode.CAPACITY_EXCEEDED, NbdError.ENOSPC),
    ("write", CommandKind.WRITE, StatusCode.LBA_OUT_OF_RANGE, NbdError.ENOSPC),
    ("write", CommandKind.WRITE, StatusCode.NAMESPACE_WRITE_PROTECTED, NbdError.EPERM),
    ("write", CommandKind.WRITE, StatusCode.RESERVATION_CONFLICT, NbdError.EPERM),
    ("write", CommandKind.WRITE, StatusCode.WRITE_FAULT, NbdError.EIO),
    ("flush", CommandKind.FLUSH, StatusCode.INTERNAL_ERROR, NbdError.EIO),
    ("trim", CommandKind.TRIM, StatusCode.INVALID_FIELD, NbdError.EINVAL),
    ("zeroes", CommandKind.WRITE_ZEROES, StatusCode.INVALID_OPCODE, NbdError.EINVAL),
]


@both_kinds_of_replies
@pytest.mark.parametrize(("verb", "kind", "status", "error"), STATUSES)
def test_what_the_disk_says_becomes_an_error_that_nbd_knows(
    is_structured: bool, verb: str, kind: CommandKind, status: StatusCode, error: NbdError
) -> None:
    rig = NbdRig()
    rig.disk.status[verb] = status
    client = rig.client(is_structured=is_structured)
    length = 0 if kind == CommandKind.FLUSH else 512
    data = bytes(length) if kind == CommandKind.WRITE else b""
    reply = client.do(kind, 0, length, data=data)
    assert reply.error == error
    assert reply.message == (f"status {status:#x}" if is_structured else "")
    rig.disk.status.clear()
    assert client.do(kind, 0, length, data=data).error == 0


def test_every_status_is_some_error_that_nbd_has() -> None:
    for status in range(1, 0x800):
        for is_change in (True, False):
            assert nbd_error(status, is_change=is_change) in NbdError


@pytest.mark.parametrize("kind", [CommandKind.READ, CommandKind.WRITE, CommandKind.FLUSH, CommandKind.TRIM,
                                  CommandKind.WRITE_ZEROES])  # fmt: skip
@pytest.mark.parametrize("offset", [0, 100], ids=["aligned", "unaligned"])
def test_a_disk_that_cannot_be_asked_is_an_error_with_its_reason(kind: CommandKind, offset: int) -> None:
    rig = NbdRig()
    rig.disk.failure = "there is no connection"
    client = rig.client()
    offset = 0 if kind == CommandKind.FLUSH else offset
    length = 0 if kind == CommandKind.FLUSH else 1024
    data = bytes(length) if kind == CommandKind.WRITE else b""
    for _ in range(3):
        reply = client.do(kind, offset, length, data=data)
        assert (reply.error, reply.message) == (NbdError.EIO, "there is no connection")
    rig.disk.failure = ""
    assert client.read(0, 512) == bytes(512)


def test_a_disk_that_is_done_at_once_is_no_different() -> None:
    rig = NbdRig()
    rig.disk.ends_at_once = True
    client = rig.client()
    data = noise(3000)
    assert client.write(100, data).error == 0
    assert client.read(100, 3000) == data
    assert client.do(CommandKind.WRITE_ZEROES, 99, 1000, flags=FUA).error == 0
    assert client.do(CommandKind.TRIM, 2048, 1024, flags=FUA).error == 0
    assert client.read(99, 1000) == bytes(1000)


@pytest.mark.parametrize("flags", [0, FUA])
def test_a_disconnect_ends_the_connection_when_everything_is_answered(flags: int) -> None:
    rig = NbdRig()
    client = rig.client()
    rig.disk.is_held = True
    cookies = [client.core.say_write(at * 512, bytes(512)) for at in range(10)]
    client.core.say_request(CommandKind.DISC, flags=flags)
    client.say()
    assert not client.core.has_ended
    rig.let_disk_go_on()
    replies = client.finish(*cookies)
    assert [reply.error for reply in replies] == [0] * 10
    rig.run_until(lambda: client.core.has_ended)
    assert client.core.failure == ""
    assert rig.server.is_drained


def test_what_is_said_after_a_disconnect_is_not_heard() -> None:
    rig = NbdRig()
    client = rig.client()
    client.core.say_request(CommandKind.DISC)
    client.core.say_write(0, bytes(512))
    client.run_until(lambda: client.core.has_ended)
    assert rig.disk.operations == []


@pytest.mark.parametrize("magic", [0, 0x12560953, 0x21E41C71, 0x25609514])
def test_a_wrong_magic_ends_the_connection_and_is_counted(magic: int) -> None:
    rig = NbdRig()
    client = rig.client()
    client.core.outgoing += NbdRequest(magic=magic, length=512).encode()
    client.run_until(lambda: client.core.has_ended)
    assert rig.server.counters.protocol_errors == 1
    assert rig.client().read(0, 512) == bytes(512)


def test_a_client_that_vanishes_takes_nobody_with_it() -> None:
    rig = NbdRig()
    client, other = rig.client(), rig.client()
    rig.disk.is_held = True
    for at in range(10):
        client.core.say_write(at * 512, b"x" * 512)
    client.core.say_request(CommandKind.WRITE, 8192, 512, data=b"half")
    client.say()
    rig.world.cut(client.address)
    rig.run_for()
    assert not rig.server.is_drained
    rig.let_disk_go_on()
    rig.run_for()
    assert rig.disk.memory[:5120] == b"x" * 5120
    assert len(rig.server.clients) == 1
    assert other.read(0, 512) == b"x" * 512
    other.core.say_request(CommandKind.DISC)
    other.run_until(lambda: other.core.has_ended)
    assert rig.server.is_drained


def test_a_client_that_sends_no_more_still_gets_its_answers() -> None:
    rig = NbdRig()
    client = rig.client()
    rig.disk.is_held = True
    cookie = client.core.say_write(0, b"x" * 512)
    client.core.say_request(CommandKind.WRITE, 512, 512, data=b"half")
    client.core.is_finished = True
    client.say()
    rig.let_disk_go_on()
    assert client.finish(cookie)[0].error == 0
    rig.run_until(lambda: client.core.has_ended)
    assert rig.server.is_drained
    assert rig.disk.memory[:1024] == b"x" * 512 + bytes(512)
