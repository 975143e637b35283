"""What a traced connection reports besides its packets: it is looked at after each thing that happened to it.

    packets, keys, parameters, the end                       told where they happen (`if tracer is not None`)
    state, paths, MTU, IDs, keys' phases, metrics, streams    compared here with what was told last

So the concerns know nothing of logs, and a connection without one pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.packet import ArrivedPacket
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionState
from stacks.quic.levels import LEVEL_ONE_RTT
from stacks.quic.paths import Path
from stacks.quic.recovery import SentPacket
from stacks.quic.streams import TracedDatagrams, TracedStreams
from stacks.quic.tracing import Tracer


class Watch:
    """Looks at one connection. arrived: the packet that was handled last.

    `looked` is called when anything may have changed; `timer_expired` when a timer has.
    """

    __slots__ = (
        "_active", "_arrived", "_handshake", "_has_migrated", "_local_cid", "_mtu", "_parts", "_peer_cid", "_probing",
        "_state", "_tracer", "_updates", "_version",
    )  # fmt: skip

    def __init__(self, parts: Parts, handshake: Handshake, arrived: ArrivedPacket, tracer: Tracer) -> None:
        self._parts = parts
        self._handshake = handshake
        self._arrived = arrived
        self._tracer = tracer
        self._state = ATTEMPTED
        self._version = parts.version
        self._updates = 0
        self._mtu = (0, False)
        self._peer_cid = parts.peer_ids.current
        self._local_cid = parts.local_ids.handshake_cid
        self._active = parts.paths.active.number
        self._has_migrated = True
        self._probing: dict[int, bool] = {}
        parts.recovery.on_acked = self._acked
        parts.recovery.on_lost = self._lost

    def started(self, now: int) -> None:
        """The first look."""
        congestion = self._parts.paths.active.congestion
        self._tracer.recovery_parameters_set(
            now,
            datagram_bytes=congestion.datagram_bytes,
            initial_window_bytes=congestion.controller.window_bytes or 0,
            minimum_window_bytes=2 * congestion.datagram_bytes,
            initial_rtt_ns=INITIAL_RTT_NS,
        )
        self.looked(now)

    def looked(self, now: int) -> None:
        """Report what is not as it was."""
        parts, tracer = self._parts, self._tracer
        if parts.version != self._version:
            self._version = parts.version
            tracer.version_information(now, chosen=parts.version)
        keys = parts.one_rtt
        if keys is not None and keys.updates != self._updates:
            self._keys_updated(keys.updates, is_own=keys.own_updates > 0, now=now)
        if parts.state != self._state or self._state == ATTEMPTED:
            self._state_changed(now)
        self._look_at_paths(now)
        self._look_at_ids(now)
        self._look_at_congestion(now)
        streams, datagrams = parts.streams, parts.datagrams
        assert isinstance(streams, TracedStreams)
        assert isinstance(datagrams, TracedDatagrams)
        streams.tell(tracer, now)
        datagrams.tell(tracer, now)

    def timer_expired(self, timer: str, now: int, space: int | None = None) -> None:
        """timer: as of `Tracer.timer_updated`."""
        self._tracer.timer_updated(now, timer, "expired", space=space)

    # Hooks

    def _acked(self, space: int, packets: Sequence[SentPacket], now: int) -> None:
        self._tracer.packets_acked(now, space, [packet.number for packet in packets])

    def _lost(self, packet: SentPacket, now: int) -> None:
        is_far = self._parts.recovery.largest_acked(packet.space) - packet.number >= PACKET_THRESHOLD
        trigger = "reordering_threshold" if is_far else "time_threshold"
        self._tracer.packet_lost(now, packet.space, packet.number, trigger, is_mtu_probe=packet.is_mtu_probe)

    # Looks

    def _keys_updated(self, updates: int, *, is_own: bool, now: int) -> None:
        for phase in range(self._updates + 1, updates + 1):
            trigger = "local_update" if is_own else "remote_update"
            for is_sending in (True, False):
                self._tracer.key_updated(now, LEVEL_ONE_RTT, is_sending=is_sending, phase=phase, trigger=trigger)
        self._updates = updates

    def _state_changed(self, now: int) -> None:
        """Every state on the way, since several may be passed in one packet."""
        parts, tracer = self._parts, self._tracer
        if self._state == ATTEMPTED and parts.recovery.timer.has_handshake_keys:
            self._state = ConnectionState.HANDSHAKING
            tracer.connection_state_updated(now, "handshake_started")
        for state, word in ((ConnectionState.COMPLETE, "handshake_complete"), (ConnectionState.CONFIRMED, CONFIRMED)):
            if self._state < state <= parts.state and self._was_passed(state):
                self._state = state
                tracer.connection_state_updated(now, word)
                if state == ConnectionState.COMPLETE:
                    self._completed(now)
        if parts.state >= ConnectionState.CLOSING and parts.state != self._state:
            self._state = parts.state
            tracer.connection_state_updated(now, parts.state.name.lower())

    def _was_passed(self, state: ConnectionState) -> bool:
        """Whether a connection that may be closing by now had come so far."""
        keys = self._parts.one_rtt
        if keys is None:
            return False
        return keys.is_confirmed if state == ConnectionState.CONFIRMED else keys.is_handshake_complete

    def _completed(self, now: int) -> None:
        parts, tls, tracer = self._parts, self._handshake.tls, self._tracer
        offered = parts.configuration.alpn
        if parts.is_client:
            tracer.alpn_information(now, chosen=tls.alpn, client=offered)
        else:
            tracer.alpn_information(now, chosen=tls.alpn, server=offered)
        tracer.tls_set(
            now,
            cipher=self._handshake.suite_name.removeprefix("TLS_"),
            is_resumed=tls.is_resumed,
            is_early_data_accepted=tls.is_early_data_accepted,
        )

    def _look_at_paths(self, now: int) -> None:
        parts, tracer, probing = self._parts, self._tracer, self._probing
        active = parts.paths.active
        known = parts.paths.all()
        for path in known:
            if path.number or self._active or len(known) > 1:
                tracer.tuple_assigned(
                    now, path.number, local=path.local, remote=path.remote, peer_cid=path.peer_cid
                )
            self._look_at_probing(path, now)
        if len(probing) > len(known):
            numbers = [path.number for path in known]
            for number in [each for each in probing if each not in numbers]:
                if probing.pop(number):
                    tracer.migration_state_updated(now, "probing_abandoned", tuple_id=number)
                tracer.tuple_abandoned(now, number)
        if active.number != self._active:
            if not self._has_migrated:
                tracer.migration_state_updated(now, "migration_abandoned", tuple_id=self._active)
            self._active, self._has_migrated = active.number, False
            tracer.migration_state_updated(now, "migration_started", tuple_id=active.number)
        if not self._has_migrated and active.is_validated and not active.frames.is_running:
            self._has_migrated = True
            tracer.migration_state_updated(now, "migration_complete", tuple_id=active.number)
        mtu = (active.mtu.datagram_bytes, active.mtu.is_done)
        if mtu != self._mtu:
            self._mtu = mtu
            tracer.mtu_updated(now, mtu[0], is_done=mtu[1])

    def _look_at_probing(self, path: Path, now: int) -> None:
        is_probing = path.frames.is_running
        if self._probing.get(path.number, False) != is_probing:
            word = "probing_started"
            if not is_probing:
                word = "probing_successful" if path.is_validated else "probing_abandoned"
            self._tracer.migration_state_updated(now, word, tuple_id=path.number)
        self._probing[path.number] = is_probing

    def _look_at_ids(self, now: int) -> None:
        parts, tracer = self._parts, self._tracer
        current = parts.peer_ids.current
        if current != self._peer_cid:
            tracer.connection_id_updated(now, is_local=False, old=self._peer_cid, new=current)
            self._peer_cid = current
        used = self._arrived.destination_cid
        if used != self._local_cid and self._arrived.level == LEVEL_ONE_RTT:
            tracer.connection_id_updated(now, is_local=True, old=self._local_cid, new=used)
            self._local_cid = used

    def _look_at_congestion(self, now: int) -> None:
        congestion = self._parts.paths.active.congestion
        rtt, controller = congestion.rtt, congestion.controller
        has_rtt = rtt.has_sample
        self._tracer.recovery_metrics_updated(
            now,
            min_rtt_ns=rtt.min_ns if has_rtt else None,
            smoothed_rtt_ns=rtt.smoothed_ns if has_rtt else None,
            latest_rtt_ns=rtt.latest_ns if has_rtt else None,
            rtt_variance_ns=rtt.variation_ns if has_rtt else None,
            pto_count=self._parts.recovery.timer.backoff,
            window_bytes=controller.window_bytes,
            inflight_bytes=congestion.delivery.inflight_bytes,
            ssthresh_bytes=controller.variables().get("ssthresh"),
            rate_bps=controller.rate_bps,
        )
        if controller.state:
            self._tracer.congestion_state_updated(now, controller.state)
        self._tracer.ecn_state_updated(now, congestion.validation.state.name.lower())


ATTEMPTED = -1
CONFIRMED = "handshake_confirmed"
PACKET_THRESHOLD = 3
INITIAL_RTT_NS = 333_000_000
