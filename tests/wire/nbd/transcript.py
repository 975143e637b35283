"""Recorded NBD sessions, cut into messages by the codecs.

Each file has a line for all that one side said before the other did: C or S, and the bytes in hex. They were recorded
between libnbd 1.14.2 (nbdinfo) or qemu-io 7.2, and nbdkit 1.32.5 or qemu-nbd 7.2, over a Unix socket.
"""

from __future__ import annotations

from pathlib import Path

from wire.header import Header
from wire.nbd import (
    ChunkKind,
    CommandKind,
    NbdChunk,
    NbdClientFlags,
    NbdDataChunk,
    NbdErrorChunk,
    NbdGreeting,
    NbdHoleChunk,
    NbdOption,
    NbdOptionReply,
    NbdRequest,
    NbdSimpleReply,
    Option,
)

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
REQUEST_MAGIC, CHUNK_MAGIC = NbdRequest().magic, NbdChunk().magic
OPTION_REPLY_MAGIC = NbdOptionReply().magic
Message = tuple[Header, bytes]
"""A message's fixed part, and what follows it."""


def side(name: str, letter: str) -> bytes:
    """All that one side of a session said."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    return b"".join(bytes.fromhex(line[2:]) for line in lines if line.startswith(letter))


def client_messages(raw: bytes) -> list[Message]:
    """What the client said."""
    flags = NbdClientFlags.decode(raw)
    found: list[Message] = [(flags, b"")]
    at = flags.SIZE
    while at < len(raw):
        message: NbdOption | NbdRequest
        if raw[at : at + 4] == REQUEST_MAGIC.to_bytes(4, "big"):
            message = NbdRequest.decode(raw, at)
            length = message.length if message.kind == CommandKind.WRITE else 0
        else:
            message = NbdOption.decode(raw, at)
            assert message.magic == NbdOption().magic
            length = message.length
        at += message.SIZE
        found.append((message, raw[at : at + length]))
        at += length
    assert at == len(raw)
    return found


def server_messages(raw: bytes) -> list[Message]:
    """What the server said, in a session with structured replies."""
    greeting = NbdGreeting.decode(raw)
    found: list[Message] = [(greeting, b"")]
    at = greeting.SIZE
    while at < len(raw):
        message, length = _server_message(raw, at)
        at += message.SIZE
        found.append((message, raw[at : at + length]))
        at += length
    assert at == len(raw)
    return found


def _server_message(raw: bytes, at: int) -> tuple[Header, int]:
    if raw[at : at + 8] == OPTION_REPLY_MAGIC.to_bytes(8, "big"):
        reply = NbdOptionReply.decode(raw, at)
        return reply, reply.length
    if raw[at : at + 4] != CHUNK_MAGIC.to_bytes(4, "big"):
        simple = NbdSimpleReply.decode(raw, at)
        assert simple.magic == NbdSimpleReply().magic
        return simple, 0
    chunk = NbdChunk.decode(raw, at)
    whole = CHUNKS.get(chunk.kind, NbdChunk).decode(raw, at)
    return whole, chunk.length - (whole.SIZE - chunk.SIZE)


CHUNKS: dict[int, type[Header]] = {
    ChunkKind.NONE.value: NbdChunk,
    ChunkKind.OFFSET_DATA.value: NbdDataChunk,
    ChunkKind.OFFSET_HOLE.value: NbdHoleChunk,
    ChunkKind.ERROR.value: NbdErrorChunk,
}
NAMELESS = frozenset({Option.ABORT, Option.LIST, Option.STRUCTURED_REPLY})
"""Options without data."""
