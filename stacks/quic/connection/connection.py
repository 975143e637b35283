"""One QUIC connection: the concerns put together, and what an application and an endpoint see of it.

    endpoint:     handle_datagram, handle_burst, handle_timeout -> poll_transmit, poll_deadline, poll_ids
    application:  open_stream, write, read, reset_stream, send_datagram, close, migrate, update_keys ... -> poll_event

Sans-IO: time is what it is told, randomness what it is given. Nothing is sent by itself: after a call of the
application the endpoint is asked for transmits (`on_work` tells it that there may be some).
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.quic.connection.buffers import BufferPool
from stacks.quic.connection.closing import CloseReason
from stacks.quic.connection.counters import ConnectionCounters
from stacks.quic.connection.ending import end, forget_if_drained
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.receiving import Receiving
from stacks.quic.connection.sending import Sending
from stacks.quic.connection.states import ConnectionEvent, ConnectionState
from stacks.quic.connection.versions import VersionSwitch
from stacks.quic.connection.watching import Watch
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import DatagramReceived, Event
from stacks.quic.keys import PacketViews
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.paths import LocalConnectionIds, Path, PeerConnectionIds
from stacks.quic.recovery import Recovery
from stacks.quic.streams import Streams
from stacks.quic.tls import Tls
from stacks.runtime import LocalError
from transports.datagram import Address, Transmit

READ_BYTES = 1 << 20
NEVER = 1 << 63


class Connection:
    """Made by an endpoint; see `stacks.quic.endpoint`.

    on_work: called when the application did something that may want to be sent. context: for the owner's use.
    """

    __slots__ = (
        "_handshake", "_parts", "_receiving", "_sending", "_versions", "_watch", "context", "on_work",
    )  # fmt: skip

    def __init__(self, parts: Parts, handshake: Handshake, versions: VersionSwitch, pool: BufferPool) -> None:
        self._parts = parts
        self._handshake = handshake
        self._versions = versions
        self._receiving = Receiving(parts, handshake, versions)
        self._sending = Sending(parts, handshake, pool)
        tracer, packet = parts.tracer, self._receiving.packet
        self._watch = None if tracer is None else Watch(parts, handshake, packet, tracer)
        self.on_work: Callable[[Connection], object] | None = None
        self.context: object = None

    # For the endpoint

    def handle_datagram(self, view: memoryview, remote: Address, local: Address, ecn: int, now: int) -> None:
        """One datagram for one of our connection IDs; it is decrypted in place."""
        path = self._parts.paths.received(local, remote, len(view), now)
        if path is not None:
            self._receiving.handle_datagram(view, path, ecn, now)
            self._after_input(now)

    def handle_burst(
        self,
        view: memoryview,
        segment_bytes: int,
        remote: Address,
        local: Address,
        ecn: int,
        now: int,
        views: PacketViews | None = None,
    ) -> None:
        """Several datagrams with short headers, all for the same of our connection IDs.

        views: of the buffer that `view` is the front of, where it is used again and again.
        """
        path = self._parts.paths.received(local, remote, len(view), now)
        if path is not None:
            self._receiving.handle_burst(view, segment_bytes, path, ecn, now, views)
            self._after_input(now)

    def is_peer(self, remote: Address) -> bool:
        """Whether the peer is, or was lately, at this address."""
        return self._parts.paths.is_peer(remote)

    def handle_reset(self, now: int) -> None:
        """A stateless reset of the peer's came (RFC 9000 10.3)."""
        text = "the peer has forgotten this connection"
        reason = CloseReason(TransportErrorCode.NO_ERROR, text, is_silent=True, by_peer=True)
        end(self._parts, ConnectionEvent.RESET, reason, now)
        self._look(now)

    def handle_timeout(self, now: int) -> None:
        """Whatever is due."""
        self._handle_timeout(now)
        self._look(now)

    def _handle_timeout(self, now: int) -> None:
        parts, watch = self._parts, self._watch
        forget_if_drained(parts, now)
        if not parts.is_alive:
            return
        due_ns = parts.idle.due_ns(parts.recovery.pto_ns())
        if due_ns is not None and now >= due_ns:
            if watch is not None:
                watch.timer_expired("idle_timeout", now)
            seconds = parts.idle.timeout_ns / 1e9
            reason = CloseReason(TransportErrorCode.NO_ERROR, f"nothing was heard for {seconds:g} s", is_silent=True)
            end(parts, ConnectionEvent.SILENCE, reason, now)
            return
        probe = parts.recovery.handle_timeout(now)
        if probe is not None:
            if watch is not None:
                watch.timer_expired("pto", now, probe.space)
            parts.spaces[probe.space].probes = probe.count
            parts.paths.active.congestion.large_losses += 1
        parts.paths.handle_timeout(now)
        self._follow_mtu(now)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next burst to send, or None."""
        watch = self._watch
        if watch is not None:
            watch.looked(now)
        try:
            transmit = self._sending.poll_transmit(now)
        except QuicError as error:  # the keys are used up (RFC 9001 6.6)
            end(self._parts, ConnectionEvent.CLOSE, CloseReason(error.code, str(error)), now)
            transmit = self._sending.poll_transmit(now)
        if watch is not None:
            watch.looked(now)
        return transmit

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` and `poll_transmit` are due."""
        parts = self._parts
        if not parts.is_alive:
            return parts.drained_ns if parts.state != ConnectionState.CLOSED else None
        idle_ns = parts.idle.due_ns(parts.recovery.pto_ns())
        earliest_ns = NEVER if idle_ns is None else idle_ns
        if parts.recovery.timer.is_blocked:
            # Nothing may be sent before something comes (RFC 9000 8.1), but for challenges that fit; and a path whose
            # validation fails is left (9.3.2).
            due_ns = parts.paths.poll_deadline()
            return idle_ns if due_ns is None else min(due_ns, earliest_ns)
        for due_ns in (parts.recovery.poll_deadline(), parts.paths.poll_deadline(), self._sending.pacing_due_ns):
            if due_ns is not None and due_ns < earliest_ns:
                earliest_ns = due_ns
        for space in parts.spaces:
            due_ns = space.received.ack_due_ns
            if due_ns is not None and due_ns < earliest_ns and space.is_open:
                earliest_ns = due_ns
        return None if earliest_ns == NEVER else earliest_ns

    def started(self, now: int) -> None:
        """It was made: its log begins."""
        if self._watch is not None:
            self._watch.started(now)

    def forgotten(self) -> None:
        """Nothing happens to it any more: its log ends."""
        if self._parts.tracer is not None:
            self._parts.tracer.finish()

    @property
    def local_ids(self) -> LocalConnectionIds:
        """Our connection IDs; the endpoint follows their changes."""
        return self._parts.local_ids

    @property
    def peer_ids(self) -> PeerConnectionIds:
        """The peer's connection IDs, with the tokens of its stateless resets."""
        return self._parts.peer_ids

    # For the application

    @property
    def state(self) -> ConnectionState:
        """Where the connection is."""
        return self._parts.state

    @property
    def is_client(self) -> bool:
        """Which end this is."""
        return self._parts.is_client

    @property
    def close_reason(self) -> CloseReason | None:
        """Why the connection ended; None while it has not."""
        return self._parts.close_reason

    @property
    def version(self) -> int:
        """That is spoken."""
        return self._parts.version

    @property
    def counters(self) -> ConnectionCounters:
        """What happened so far."""
        parts = self._parts
        if parts.one_rtt is not None:
            parts.counters.key_updates = parts.one_rtt.updates
        return parts.counters

    @property
    def streams(self) -> Streams:
        """Streams, to look at; what changes them goes through the connection."""
        return self._parts.streams

    @property
    def path(self) -> Path:
        """The path that is used at present."""
        return self._parts.paths.active

    @property
    def recovery(self) -> Recovery:
        """What was sent and became of it, to look at: counters, `path`."""
        return self._parts.recovery

    @property
    def tls(self) -> Tls:
        """The handshake: `alpn`, `is_resumed`, `is_early_data_accepted`."""
        return self._handshake.tls

    @property
    def has_events(self) -> bool:
        """Whether `poll_event` has any."""
        return bool(self._parts.events)

    def poll_event(self) -> Event | None:
        """The next thing that the application should know, or None."""
        events = self._parts.events
        if not events:
            return None
        event = events.popleft()
        if event.__class__ is DatagramReceived:
            self._parts.datagrams.taken(event)
        return event

    def open_stream(self, *, is_unidirectional: bool = False) -> int:
        """A new stream's number. What is written waits for the peer's credit, if need be."""
        return self._parts.streams.open(is_unidirectional)

    def write(self, stream_id: int, data: bytes | bytearray | memoryview, *, is_fin: bool = False) -> None:
        """Send `data` on a stream, and its end if `is_fin`; LocalError where the stream cannot send (any more)."""
        self._parts.streams.write(stream_id, data, is_fin)
        self._work()

    def read(self, stream_id: int, limit: int = READ_BYTES) -> bytes:
        """What arrived in order on a stream, at most `limit` bytes; b"" where there is nothing."""
        data = self._parts.streams.read(stream_id, limit)
        if self._parts.streams.has_frames:
            self._work()
        return data

    def reset_stream(self, stream_id: int, code: int, *, reliable_bytes: int = 0) -> None:
        """Send no more on a stream; what was written up to `reliable_bytes` still arrives (RESET_STREAM_AT)."""
        self._parts.streams.reset(stream_id, code, reliable_bytes=reliable_bytes)
        self._work()

    def stop_sending(self, stream_id: int, code: int) -> None:
        """Ask the peer to send no more on a stream."""
        self._parts.streams.stop_sending(stream_id, code)
        self._work()

    def set_priority(self, stream_id: int, urgency: int, *, is_incremental: bool = False) -> None:
        """Which stream goes first: urgency 0 to 7 (RFC 9218 4)."""
        self._parts.streams.set_priority(stream_id, urgency, is_incremental)

    def send_datagram(self, data: bytes | bytearray | memoryview) -> None:
        """Send an unreliable datagram (RFC 9221); LocalError where the peer takes none, or none so large."""
        self._parts.datagrams.send(data)
        self._work()

    def ping(self) -> None:
        """Have the peer acknowledge something."""
        self._parts.spaces[SPACE_APPLICATION].probes = max(1, self._parts.spaces[SPACE_APPLICATION].probes)
        self._work()

    def update_keys(self, now: int) -> None:
        """Change to the next 1-RTT keys (RFC 9001 6); LocalError before the handshake is confirmed, or too soon."""
        keys = self._parts.one_rtt
        if keys is None:
            raise LocalError("keys can be updated when the handshake is confirmed, not before")
        keys.update(now)
        self.ping()

    def migrate(self, local: Address, now: int) -> None:
        """Go on from another local address (RFC 9000 9.2); LocalError where the peer or the state forbids it."""
        self._parts.paths.migrate(local, now)
        self._work()

    def close(self, code: int = 0, reason: str = "", *, is_application: bool = True, now: int) -> None:
        """End the connection at once; what was not sent yet is dropped. Idempotent."""
        end(self._parts, ConnectionEvent.CLOSE, CloseReason(code, reason, is_application), now)
        self._work()

    def _after_input(self, now: int) -> None:
        self._follow_mtu(now)
        while self._handshake.has_new_keys:
            self._handshake.has_new_keys = False
            self._receiving.keys_changed(now)
        self._look(now)

    def _look(self, now: int) -> None:
        if self._watch is not None:
            self._watch.looked(now)

    def _follow_mtu(self, now: int) -> None:
        path = self._parts.paths.active
        mtu, congestion = path.mtu, path.congestion
        if congestion.large_losses and mtu.suspect(congestion.large_losses):
            congestion.large_losses = 0
        if mtu.has_changed:
            mtu.has_changed = False
            congestion.handle_mtu(mtu.datagram_bytes, now)

    def _work(self) -> None:
        if self.on_work is not None:
            self.on_work(self)
