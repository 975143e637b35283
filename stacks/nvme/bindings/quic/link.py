"""One stream of a QUIC connection as the connection of a `StreamCore`: what came goes in, what it says goes out."""

from __future__ import annotations

from stacks.nvme.bindings.quic.parameters import CODE_ABORTED, CODE_CLOSED
from stacks.quic.connection import Connection
from transports.stream import StreamCore


class StreamLink:
    """core: what is carried; connection, stream_id: over what.

    is_paused: the core takes no more for now. is_blocked: much is unsent, and more waits for `StreamWritable`.
    is_ended: nothing more will come, and the core knows. is_finished: nothing more is sent, or would be read.
    """

    __slots__ = ("connection", "core", "is_blocked", "is_ended", "is_finished", "is_paused", "stream_id")

    def __init__(self, core: StreamCore, connection: Connection, stream_id: int) -> None:
        self.core = core
        self.connection = connection
        self.stream_id = stream_id
        self.is_paused = self.is_blocked = self.is_ended = self.is_finished = False

    def receive(self, now: int) -> None:
        """Give the core what is there, as far as it takes it; then the end, if that is reached."""
        core, read = self.core, self.connection.read
        while not self.is_ended:
            views = core.receive_views()
            self.is_paused = not views
            if not views:
                return
            data = read(self.stream_id, sum(map(len, views)))
            if data:
                at = 0
                for view in views:
                    piece = data[at : at + len(view)]
                    view[: len(piece)] = piece
                    at += len(view)
                    if at >= len(data):
                        break
                core.handle_received(len(data), now)
            elif self.connection.streams.is_finished(self.stream_id):
                self.end("", now)
            else:
                return

    def send(self) -> None:
        """Write what the core has, until much of it is unsent."""
        core, connection, stream_id = self.core, self.connection, self.stream_id
        self.is_blocked = False
        while views := core.poll_output():
            if self.is_finished:
                core.sent(sum(map(len, views)))
                continue
            room = UNSENT_BYTES - connection.streams.unsent_bytes(stream_id)
            if room <= 0:
                core.sent(0)
                self.is_blocked = True
                return
            taken = 0
            for view in views:
                piece = view if len(view) <= room - taken else memoryview(view)[: room - taken]
                connection.write(stream_id, piece)
                taken += len(piece)
                if taken == room:
                    break
            core.sent(taken)
        if core.is_finished:
            self.finish()

    def finish(self) -> None:
        """Tell the peer that nothing follows."""
        if not self.is_finished:
            self.is_finished = True
            self.connection.write(self.stream_id, b"", is_fin=True)

    def end(self, failure: str, now: int) -> None:
        """Nothing more will come; failure: why, empty for an end in order."""
        if not self.is_ended:
            self.is_ended = True
            self.core.handle_ended(failure, now)

    def close(self) -> None:
        """The core is over: end the stream both ways, what was written still arrives unless it must not."""
        if self.core.discards:
            self.connection.reset_stream(self.stream_id, CODE_ABORTED)
        else:
            self.finish()
        self.connection.stop_sending(self.stream_id, CODE_CLOSED)


UNSENT_BYTES = 256 << 10
"""So much is written and not sent: above what makes a stream tell that it is writable again."""
