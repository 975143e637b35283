"""The codecs read sessions of other people's programs, and write every byte of them again."""

from __future__ import annotations

import pytest

from tests.wire.nbd.transcript import NAMELESS, NAMES, client_messages, server_messages, side
from wire.nbd import (
    ChunkFlag,
    CommandFlag,
    CommandKind,
    HandshakeFlag,
    Info,
    NbdClientFlags,
    NbdDataChunk,
    NbdError,
    NbdErrorChunk,
    NbdGreeting,
    NbdHoleChunk,
    NbdInfoBlockSize,
    NbdInfoExport,
    NbdOption,
    NbdOptionReply,
    NbdRequest,
    NbdSimpleReply,
    Option,
    OptionReply,
    TransmissionFlag,
)


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_of_a_session_is_written_as_it_was_read(name: str) -> None:
    for letter, messages in (("C", client_messages), ("S", server_messages)):
        raw = side(name, letter)
        assert b"".join(head.encode() + rest for head, rest in messages(raw)) == raw


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_speak_fixed_newstyle_and_every_option_is_answered(name: str) -> None:
    (greeting, _), *replies = server_messages(side(name, "S"))
    (flags, _), *asked = client_messages(side(name, "C"))
    assert isinstance(greeting, NbdGreeting)
    assert isinstance(flags, NbdClientFlags)
    assert greeting.init_magic == NbdGreeting().init_magic
    assert greeting.flags == flags.flags == HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
    options = [message.option for message, _ in asked if isinstance(message, NbdOption)]
    final = [
        reply.option for reply, _ in replies if isinstance(reply, NbdOptionReply) and reply.kind == OptionReply.ACK
    ]
    assert options == final
    assert all(bool(data) == (m.option not in NAMELESS) for m, data in asked if isinstance(m, NbdOption))


def test_what_nbdkit_tells_of_an_export() -> None:
    infos = [data for reply, data in server_messages(side("qemuio_nbdkit", "S")) if is_info(reply)]
    export = NbdInfoExport.decode(infos[0])
    assert (export.info, export.size) == (Info.EXPORT, 1 << 20)
    assert export.flags & (TransmissionFlag.HAS_FLAGS | TransmissionFlag.SEND_DF | TransmissionFlag.READ_ONLY) == 0x81


def test_what_qemu_nbd_tells_of_block_sizes() -> None:
    infos = [data for reply, data in server_messages(side("qemuio_qemunbd", "S")) if is_info(reply)]
    size = next(NbdInfoBlockSize.decode(data) for data in infos if data[1] == Info.BLOCK_SIZE)
    assert (size.minimum, size.preferred, size.maximum) == (1, 4096, 32 << 20)


def test_the_requests_of_qemu_io_are_those_that_were_typed() -> None:
    requests = [
        (CommandKind(message.kind), CommandFlag(message.flags), message.offset, message.length)
        for message, _ in client_messages(side("qemuio_nbdkit", "C"))
        if isinstance(message, NbdRequest)
    ]
    fua, no_hole = CommandFlag.FUA, CommandFlag.NO_HOLE
    assert requests[:6] == [
        (CommandKind.WRITE, fua, 0, 512),
        (CommandKind.READ, 0, 0, 512),
        (CommandKind.WRITE, fua, 4096, 16),
        (CommandKind.WRITE_ZEROES, fua | no_hole, 8192, 4096),
        (CommandKind.WRITE_ZEROES, fua, 12288, 4096),
        (CommandKind.TRIM, 0, 16384, 4096),
    ]
    assert {request[0] for request in requests[6:-1]} == {CommandKind.FLUSH}
    assert requests[-1] == (CommandKind.DISC, 0, 0, 0)


def test_replies_carry_the_cookies_data_holes_and_errors_of_their_requests() -> None:
    replies = server_messages(side("qemuio_nbdkit", "S")) + server_messages(side("qemuio_qemunbd", "S"))
    (seven, data), (hello, text) = ((head, rest) for head, rest in replies if isinstance(head, NbdDataChunk))
    assert (seven.flags, seven.offset, seven.length, data) == (ChunkFlag.DONE, 0, 520, b"\7" * 512)
    assert text == b"hello" + bytes(507)
    (hole,) = (head for head, _ in replies if isinstance(head, NbdHoleChunk))
    assert (hole.offset, hole.size, hole.length) == (65536, 4096, 12)
    cookies = {m.cookie for m, _ in client_messages(side("qemuio_nbdkit", "C")) if isinstance(m, NbdRequest)}
    assert {head.cookie for head, _ in replies if isinstance(head, NbdSimpleReply)} - cookies == {hello.cookie}
    (error,) = (head for head, _ in server_messages(side("error_nbdkit", "S")) if isinstance(head, NbdErrorChunk))
    assert (error.error, error.message_bytes) == (NbdError.EIO, 0)


def test_a_list_names_the_export_and_describes_it() -> None:
    messages = server_messages(side("list_qemunbd", "S"))
    (listed,) = (
        data for reply, data in messages if isinstance(reply, NbdOptionReply) and reply.kind == OptionReply.SERVER
    )
    length = int.from_bytes(listed[:4], "big")
    assert (listed[4 : 4 + length], listed[4 + length :]) == (b"name", b"a-description")
    options = [m.option for m, _ in client_messages(side("list_qemunbd", "C")) if isinstance(m, NbdOption)]
    assert options[-1] == Option.ABORT


def is_info(reply: object) -> bool:
    return isinstance(reply, NbdOptionReply) and reply.kind == OptionReply.INFO
