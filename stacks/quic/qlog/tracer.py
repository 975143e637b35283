"""The tracer that writes qlog: one event a call, or none where nothing changed."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.errors import TransportErrorCode
from stacks.quic.levels import LEVEL_ONE_RTT, LEVEL_ZERO_RTT
from stacks.quic.qlog.log import Sink, SinkFactory
from stacks.quic.qlog.packet_events import REMOTE, PacketEvents
from stacks.quic.qlog.parameters import restored_fields, set_fields
from stacks.quic.qlog.words import KEY_LEVELS, endpoint, transport_error, version_word
from stacks.quic.tracing import CloseCause
from transports.datagram import Address
from wire.quic.parameters import TransportParameters

__all__ = ["QlogTracer", "Sink"]


class QlogTracer(PacketEvents):
    """A `stacks.quic.tracing.Tracer`; what the calls mean is told there.

    sinks: opens the log once the connection has a name. wall_clock: RFC 3339 time when it began, for people; None
    leaves it out, and the log depends on nothing but what it is told.
    """

    __slots__ = ("_mtu", "_own", "_peer", "_state", "_tuples")

    def __init__(self, sinks: SinkFactory, *, is_client: bool, wall_clock: str | None = None) -> None:
        self._own, self._peer = ("client", "server") if is_client else ("server", "client")
        super().__init__(sinks, vantage_point=self._own, wall_clock=wall_clock)
        self._state = ""
        self._mtu = 0
        self._tuples: dict[int, tuple[Address, Address, bytes]] = {}

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
        self._log.open(original_destination_cid)
        data = {"local": endpoint(local, source_cid), "remote": endpoint(remote, destination_cid)}
        self._log.put(now, "connection_started", data)
        self.connection_state_updated(now, "attempted")

    def connection_closed(self, now: int, cause: CloseCause) -> None:
        data: dict[str, object] = {"initiator": "remote" if cause.by_peer else "local"}
        code: int | None = None
        if cause.is_silent:
            trigger = "stateless_reset" if cause.by_peer else "idle_timeout"
        elif cause.is_application:
            data["application_error"], code, trigger = "unknown", cause.code, "application"
        else:
            data["connection_error"], code = transport_error(cause.code)
            trigger = "error" if cause.code else "application"
        if cause.code == TransportErrorCode.VERSION_NEGOTIATION_ERROR and not cause.is_application:
            trigger = "version_mismatch"
        if code is not None:
            data["error_code"] = code
        self._log.put(now, "connection_closed", data | {"reason": cause.reason, "trigger": trigger})

    def connection_state_updated(self, now: int, new: str) -> None:
        self._log.change(now, "connection_state_updated", self._state, new)
        self._state = new

    def connection_id_updated(self, now: int, *, is_local: bool, old: bytes, new: bytes) -> None:
        data = {"initiator": "local" if is_local else "remote", "old": old.hex(), "new": new.hex()}
        self._log.put(now, "connection_id_updated", data)

    def tuple_assigned(self, now: int, tuple_id: int, *, local: Address, remote: Address, peer_cid: bytes) -> None:
        if self._tuples.get(tuple_id) == (local, remote, peer_cid):
            return
        self._tuples[tuple_id] = (local, remote, peer_cid)
        data = {
            "tuple_id": _tuple_word(tuple_id),
            "tuple_remote": endpoint(remote, peer_cid),
            "tuple_local": endpoint(local),
        }
        self._log.put(now, "tuple_assigned", data)

    def tuple_abandoned(self, now: int, tuple_id: int) -> None:
        if self._tuples.pop(tuple_id, None) is not None:
            self._log.put(now, "tuple_assigned", {"tuple_id": _tuple_word(tuple_id)})

    def migration_state_updated(self, now: int, new: str, *, tuple_id: int) -> None:
        self._log.put(now, "migration_state_updated", {"new": new, "tuple_id": _tuple_word(tuple_id)})

    def mtu_updated(self, now: int, datagram_bytes: int, *, is_done: bool) -> None:
        old = {"old": self._mtu} if self._mtu else {}
        self._log.put(now, "mtu_updated", {**old, "new": datagram_bytes, "done": is_done})
        self._mtu = datagram_bytes

    # The handshake

    def version_information(
        self, now: int, *, chosen: int | None, client: Sequence[int] = (), server: Sequence[int] = ()
    ) -> None:
        data: dict[str, object] = {}
        for name, versions in (("server_versions", server), ("client_versions", client)):
            if versions:
                data[name] = [version_word(each) for each in versions]
        if chosen is not None:
            data["chosen_version"] = version_word(chosen)
        self._log.put(now, "version_information", data)

    def alpn_information(
        self, now: int, *, chosen: str | None, client: Sequence[str] = (), server: Sequence[str] = ()
    ) -> None:
        data: dict[str, object] = {}
        for name, protocols in (("server_alpns", server), ("client_alpns", client)):
            if protocols:
                data[name] = [{"string_value": each} for each in protocols]
        if chosen is not None:
            data["chosen_alpn"] = {"string_value": chosen}
        self._log.put(now, "alpn_information", data)

    def parameters_set(self, now: int, *, is_local: bool, parameters: TransportParameters) -> None:
        self._exponents[is_local] = parameters.ack_delay_exponent
        data = {"initiator": "local" if is_local else "remote", **set_fields(parameters)}
        self._log.put(now, "parameters_set", data)

    def tls_set(self, now: int, *, cipher: str, is_resumed: bool, is_early_data_accepted: bool) -> None:
        data: dict[str, object] = {"tls_cipher": cipher, "early_data_enabled": is_early_data_accepted}
        # Of the schema's fields none says that the handshake was a resumption; it may be extended.
        self._log.put(now, "parameters_set", data | {"is_resumed": is_resumed})

    def parameters_restored(self, now: int, parameters: TransportParameters) -> None:
        self._exponents[REMOTE] = parameters.ack_delay_exponent
        self._log.put(now, "parameters_restored", restored_fields(parameters))

    def key_updated(self, now: int, level: int, *, is_sending: bool, phase: int = 0, trigger: str = "tls") -> None:
        self._key(now, "key_updated", self._own if is_sending else self._peer, level, phase, trigger)

    def key_discarded(self, now: int, level: int, *, phase: int = 0, trigger: str = "tls") -> None:
        for end in ("client",) if level == LEVEL_ZERO_RTT else ("client", "server"):
            self._key(now, "key_discarded", end, level, phase, trigger)

    # Streams and datagrams

    def stream_state_updated(self, now: int, stream_id: int, new: str, *, is_sending: bool, by_peer: bool) -> None:
        data = {
            "stream_id": stream_id,
            "stream_type": "unidirectional" if stream_id & UNIDIRECTIONAL else "bidirectional",
            "new": new,
            "stream_side": "sending" if is_sending else "receiving",
            "trigger": "remote" if by_peer else "local",
        }
        self._log.put(now, "stream_state_updated", data)

    def stream_data_moved(
        self, now: int, stream_id: int, offset: int, length: int, *, is_received: bool, is_fin: bool = False
    ) -> None:
        fin = ',"additional_info":"fin_set"' if is_fin else ""
        data = f'{{"stream_id":{stream_id},"offset":{offset},{MOVES[is_received]}{fin},"raw":{{"length":{length}}}}}'
        self._log.event(now, "stream_data_moved", data)

    def datagram_data_moved(self, now: int, length: int, *, is_received: bool) -> None:
        self._log.event(now, "datagram_data_moved", f'{{{MOVES[is_received]},"raw":{{"length":{length}}}}}')

    def data_blocked_updated(self, now: int, *, is_blocked: bool, reason: str, stream_id: int | None = None) -> None:
        data: dict[str, object] = {"new": "blocked" if is_blocked else "unblocked"}
        if stream_id is not None:
            data["stream_id"] = stream_id
        name = "connection_data_blocked_updated" if stream_id is None else "stream_data_blocked_updated"
        self._log.put(now, name, data | {"reason": reason})

    # Of a simulation, which is no part of the connection

    def scenario(self, now: int, name: str, details: dict[str, object]) -> None:
        """What is simulated (main schema 9.2); details: what JSON can say. After `connection_started`."""
        self._log.put(now, "scenario", {"name": name, "details": details}, schema="simulation")

    def marker(self, now: int, kind: str, message: str) -> None:
        """Something was done to the network. After `connection_started`."""
        self._log.put(now, "marker", {"type": kind, "message": message}, schema="simulation")

    def finish(self) -> None:
        self._log.close()

    # Helpers

    def _key(self, now: int, name: str, end: str, level: int, phase: int, trigger: str) -> None:
        data: dict[str, object] = {"key_type": f"{end}_{KEY_LEVELS[level]}_secret"}
        if level == LEVEL_ONE_RTT:
            data["key_phase"] = phase
        self._log.put(now, name, data | {"trigger": trigger})


def _tuple_word(tuple_id: int) -> str:
    """The path of the handshake is the one that events name by default (quic-events 4.6)."""
    return str(tuple_id) if tuple_id else ""


UNIDIRECTIONAL = 0x02
MOVES = ('"from":"application","to":"transport"', '"from":"transport","to":"application"')
