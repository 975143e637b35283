"""What the pieces of one connection share: each concern once, and the few values that all of them look at."""

from __future__ import annotations

import random
from collections import deque

from stacks.quic.configuration import Configuration
from stacks.quic.connection.closing import CloseReason, CloseRepeater
from stacks.quic.connection.control import ControlFrames
from stacks.quic.connection.counters import ConnectionCounters
from stacks.quic.connection.idle import IdleTimer
from stacks.quic.connection.space import Space
from stacks.quic.connection.states import CONNECTION_STATES, ConnectionEvent, ConnectionState
from stacks.quic.events import Event
from stacks.quic.keys import OneRttKeys, Opener, Sealer
from stacks.quic.levels import (
    LEVEL_HANDSHAKE,
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    SPACE_APPLICATION,
    SPACE_HANDSHAKE,
    SPACE_INITIAL,
)
from stacks.quic.paths import LocalConnectionIds, Paths, PeerConnectionIds
from stacks.quic.recovery import ReceivedPackets, Recovery
from stacks.quic.streams import Datagrams, Streams, TracedDatagrams, TracedStreams
from stacks.quic.tracing import Tracer
from stacks.runtime import Verdict
from wire.quic.parameters import TransportParameters


class Parts:
    """One connection, as its pieces see it.

    version: that is spoken; original_version: that the client began with. events: for the application.
    one_rtt: None before there are 1-RTT keys for sending. early_sealer, early_opener: of 0-RTT packets, the
    latter until early_until_ns.
    token: that the client's Initial packets carry. own_parameters: that are announced, once they are decided.
    is_greasing: the peer takes packets with and without the fixed bit (RFC 9287), by grease_pattern.
    close_reason: why the connection ended, None while it has not; drained_ns: when it may be forgotten then.
    """

    __slots__ = (
        "close_reason", "configuration", "control", "counters", "datagrams", "drained_ns", "early_opener",
        "early_sealer", "early_until_ns", "events", "grease_pattern", "idle", "is_client", "is_greasing", "local_ids",
        "one_rtt", "original_version", "own_parameters", "paths", "peer_ids", "peer_max_payload_bytes", "recovery",
        "repeater", "rng", "spaces", "state", "streams", "token", "tracer", "version",
    )  # fmt: skip

    def __init__(
        self,
        configuration: Configuration,
        *,
        is_client: bool,
        version: int,
        rng: random.Random,
        now: int,
        paths: Paths,
        local_ids: LocalConnectionIds,
        peer_ids: PeerConnectionIds,
        tracer: Tracer | None,
    ) -> None:
        self.configuration = configuration
        self.is_client = is_client
        self.version = self.original_version = version
        self.rng = rng
        self.tracer = tracer
        self.counters = ConnectionCounters()
        self.events: deque[Event] = deque()
        self.state = ConnectionState.HANDSHAKING
        self.close_reason: CloseReason | None = None
        self.drained_ns: int | None = None
        self.repeater = CloseRepeater()
        self.token = b""
        self.paths = paths
        self.local_ids = local_ids
        self.peer_ids = peer_ids
        self.control = ControlFrames()
        if tracer is None:
            self.streams = Streams(configuration, is_client=is_client, events=self.events)
            self.datagrams = Datagrams(configuration, events=self.events)
        else:
            self.streams = TracedStreams(configuration, is_client=is_client, events=self.events)
            self.datagrams = TracedDatagrams(configuration, events=self.events)
        self.recovery = Recovery(paths.active.congestion, is_client=is_client, rng=rng, now=now)
        self.idle = IdleTimer(configuration.max_idle_timeout_ns, now)
        self.spaces = tuple(_space(number, configuration) for number in range(3))
        self.one_rtt: OneRttKeys | None = None
        self.early_sealer: Sealer | None = None
        self.is_greasing = False
        self.grease_pattern = int(rng.random() * (1 << 48))
        self.early_opener: Opener | None = None
        self.early_until_ns = NEVER
        self.own_parameters: TransportParameters | None = None
        self.peer_max_payload_bytes = MAX_PAYLOAD_BYTES

    def apply(self, event: ConnectionEvent) -> bool:
        """Move the state; whether it moved."""
        outcome = CONNECTION_STATES.apply(self.state, event)
        if isinstance(outcome, Verdict) or outcome is self.state:
            return False
        self.state = outcome
        return True

    @property
    def is_alive(self) -> bool:
        """Whether packets are still exchanged."""
        return self.state <= ConnectionState.CONFIRMED

    def discard_space(self, number: int, now: int) -> None:
        """The keys of a space are not needed any more."""
        space = self.spaces[number]
        if space.is_open:
            space.discard()
            self.recovery.discard(number, now)
            if self.tracer is not None:
                self.tracer.key_discarded(now, space.level)


def _space(number: int, configuration: Configuration) -> Space:
    return Space(
        number,
        LEVELS[number],
        ReceivedPackets(number, configuration),
        crypto_buffer_bytes=configuration.crypto_buffer_bytes,
    )


LEVELS = {
    SPACE_INITIAL: LEVEL_INITIAL,
    SPACE_HANDSHAKE: LEVEL_HANDSHAKE,
    SPACE_APPLICATION: LEVEL_ONE_RTT,
}
MAX_PAYLOAD_BYTES = 65_527
NEVER = 1 << 62
