"""How the requests of one client are answered.

A read's data is sent from where it was read to, with the head of its reply before it. Where replies are structured,
reads and errors have chunks, the latter with a line for people, and everything else a simple reply.

Follows the NBD project's doc/proto.md, simple and structured replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.nvme.nbd.backend import Ended, Register
from stacks.nvme.nbd.claims import Claims
from stacks.nvme.nbd.configuration import NbdConfig, NbdCounters
from stacks.nvme.nbd.errors import nbd_error
from stacks.nvme.nbd.replies import Replies
from stacks.nvme.nbd.request import Request, Requests
from transports.datagram import Buffer
from wire.nbd import ChunkFlag, ChunkKind, NbdChunk, NbdDataChunk, NbdError, NbdErrorChunk, NbdSimpleReply


class Answers:
    """One client's.

    replies: where they go; touch: called when there is one. is_structured: whether they are structured.
    requests: those that lie ready. under_way: how many are not over, which they are when their reply is sent.
    """

    def __init__(
        self,
        replies: Replies,
        touch: Callable[[], None],
        claims: Claims,
        *,
        block_bytes: int,
        config: NbdConfig,
        counters: NbdCounters,
        is_structured: bool,
        register: Register | None,
    ) -> None:
        self.requests = Requests(self, register, block_bytes=block_bytes, limit_bytes=config.client_bytes)
        self.under_way = 0
        self.is_structured = is_structured
        self._replies = replies
        self._touch = touch
        self._claims = claims
        self._counters = counters
        self._is_closed = False

    def read_ended(self, request: Request, ended: Ended) -> None:
        """A read is over: its data is in `request.data`."""
        if ended.status:
            self.fail(request, nbd_error(ended.status, is_change=False), ended.problem)
            return
        if self.is_structured:
            view = request.structured_reply
            length = request.length + OFFSET_BYTES
            PACK_DATA_CHUNK(view, 0, CHUNK_MAGIC, DONE, OFFSET_DATA, request.cookie, length, request.offset)
        else:
            view = request.reply
            PACK_SIMPLE_REPLY(view, 0, SIMPLE_MAGIC, 0, request.cookie)
        self._send(view, request)

    def change_ended(self, request: Request, ended: Ended) -> None:
        """A change is over, and others may change the same."""
        self._claims.leave(request)
        self.ended(request, ended)

    def ended(self, request: Request, ended: Ended) -> None:
        """Anything but a read is over."""
        if ended.status:
            self.fail(request, nbd_error(ended.status, is_change=True), ended.problem)
        else:
            self.succeed(request)

    def succeed(self, request: Request) -> None:
        """Say so, without data."""
        PACK_SIMPLE_REPLY(request.acknowledgement, 0, SIMPLE_MAGIC, 0, request.cookie)
        self._send(request.acknowledgement, request)

    def succeed_empty(self, request: Request) -> None:
        """The same for a read of nothing."""
        if self.is_structured:
            self._send(NbdChunk(cookie=request.cookie).encode(), request)
        else:
            self.succeed(request)

    def fail(self, request: Request, error: NbdError, text: str) -> None:
        """Say what went wrong."""
        self._counters.errors += 1
        if not self.is_structured:
            self._send(NbdSimpleReply(error=error.value, cookie=request.cookie).encode(), request)
            return
        message = text.encode()[:MESSAGE_BYTES_MAX]
        chunk = NbdErrorChunk(cookie=request.cookie, error=error.value, message_bytes=len(message))
        chunk.length += len(message)
        self._send(chunk.encode() + message, request)

    def sent(self, owners: Sequence[Request | None]) -> None:
        """The replies of these requests are sent, so that they are over."""
        for request in owners:
            if request is not None:
                self.under_way -= 1
                request.shelf.append(request)

    def close(self) -> None:
        """The client is gone: what is under way ends without an answer."""
        if not self._is_closed:
            self._is_closed = True
            self.sent(self._replies.drop())
            self.requests.close()

    def release(self, request: Request) -> None:
        """A request is over without an answer."""
        self.under_way -= 1
        self.requests.give_back(request)

    def _send(self, view: Buffer, request: Request) -> None:
        if self._is_closed:
            self.release(request)
        else:
            self._replies.add(view, request)
        self._touch()


PACK_DATA_CHUNK, PACK_SIMPLE_REPLY = NbdDataChunk.PACK, NbdSimpleReply.PACK
CHUNK_MAGIC, SIMPLE_MAGIC = NbdChunk().magic, NbdSimpleReply().magic
DONE, OFFSET_DATA = ChunkFlag.DONE.value, ChunkKind.OFFSET_DATA.value
OFFSET_BYTES = NbdDataChunk.SIZE - NbdChunk.SIZE
MESSAGE_BYTES_MAX = 512
