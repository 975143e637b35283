"""What a connection reports while it lives: the seam between the core and whoever writes a log of it.

    core -> `if tracer is not None: tracer.packet_sent(...)` -> stacks.quic.qlog, or anything else with these methods

Calls are cheap: integers, bytes and constant strings, no dictionary, nothing that the core would compute for the
tracer alone. Views are borrowed until the call returns. A tracer never raises for what it is told, draws no randomness
and reads no clock, so that a connection does the same with and without it. The names are those of the events in
draft-ietf-quic-qlog-quic-events, the words in strings its values.

What a tracer can remember itself (the old value of a state, the last metrics) the core does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from transports.datagram import Address
from wire.quic.parameters import TransportParameters


class CloseCause(Protocol):
    """Why a connection ended; `stacks.quic.connection.closing.CloseReason` is one.

    code: of CONNECTION_CLOSE. is_application: whose code it is. by_peer: who said so. is_silent: nobody did: with
    `by_peer` a stateless reset, without it the idle timeout.
    """

    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def is_application(self) -> bool: ...
    @property
    def by_peer(self) -> bool: ...
    @property
    def is_silent(self) -> bool: ...


class Tracer(Protocol):
    """One connection at one end. `now`: integer nanoseconds, as everywhere. level, space: of `stacks.quic.levels`.

    Sizes are bytes. tuple_id: of a network path, 0 for the one of the handshake; it is told by `tuple_assigned`.
    """

    # The connection

    def connection_started(
        self,
        now: int,
        *,
        local: Address,
        remote: Address,
        source_cid: bytes,
        destination_cid: bytes,
        original_destination_cid: bytes,
    ) -> None:
        """The first call. original_destination_cid: the client's first choice, the same at both ends."""

    def connection_closed(self, now: int, cause: CloseCause) -> None:
        """CONNECTION_CLOSE is sent or came, a stateless reset came, or nothing did for too long."""

    def connection_state_updated(self, now: int, new: str) -> None:
        """new: attempted, handshake_started, handshake_complete, handshake_confirmed, closing, draining, closed."""

    def connection_id_updated(self, now: int, *, is_local: bool, old: bytes, new: bytes) -> None:
        """is_local: packets to us carry `new` from now on; else packets to the peer do."""

    def tuple_assigned(self, now: int, tuple_id: int, *, local: Address, remote: Address, peer_cid: bytes) -> None:
        """A network path has addresses, or others than before."""

    def tuple_abandoned(self, now: int, tuple_id: int) -> None:
        """A network path is not used any more."""

    def migration_state_updated(self, now: int, new: str, *, tuple_id: int) -> None:
        """new: probing_started, _abandoned, _successful, migration_started, _abandoned, _complete."""

    def mtu_updated(self, now: int, datagram_bytes: int, *, is_done: bool) -> None:
        """Full datagrams have another size of UDP payload; is_done: no larger one is searched for."""

    # The handshake

    def version_information(
        self, now: int, *, chosen: int | None, client: Sequence[int] = (), server: Sequence[int] = ()
    ) -> None:
        """Versions that either end is known to speak, and the one that is used, None where there is no common one."""

    def alpn_information(
        self, now: int, *, chosen: str | None, client: Sequence[str] = (), server: Sequence[str] = ()
    ) -> None:
        """Protocols that either end is known to offer, and the one that was agreed on."""

    def parameters_set(self, now: int, *, is_local: bool, parameters: TransportParameters) -> None:
        """Transport parameters: ours, or the peer's as soon as they are known."""

    def tls_set(self, now: int, *, cipher: str, is_resumed: bool, is_early_data_accepted: bool) -> None:
        """What TLS agreed on; cipher in the words of RFC 8446 B.4, without TLS_."""

    def parameters_restored(self, now: int, parameters: TransportParameters) -> None:
        """A client begins 0-RTT with what it remembers of the server's."""

    def key_updated(self, now: int, level: int, *, is_sending: bool, phase: int = 0, trigger: str = "tls") -> None:
        """There are keys of a level, or the next ones. phase: counted from 0.

        trigger: tls, remote_update, local_update. Keys themselves are never told.
        """

    def key_discarded(self, now: int, level: int, *, phase: int = 0, trigger: str = "tls") -> None:
        """The keys of both directions are gone."""

    # Packets

    def packet_sent(
        self,
        now: int,
        level: int,
        number: int,
        size_bytes: int,
        payload: memoryview,
        *,
        is_mtu_probe: bool = False,
        tuple_id: int = 0,
    ) -> None:
        """size_bytes: of the whole packet, header and tag. payload: its frames in plain, before they are sealed."""

    def packet_received(
        self, now: int, level: int, number: int, size_bytes: int, payload: memoryview, *, tuple_id: int = 0
    ) -> None:
        """A packet was opened and is no duplicate; told before its frames are handled."""

    def packet_dropped(self, now: int, level: int | None, size_bytes: int, trigger: str) -> None:
        """level: None where it is not known. trigger: internal_error, rejected, unsupported, invalid, duplicate,
        connection_unknown, decryption_failure, key_unavailable, general.
        """

    def packet_buffered(self, now: int, level: int, size_bytes: int) -> None:
        """It came before its keys, and is kept for them."""

    def retry_received(self, now: int, size_bytes: int, *, source_cid: bytes, token: bytes) -> None:
        """A client followed a Retry."""

    def version_negotiation_received(self, now: int, size_bytes: int, versions: Sequence[int]) -> None:
        """A client believed a Version Negotiation packet."""

    def packets_acked(self, now: int, space: int, numbers: Sequence[int]) -> None:
        """For the first time."""

    def packet_lost(self, now: int, space: int, number: int, trigger: str, *, is_mtu_probe: bool = False) -> None:
        """trigger: reordering_threshold, time_threshold, pto_expired; "" for anything else (0-RTT rejected)."""

    def datagrams_sent(self, now: int, total_bytes: int, segment_bytes: int, ecn: int) -> None:
        """UDP payload of `total_bytes`, cut every `segment_bytes` (the last may be shorter); ecn: bits of the IP
        header.
        """

    def datagrams_received(self, now: int, total_bytes: int, segment_bytes: int, ecn: int) -> None:
        """As `datagrams_sent`."""

    # Recovery

    def recovery_parameters_set(
        self,
        now: int,
        *,
        datagram_bytes: int,
        initial_window_bytes: int,
        minimum_window_bytes: int,
        initial_rtt_ns: int,
    ) -> None:
        """What recovery begins with; the constants of RFC 9002 are known."""

    def recovery_metrics_updated(
        self,
        now: int,
        *,
        min_rtt_ns: int | None = None,
        smoothed_rtt_ns: int | None = None,
        latest_rtt_ns: int | None = None,
        rtt_variance_ns: int | None = None,
        pto_count: int | None = None,
        window_bytes: int | None = None,
        inflight_bytes: int | None = None,
        ssthresh_bytes: int | None = None,
        rate_bps: int | None = None,
    ) -> None:
        """None: not known, or none such. Only what changed since the last call is logged."""

    def congestion_state_updated(self, now: int, new: str, trigger: str = "") -> None:
        """In the words of the controller; a repeated state is not logged."""

    def ecn_state_updated(self, now: int, new: str) -> None:
        """new: testing, unknown, failed, capable; a repeated state is not logged."""

    def timer_updated(self, now: int, timer: str, event: str, *, delta_ns: int = 0, space: int | None = None) -> None:
        """timer: ack, pto, loss_timeout, path_validation, handshake_timeout, idle_timeout. event: set (in `delta_ns`),
        expired, cancelled.
        """

    # Streams and datagrams

    def stream_state_updated(self, now: int, stream_id: int, new: str, *, is_sending: bool, by_peer: bool) -> None:
        """new: in the words of RFC 9000 3.1 and 3.2: ready, send, data_sent, data_received, reset_sent, reset_received,
        receive, size_known, data_read, reset_read; or idle, open, closed. by_peer: who moved it.
        """

    def stream_data_moved(
        self, now: int, stream_id: int, offset: int, length: int, *, is_received: bool, is_fin: bool = False
    ) -> None:
        """Between the application and the transport; is_received: to the application."""

    def datagram_data_moved(self, now: int, length: int, *, is_received: bool) -> None:
        """As `stream_data_moved`, for DATAGRAM frames."""

    def data_blocked_updated(self, now: int, *, is_blocked: bool, reason: str, stream_id: int | None = None) -> None:
        """stream_id: None for the whole connection. reason: scheduling, pacing, amplification_protection,
        congestion_control, connection_flow_control, stream_flow_control, stream_id, application.
        """

    # The end

    def finish(self) -> None:
        """The last call: the connection is forgotten. What is buffered is to be written out."""


class TracerFactory(Protocol):
    """Makes the tracer of a connection that begins, or None for one that is not traced."""

    def __call__(self, *, is_client: bool) -> Tracer | None: ...
