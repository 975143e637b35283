"""Streams and datagrams that note what happens to them, for the log of a connection that has one.

The application's calls come without a time: notes are kept, and told when the connection is next looked at, which is
before anything that follows from them leaves. A connection without a log has `Streams` and pays nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from stacks.quic.configuration import Configuration
from stacks.quic.events import Event
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.datagrams import Datagrams
from stacks.quic.streams.identifiers import kind_of
from stacks.quic.streams.receive_stream import ReceiveStream
from stacks.quic.streams.send_stream import SendStream, StreamRecord
from stacks.quic.streams.states import ReceiveState, SendState
from stacks.quic.streams.streams import Streams
from stacks.quic.tracing import Tracer

Note = Callable[[Tracer, int], None]


class TracedStreams(Streams):
    """As `Streams`. `tell` says what happened since it was last called."""

    __slots__ = ("_notes", "_seen")

    def __init__(self, configuration: Configuration, *, is_client: bool, events: deque[Event]) -> None:
        super().__init__(configuration, is_client=is_client, events=events)
        self._notes: list[Note] = []
        self._seen: dict[tuple[int, bool], str] = {}

    def tell(self, tracer: Tracer, now: int) -> None:
        """Say it, as of `now`."""
        _tell(self._notes, tracer, now)

    # The application

    def open(self, is_unidirectional: bool) -> int:
        stream_id = super().open(is_unidirectional)
        self._look_at(stream_id, by_peer=False)
        return stream_id

    def write(self, stream_id: int, data: bytes | bytearray | memoryview, is_fin: bool = False) -> None:
        stream = self.sender(stream_id)
        offset = 0 if stream is None or stream.buffer is None else stream.buffer.end
        super().write(stream_id, data, is_fin)
        self._moved(stream_id, offset, len(data), is_received=False, is_fin=is_fin)

    def read(self, stream_id: int, limit: int) -> bytes:
        stream = self.receiver(stream_id)
        offset = 0 if stream is None else stream.read_offset
        data = super().read(stream_id, limit)
        if data:
            is_fin = stream is not None and offset + len(data) == stream.final_size
            self._moved(stream_id, offset, len(data), is_received=True, is_fin=is_fin)
        self._look_at(stream_id, by_peer=False)
        return data

    def reset(self, stream_id: int, code: int, reliable_bytes: int = 0) -> None:
        super().reset(stream_id, code, reliable_bytes)
        self._look_at(stream_id, by_peer=False)

    # Frames in

    def handle_stream(self, stream_id: int, offset: int, data: memoryview, is_fin: bool, now: int) -> None:
        super().handle_stream(stream_id, offset, data, is_fin, now)
        self._look_at(stream_id, by_peer=True)

    def handle_run(self, stream_id: int, start: int, end: int, views: Sequence[memoryview], now: int) -> None:
        super().handle_run(stream_id, start, end, views, now)
        self._look_at(stream_id, by_peer=True)

    def handle_reset(
        self, stream_id: int, code: int, final_size: int, now: int, *, reliable_bytes: int = 0
    ) -> None:
        super().handle_reset(stream_id, code, final_size, now, reliable_bytes=reliable_bytes)
        self._look_at(stream_id, by_peer=True)

    def handle_stop_sending(self, stream_id: int, code: int, now: int) -> None:
        super().handle_stop_sending(stream_id, code, now)
        self._look_at(stream_id, by_peer=True)

    def _open_by_peer(self, stream_id: int) -> bool:
        kind = kind_of(stream_id)
        before = self._peer.opened[kind]
        is_new = super()._open_by_peer(stream_id)
        for number in range(before, self._peer.opened[kind]):
            self._look_at(number << 2 | (stream_id & 3), by_peer=True)
        return is_new

    # Into packets, and what became of it

    def write_frames(self, packet: PacketWriter, now: int) -> None:
        before = len(packet.records)
        super().write_frames(packet, now)
        for record in packet.records[before:]:
            if isinstance(record, StreamRecord):
                self._look_at_sender(record.stream, by_peer=False)

    def control_told(self, key: tuple[int, int]) -> None:
        super().control_told(key)
        self._look_at(key[1], by_peer=False)

    def _sending_over(self, stream: SendStream) -> None:
        self._look_at_sender(stream, by_peer=True)
        self._seen.pop((stream.stream_id, True), None)
        super()._sending_over(stream)

    def _finish_receiving(self, stream: ReceiveStream) -> None:
        super()._finish_receiving(stream)
        self._look_at_receiver(stream, by_peer=False)
        self._seen.pop((stream.stream_id, False), None)

    # Notes

    def _look_at(self, stream_id: int, *, by_peer: bool) -> None:
        sender, receiver = self.sender(stream_id), self.receiver(stream_id)
        if sender is not None:
            self._look_at_sender(sender, by_peer=by_peer)
        if receiver is not None:
            self._look_at_receiver(receiver, by_peer=by_peer)

    def _look_at_sender(self, stream: SendStream, *, by_peer: bool) -> None:
        self._changed(stream.stream_id, SEND_WORDS[stream.state], is_sending=True, by_peer=by_peer)

    def _look_at_receiver(self, stream: ReceiveStream, *, by_peer: bool) -> None:
        self._changed(stream.stream_id, RECEIVE_WORDS[stream.state], is_sending=False, by_peer=by_peer)

    def _changed(self, stream_id: int, word: str, *, is_sending: bool, by_peer: bool) -> None:
        key = (stream_id, is_sending)
        if self._seen.get(key) != word:
            self._seen[key] = word
            self._notes.append(
                lambda tracer, now: tracer.stream_state_updated(
                    now, stream_id, word, is_sending=is_sending, by_peer=by_peer
                )
            )

    def _moved(self, stream_id: int, offset: int, length: int, *, is_received: bool, is_fin: bool) -> None:
        self._notes.append(
            lambda tracer, now: tracer.stream_data_moved(
                now, stream_id, offset, length, is_received=is_received, is_fin=is_fin
            )
        )


class TracedDatagrams(Datagrams):
    """As `Datagrams`. `tell` says what happened since it was last called."""

    __slots__ = ("_notes",)

    def __init__(self, configuration: Configuration, *, events: deque[Event]) -> None:
        super().__init__(configuration, events=events)
        self._notes: list[Note] = []

    def tell(self, tracer: Tracer, now: int) -> None:
        """Say it, as of `now`."""
        _tell(self._notes, tracer, now)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        super().send(data)
        length = len(data)
        self._notes.append(lambda tracer, now: tracer.datagram_data_moved(now, length, is_received=False))

    def handle_datagram(self, data: memoryview, frame_bytes: int, now: int) -> None:
        dropped, length = self.dropped, len(data)
        super().handle_datagram(data, frame_bytes, now)
        if self.dropped == dropped:
            self._notes.append(lambda tracer, now: tracer.datagram_data_moved(now, length, is_received=True))


def _tell(notes: list[Note], tracer: Tracer, now: int) -> None:
    for note in notes:
        note(tracer, now)
    notes.clear()


SEND_WORDS = {
    SendState.READY: "ready",
    SendState.SEND: "send",
    SendState.DATA_SENT: "data_sent",
    SendState.DATA_RECVD: "data_received",
    SendState.RESET_SENT: "reset_sent",
    SendState.RESET_RECVD: "reset_received",
}
RECEIVE_WORDS = {
    ReceiveState.RECV: "receive",
    ReceiveState.SIZE_KNOWN: "size_known",
    ReceiveState.DATA_RECVD: "data_received",
    ReceiveState.DATA_READ: "data_read",
    ReceiveState.RESET_RECVD: "reset_received",
    ReceiveState.RESET_READ: "reset_read",
}
"""Of RFC 9000 3.1 and 3.2, as qlog writes them."""
