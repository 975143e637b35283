"""The handshake: every option, what is wrong with options, and clients that take their time."""

from __future__ import annotations

import pytest

from stacks.nvme.nbd import NbdConfig
from tests.stacks.nvme.nbd.client import named
from tests.stacks.nvme.nbd.rig import SECOND, NbdRig
from wire.nbd import (
    HandshakeFlag,
    Info,
    NbdGreeting,
    NbdInfoBlockSize,
    NbdOption,
    Option,
    OptionReply,
    TransmissionFlag,
)

FLAGS = TransmissionFlag
ACK, INFO = OptionReply.ACK, OptionReply.INFO


def test_a_server_greets_with_fixed_newstyle_and_no_zeroes() -> None:
    client = NbdRig().connect()
    expected = NbdGreeting(flags=HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES)
    assert client.core.greeting == expected


@pytest.mark.parametrize("is_structured", [True, False])
def test_go_tells_size_and_flags_and_begins_transmission(is_structured: bool) -> None:
    client = NbdRig().client(is_structured=is_structured)
    assert client.core.size == 1 << 20
    common = FLAGS.HAS_FLAGS | FLAGS.SEND_FLUSH | FLAGS.SEND_FUA | FLAGS.CAN_MULTI_CONN
    changes = FLAGS.SEND_TRIM | FLAGS.SEND_WRITE_ZEROES | FLAGS.SEND_FAST_ZERO
    assert client.core.flags == common | changes | (FLAGS.SEND_DF if is_structured else 0)
    assert client.read(0, 512) == bytes(512)


def test_a_read_only_export_offers_no_changes() -> None:
    flags = NbdRig(is_read_only=True).client().core.flags
    assert flags & FLAGS.READ_ONLY
    assert not flags & (FLAGS.SEND_TRIM | FLAGS.SEND_WRITE_ZEROES | FLAGS.SEND_FAST_ZERO)


def test_what_the_backend_cannot_is_not_offered() -> None:
    flags = NbdRig(can_trim=False, can_write_zeroes=False).client().core.flags
    assert flags & FLAGS.SEND_WRITE_ZEROES
    assert not flags & (FLAGS.SEND_TRIM | FLAGS.SEND_FAST_ZERO)


def test_info_tells_what_is_asked_and_goes_no_further() -> None:
    client = NbdRig(name="disk", description="a disk").connect()
    client.core.say_flags()
    wanted = (Info.BLOCK_SIZE, Info.NAME, Info.DESCRIPTION, 77)
    assert client.option(Option.INFO, named("disk", wanted)) == [INFO, INFO, INFO, INFO, ACK]
    assert not client.core.is_transmitting
    parts = [data for _, data in client.core.answers[-1].parts]
    assert NbdInfoBlockSize.decode(parts[1]) == NbdInfoBlockSize(minimum=1, preferred=4096, maximum=32 << 20)
    assert parts[2:4] == [b"\0\1disk", b"\0\2a disk"]
    assert client.option(Option.GO, named("disk")) == [INFO, ACK]


def test_the_empty_name_and_its_own_stand_for_an_export_and_others_do_not() -> None:
    rig = NbdRig(name="disk")
    assert rig.client("").core.size == rig.client("disk").core.size == 1 << 20
    client = rig.connect()
    client.core.say_flags()
    for option in (Option.INFO, Option.GO):
        assert client.option(option, named("other")) == [OptionReply.UNKNOWN]
    assert client.option(Option.GO, named("disk")) == [INFO, ACK]


def test_list_names_the_export_with_its_description() -> None:
    client = NbdRig(name="disk", description="a disk").connect()
    client.core.say_flags()
    assert client.option(Option.LIST) == [OptionReply.SERVER, ACK]
    assert client.core.answers[-1].parts[0][1] == b"\0\0\0\4diska disk"


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_export_name_begins_transmission_with_padding_unless_agreed_otherwise(flags: int) -> None:
    client = NbdRig(name="disk").connect()
    client.core.say_flags(flags)
    assert client.option(Option.EXPORT_NAME, b"disk") == []
    assert (client.core.is_transmitting, client.core.size) == (True, 1 << 20)
    assert client.read(512, 512) == bytes(512)


def test_export_name_of_nothing_ends_the_connection() -> None:
    client = NbdRig(name="disk").connect()
    client.core.say_flags()
    client.option(Option.EXPORT_NAME, b"other")
    assert client.core.has_ended
    assert not client.core.is_transmitting


def test_abort_is_acknowledged_and_ends_the_connection() -> None:
    rig = NbdRig()
    client = rig.connect()
    client.core.say_flags()
    assert client.option(Option.ABORT, b"with data") == [ACK]
    rig.run_until(lambda: client.core.has_ended)
    assert rig.server.is_drained


