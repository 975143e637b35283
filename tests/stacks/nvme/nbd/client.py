"""An NBD client of our own: what it says is built here, what it hears is cut into messages by the codecs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.wire.nbd.transcript import CHUNK_MAGIC, CHUNKS
from transports.datagram import Address, Buffer
from transports.stream import StreamCore
from wire.nbd import (
    ZEROES_BYTES,
    ChunkFlag,
    ChunkKind,
    CommandKind,
    NbdChunk,
    NbdClientFlags,
    NbdDataChunk,
    NbdErrorChunk,
    NbdExport,
    NbdGreeting,
    NbdInfoExport,
    NbdOption,
    NbdOptionReply,
    NbdRequest,
    NbdSimpleReply,
    Option,
    OptionReply,
)


@dataclass
class Reply:
    """What came for a request. chunks: how many; error, message: what went wrong; data: of a read."""

    error: int = 0
    message: str = ""
    data: bytes = b""
    chunks: int = 0


@dataclass
class OptionAnswer:
    """The answers to one option: kinds, and the data of each."""

    parts: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def kinds(self) -> list[int]:
        """The kinds in order; the last is final."""
        return [kind for kind, _ in self.parts]


class Client:
    """Sans-IO: take bytes to send from `outgoing`, give those that come to `hear`.

    answers: of options, in order; replies: of requests, by cookie; size, flags: of the export, once it is used.
    """

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self.greeting: NbdGreeting | None = None
        self.answers: list[OptionAnswer] = []
        self.replies: dict[int, Reply] = {}
        self.order: list[int] = []
        """Cookies in the order in which their replies were complete."""
        self.size = -1
        self.flags = 0
        self.is_transmitting = False
        self.has_ended = False
        self.failure = ""
        self._heard = bytearray()
        self._options: list[int] = []
        self._requests: dict[int, tuple[int, int]] = {}
        self._partial: dict[int, Reply] = {}
        self._cookie = 0
        self._no_zeroes = False

    # What it says

    def say_flags(self, flags: int = 3) -> None:
        """The client's flags."""
        self._no_zeroes = bool(flags & 2)
        self.outgoing += NbdClientFlags(flags=flags).encode()

    def say_option(self, option: int, data: bytes = b"", *, length: int | None = None) -> None:
        """An option; length: what its header says, if that is not so."""
        self._options.append(option)
        self.outgoing += NbdOption(option=option, length=len(data) if length is None else length).encode() + data

    def say_go(self, name: str = "", *infos: int, option: int = Option.GO) -> None:
        """GO or INFO."""
        self.say_option(option, named(name, infos))

    def say_request(
        self, kind: int, offset: int = 0, length: int = 0, *, flags: int = 0, data: bytes = b""
    ) -> int:
        """A request; returns its cookie."""
        self._cookie += 1
        cookie = self._cookie << 32 | 0xFEED
        self._requests[cookie] = kind, length
        request = NbdRequest(flags=flags, kind=kind, cookie=cookie, offset=offset, length=length)
        self.outgoing += request.encode() + data
        return cookie

    def say_write(self, offset: int, data: bytes, *, flags: int = 0) -> int:
        """A write; returns its cookie."""
        return self.say_request(CommandKind.WRITE, offset, len(data), flags=flags, data=data)

    # What it hears

    def hear(self, data: Buffer) -> None:
        """Bytes came."""
        self._heard += data
        while self._hear_one():
            pass

    def _hear_one(self) -> bool:
        heard = self._heard
        if self.greeting is None:
            return self._take(NbdGreeting.SIZE, self._greeted)
        if self.is_transmitting:
            return len(heard) >= 4 and self._hear_reply()
        if self._options[:1] == [Option.EXPORT_NAME]:
            padding = 0 if self._no_zeroes else ZEROES_BYTES
            return self._take(NbdExport.SIZE + padding, self._exported)
        if len(heard) < NbdOptionReply.SIZE:
            return False
        reply = NbdOptionReply.decode(heard)
        assert reply.magic == NbdOptionReply().magic, heard[:32].hex()
        return self._take(NbdOptionReply.SIZE + reply.length, self._answered)

    def _take(self, size: int, act: object) -> bool:
        if len(self._heard) < size:
            return False
        piece = bytes(self._heard[:size])
        del self._heard[:size]
        act(piece)  # type: ignore[operator]
        return True

    def _greeted(self, raw: bytes) -> None:
        self.greeting = NbdGreeting.decode(raw)

    def _exported(self, raw: bytes) -> None:
        export = NbdExport.decode(raw)
        assert not any(raw[NbdExport.SIZE :])
        self._options.pop(0)
        self._use(export.size, export.flags)

    def _answered(self, raw: bytes) -> None:
        reply, data = NbdOptionReply.decode(raw), raw[NbdOptionReply.SIZE :]
        assert reply.option == self._options[0]
        if not self.answers or (self.answers[-1].parts[-1:] and is_final(self.answers[-1].parts[-1][0])):
            self.answers.append(OptionAnswer())
        self.answers[-1].parts.append((reply.kind, data))
        if is_final(reply.kind):
            self._options.pop(0)
            if reply.option == Option.GO and reply.kind == OptionReply.ACK:
                export = NbdInfoExport.decode(next(data for kind, data in self.answers[-1].parts if kind == 3))
                self._use(export.size, export.flags)

    def _use(self, size: int, flags: int) -> None:
        self.size, self.flags, self.is_transmitting = size, flags, True

    def _hear_reply(self) -> bool:
        heard = self._heard
        if heard[:4] == CHUNK_MAGIC.to_bytes(4, "big"):
            if len(heard) < NbdChunk.SIZE:
                return False
            return self._take(NbdChunk.SIZE + NbdChunk.decode(heard).length, self._chunk)
        if len(heard) < NbdSimpleReply.SIZE:
            return False
        reply = NbdSimpleReply.decode(heard)
        assert reply.magic == NbdSimpleReply().magic, heard[:32].hex()
        kind, length = self._requests[reply.cookie]
        data = length if kind == CommandKind.READ and not reply.error else 0
        return self._take(NbdSimpleReply.SIZE + data, self._simple)

    def _simple(self, raw: bytes) -> None:
        reply = NbdSimpleReply.decode(raw)
        self._over(reply.cookie, Reply(error=reply.error, data=raw[reply.SIZE :]))

    def _chunk(self, raw: bytes) -> None:
        head = CHUNKS.get(NbdChunk.decode(raw).kind, NbdChunk).decode(raw)
        assert isinstance(head, NbdChunk | NbdDataChunk | NbdErrorChunk)
        reply = self._partial.setdefault(head.cookie, Reply())
        reply.chunks += 1
        if isinstance(head, NbdErrorChunk):
            reply.error = head.error
            reply.message = raw[head.SIZE :].decode()
            assert len(raw) == head.SIZE + head.message_bytes
        elif isinstance(head, NbdDataChunk):
            reply.data += raw[head.SIZE :]
        else:
            assert (head.kind, head.length) == (ChunkKind.NONE, 0)
        if head.flags & ChunkFlag.DONE:
            self._over(head.cookie, self._partial.pop(head.cookie))

    def _over(self, cookie: int, reply: Reply) -> None:
        assert cookie not in self.replies
        kind, length = self._requests[cookie]
        if kind == CommandKind.READ and not reply.error:
            assert len(reply.data) == length
        self.replies[cookie] = reply
        self.order.append(cookie)


