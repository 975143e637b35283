"""The handshake of one client: what it may ask for before it uses the export, each answered in full.

Follows the NBD project's doc/proto.md, fixed newstyle negotiation. Not there, and answered with UNSUPPORTED: STARTTLS,
metadata contexts (NVMe has no cheap answer to what is allocated), extended headers.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from stacks.nvme.nbd.export import Export
from stacks.nvme.nbd.replies import Replies
from wire.nbd import (
    STRING_BYTES_MAX,
    ZEROES_BYTES,
    HandshakeFlag,
    Info,
    NbdClientFlags,
    NbdExport,
    NbdGreeting,
    NbdInfoExport,
    NbdOption,
    NbdOptionReply,
    Option,
    OptionReply,
)


class Turn(Enum):
    """What follows from what a client said."""

    ON = "on"
    """More of the handshake."""
    CHOSEN = "chosen"
    """Transmission."""
    ABORTED = "aborted"
    """It wants to end."""
    VIOLATED = "violated"
    """It said what cannot be answered."""


class Handshake:
    """One client's.

    replies: where answers go. is_structured: whether replies are to be structured later. needs_room: whether the next
    option waits until answers are read.
    """

    def __init__(self, export: Export, replies: Replies) -> None:
        self.export = export
        self.is_structured = False
        self.needs_room = False
        self._replies = replies
        self._has_flags = False
        self._no_zeroes = False
        self._to_skip = 0
        self._answers: dict[int, Callable[[int, bytes], Turn]] = {
            Option.EXPORT_NAME.value: self._export_name,
            Option.ABORT.value: self._abort,
            Option.LIST.value: self._list,
            Option.INFO.value: self._info,
            Option.GO.value: self._info,
            Option.STRUCTURED_REPLY.value: self._structured_reply,
        }
        replies.add(NbdGreeting(flags=OFFERED).encode())

    def take(self, buffer: memoryview, start: int, end: int) -> tuple[int, Turn]:
        """Act on what is there, as long as answers are read; up to where it is used, and what follows."""
        turn, self.needs_room = Turn.ON, False
        while turn is Turn.ON:
            if self._replies.unsent_bytes > UNREAD_BYTES_MAX:
                self.needs_room = True
                break
            if self._to_skip:
                skipped = min(self._to_skip, end - start)
                start, self._to_skip = start + skipped, self._to_skip - skipped
                if self._to_skip:
                    break
            used, turn = self._take_one(buffer, start, end)
            if not used:
                break
            start += used
        return start, turn

    def _take_one(self, buffer: memoryview, start: int, end: int) -> tuple[int, Turn]:
        if not self._has_flags:
            return self._take_flags(buffer, start) if end - start >= NbdClientFlags.SIZE else (0, Turn.ON)
        if end - start < NbdOption.SIZE:
            return 0, Turn.ON
        option = NbdOption.decode(buffer, start)
        if option.magic != OPTION_MAGIC or option.length > SKIPPED_BYTES_MAX:
            return 0, Turn.VIOLATED
        if option.length > OPTION_BYTES_MAX:
            return NbdOption.SIZE, self._skip(option)
        size = NbdOption.SIZE + option.length
        if end - start < size:
            return 0, Turn.ON
        answer = self._answers.get(option.option)
        if answer is None:
            self._answer(option.option, OptionReply.UNSUPPORTED, b"there is no such option here")
            return size, Turn.ON
        return size, answer(option.option, bytes(buffer[start + NbdOption.SIZE : start + size]))

    def _take_flags(self, buffer: memoryview, start: int) -> tuple[int, Turn]:
        flags = NbdClientFlags.decode(buffer, start).flags
        if flags & ~OFFERED:
            return 0, Turn.VIOLATED
        self._has_flags = True
        self._no_zeroes = bool(flags & HandshakeFlag.NO_ZEROES)
        return NbdClientFlags.SIZE, Turn.ON

    def _skip(self, option: NbdOption) -> Turn:
        if option.option == Option.EXPORT_NAME:
            # Nothing can be answered to that but yes.
            return Turn.VIOLATED
        self._to_skip = option.length
        self._answer(option.option, OptionReply.TOO_BIG, b"too much data")
        return Turn.ON

    # The options

    def _export_name(self, _: int, data: bytes) -> Turn:
        if not self.export.goes_by(data):
            return Turn.VIOLATED
        flags = self.export.flags(is_structured=self.is_structured)
        padding = b"" if self._no_zeroes else bytes(ZEROES_BYTES)
        self._replies.add(NbdExport(size=self.export.size_bytes, flags=flags).encode() + padding)
        return Turn.CHOSEN

    def _abort(self, option: int, _: bytes) -> Turn:
        self._answer(option, OptionReply.ACK)
        return Turn.ABORTED

    def _list(self, option: int, data: bytes) -> Turn:
        if data:
            return self._refuse_data(option)
        name = self.export.name.encode()
        entry = len(name).to_bytes(4, "big") + name + self.export.description.encode()
        self._answer(option, OptionReply.SERVER, entry)
        self._answer(option, OptionReply.ACK)
        return Turn.ON

    def _structured_reply(self, option: int, data: bytes) -> Turn:
        if data:
            return self._refuse_data(option)
        self.is_structured = True
        self._answer(option, OptionReply.ACK)
        return Turn.ON

    def _info(self, option: int, data: bytes) -> Turn:
        asked = _information_asked(data)
        if asked is None:
            self._answer(option, OptionReply.INVALID, b"name and list of information do not fit the length")
            return Turn.ON
        name, wanted = asked
        if not self.export.goes_by(name):
            self._answer(option, OptionReply.UNKNOWN, b"there is no such export")
            return Turn.ON
        flags = self.export.flags(is_structured=self.is_structured)
        self._answer(option, OptionReply.INFO, NbdInfoExport(size=self.export.size_bytes, flags=flags).encode())
        texts = {Info.NAME.value: self.export.name, Info.DESCRIPTION.value: self.export.description}
        for info in wanted:
            if info == Info.BLOCK_SIZE:
                self._answer(option, OptionReply.INFO, self.export.block_sizes.encode())
            elif texts.get(info):
                self._answer(option, OptionReply.INFO, info.to_bytes(2, "big") + texts[info].encode())
        self._answer(option, OptionReply.ACK)
        return Turn.CHOSEN if option == Option.GO else Turn.ON

    def _refuse_data(self, option: int) -> Turn:
        self._answer(option, OptionReply.INVALID, b"the option takes no data")
        return Turn.ON

    def _answer(self, option: int, kind: OptionReply, data: bytes = b"") -> None:
        self._replies.add(NbdOptionReply(option=option, kind=kind.value, length=len(data)).encode() + data)


def _information_asked(data: bytes) -> tuple[bytes, list[int]] | None:
    """Export name and information requests of INFO and GO, each once; None when they do not fit the data."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 6 or length > min(len(data) - 6, STRING_BYTES_MAX):
        return None
    name, rest = data[4 : 4 + length], data[4 + length :]
    count = int.from_bytes(rest[:2], "big")
    if len(rest) != 2 + 2 * count:
        return None
    return name, list(dict.fromkeys(int.from_bytes(rest[at : at + 2], "big") for at in range(2, len(rest), 2)))


OFFERED = HandshakeFlag.FIXED_NEWSTYLE.value | HandshakeFlag.NO_ZEROES.value
OPTION_MAGIC = NbdOption().magic
OPTION_BYTES_MAX = 16 << 10
"""Data of an option that is looked at: a name and thousands of information requests."""
UNREAD_BYTES_MAX = 64 << 10
"""Answers that wait for the client; while there are more, nothing is answered."""
SKIPPED_BYTES_MAX = 1 << 20
"""Data that is skipped, and the option refused; who announces more gets no answer."""