OPTIONS = [
    (Option.STARTTLS, b"", OptionReply.UNSUPPORTED),
    (Option.PEEK_EXPORT, b"", OptionReply.UNSUPPORTED),
    (Option.LIST_META_CONTEXT, named(""), OptionReply.UNSUPPORTED),
    (Option.SET_META_CONTEXT, named(""), OptionReply.UNSUPPORTED),
    (Option.EXTENDED_HEADERS, b"", OptionReply.UNSUPPORTED),
    (0, b"", OptionReply.UNSUPPORTED),
    (0xFFFFFFFF, bytes(100), OptionReply.UNSUPPORTED),
    (Option.LIST, b"x", OptionReply.INVALID),
    (Option.STRUCTURED_REPLY, b"x", OptionReply.INVALID),
    (Option.GO, b"", OptionReply.INVALID),
    (Option.GO, bytes(5), OptionReply.INVALID),
    (Option.GO, b"\0\0\0\1\0\0", OptionReply.INVALID),
    (Option.GO, b"\xff\xff\xff\xff\0\0", OptionReply.INVALID),
    (Option.GO, named("")[:-2] + b"\0\1", OptionReply.INVALID),
    (Option.GO, named("") + b"\0", OptionReply.INVALID),
    (Option.INFO, named("", [3])[:-1], OptionReply.INVALID),
    (Option.INFO, named("x" * 4097), OptionReply.INVALID),
    (Option.INFO, named("\0"), OptionReply.UNKNOWN),
    (Option.INFO, b"\0\0\0\1\xff\0\0", OptionReply.UNKNOWN),
    (Option.INFO, bytes(16385), OptionReply.TOO_BIG),
    (Option.LIST, bytes(1 << 20), OptionReply.TOO_BIG),
]


@pytest.mark.parametrize(("option", "data", "answer"), OPTIONS)
def test_an_option_that_cannot_be_followed_is_answered_and_the_next_is_read(
    option: int, data: bytes, answer: OptionReply
) -> None:
    client = NbdRig().connect()
    client.core.say_flags()
    assert client.option(option, data) == [answer]
    assert client.option(Option.GO, named("")) == [INFO, ACK]
    assert client.read(0, 512) == bytes(512)


VIOLATIONS = [
    b"\0\0\0\4",
    b"\x80\0\0\3",
    b"\0\0\0\3" + b"IHAVEOPS" + bytes(8),
    b"\0\0\0\3" + NbdOption(option=Option.LIST, length=(1 << 20) + 1).encode(),
    b"\0\0\0\3" + NbdOption(option=Option.EXPORT_NAME, length=16385).encode(),
    b"\0\0\0\3" + NbdOption(option=Option.GO, length=0xFFFFFFFF).encode(),
]


@pytest.mark.parametrize("said", VIOLATIONS)
def test_what_cannot_be_answered_ends_the_connection_and_is_counted(said: bytes) -> None:
    rig = NbdRig()
    client = rig.connect()
    client.core.outgoing += said
    client.run_until(lambda: client.core.has_ended)
    assert rig.server.counters.protocol_errors == 1
    assert rig.client().read(0, 512) == bytes(512)


def test_everything_may_be_said_at_once() -> None:
    rig = NbdRig()
    client = rig.connect()
    core = client.core
    core.say_flags()
    core.say_option(99, b"skip me")
    core.say_option(Option.LIST, bytes(20000))
    core.say_option(Option.STRUCTURED_REPLY)
    core.say_go("")
    cookie = core.say_write(512, b"x" * 512)
    assert client.finish(cookie)[0].error == 0
    assert [answer.kinds[-1] for answer in core.answers] == [
        OptionReply.UNSUPPORTED,
        OptionReply.TOO_BIG,
        ACK,
        ACK,
    ]
    assert rig.disk.memory[512:1024] == b"x" * 512


def test_a_client_that_takes_too_long_is_turned_away_and_one_that_uses_the_export_is_not() -> None:
    rig = NbdRig(config=NbdConfig(handshake_ns=10 * SECOND))
    user = rig.client()
    silent, slow = rig.connect(), rig.connect()
    for _ in range(4):
        rig.run_for(3 * SECOND)
        if not slow.core.has_ended:
            if not slow.core.answers:
                slow.core.say_flags()
            slow.core.say_option(Option.LIST)
            slow.wake()
    rig.run_for(3 * SECOND)
    assert silent.core.has_ended
    assert slow.core.has_ended
    assert rig.server.counters.clients_timed_out == 2
    assert user.read(0, 512) == bytes(512)


def test_who_reads_no_answers_is_not_heard_until_he_does() -> None:
    rig = NbdRig(description="x" * 4000, capacity_bytes=1 << 14)
    client = rig.connect()
    client.core.is_deaf = True
    client.core.say_flags()
    for _ in range(500):
        client.core.say_go("", Info.DESCRIPTION, option=Option.INFO)
    client.say()
    (served,) = rig.server.clients
    assert sum(map(len, served.poll_output())) < 70_000
    client.core.is_deaf = False
    client.run_until(lambda: len(client.core.answers) == 500 and client.core.answers[-1].kinds[-1] == ACK)