class ClientCore(Client):
    """The same as a `StreamCore`. is_deaf: it reads nothing for now; is_active: it has something to say, or to hear."""

    def __init__(self) -> None:
        super().__init__()
        self.is_deaf = False
        self.is_active = False
        self.is_over = False
        self.discards = False
        self.is_finished = False
        self._buffer = memoryview(bytearray(1 << 16))

    def receive_views(self) -> Sequence[memoryview]:
        return () if self.is_deaf else (self._buffer,)

    def handle_received(self, length: int, now: int) -> None:
        self.hear(self._buffer[:length])

    def handle_ended(self, failure: str, now: int) -> None:
        self.has_ended, self.failure = True, failure
        self.is_over = True

    def poll_output(self) -> Sequence[Buffer]:
        return [bytes(self.outgoing)] if self.outgoing else []

    def sent(self, length: int) -> None:
        del self.outgoing[:length]


class Clients:
    """A `StreamEndpoint` of clients that connect to one place."""

    def __init__(self, place: Address) -> None:
        self.cores: list[ClientCore] = []
        self._place = place
        self._connects: list[tuple[StreamCore, Address]] = []

    def add(self) -> ClientCore:
        """One more."""
        core = ClientCore()
        self.cores.append(core)
        self._connects.append((core, self._place))
        return core

    def tick(self, now: int) -> None:
        pass

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        connects, self._connects = self._connects, []
        return connects

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:
        return None

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        active = [core for core in self.cores if core.is_active]
        for core in active:
            core.is_active = False
        return active

    def handle_timeout(self, now: int) -> None:
        return

    def poll_deadline(self) -> int | None:
        return None


def named(name: str, infos: Sequence[int] = ()) -> bytes:
    """Data of GO and INFO."""
    raw = name.encode()
    listed = b"".join(info.to_bytes(2, "big") for info in infos)
    return len(raw).to_bytes(4, "big") + raw + len(infos).to_bytes(2, "big") + listed


def is_final(kind: int) -> bool:
    """Whether no more answers to an option follow."""
    return kind == OptionReply.ACK or bool(kind >> 31)
