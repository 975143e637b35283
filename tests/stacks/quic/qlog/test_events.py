"""Each call of a tracer becomes the event that the draft defines, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stacks.quic.levels import (
    LEVEL_HANDSHAKE,
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_HANDSHAKE,
    SPACE_INITIAL,
)
from stacks.quic.tracing import Tracer
from tests.stacks.quic.qlog.memory import ODCID, Logs, started
from tests.stacks.quic.qlog.quic_rules import DATA_TYPES, QUIC_RULES
from tests.stacks.quic.qlog.validator import named, problems, records
from wire.quic.parameters import PreferredAddress, TransportParameters

MS = 1_000_000
NEVER_WRITTEN = {
    "server_listening", "spin_bit_updated", "udp_datagram_dropped", "frames_created", "frames_parsed",
    "datagram_data_blocked_updated", "marked_for_retransmit",
}  # fmt: skip
PING = memoryview(b"\x01")


@dataclass
class Cause:
    code: int = 0
    reason: str = ""
    is_application: bool = False
    by_peer: bool = False
    is_silent: bool = False


def test_a_log_begins_with_the_header_of_the_sequential_schema() -> None:
    logs = Logs()
    started(logs)
    header, first, second = records(logs.only())
    assert list(logs.files) == ["8394c8f03e515708_client"]
    assert header["trace"]["common_fields"]["group_id"] == ODCID.hex()
    assert header["trace"]["vantage_point"] == {"name": "baremetal", "type": "client"}
    assert first["name"] == "quic:connection_started"
    assert first["data"]["local"] == {"ip_v4": "192.0.2.1", "port_v4": 50000, "connection_ids": ["01" * 8]}
    assert first["data"]["remote"] == {"ip_v6": "2001:db8::1", "port_v6": 443, "connection_ids": [ODCID.hex()]}
    assert second["data"] == {"new": "attempted"}


def test_every_call_makes_a_log_that_the_rules_allow() -> None:
    logs = Logs()
    tracer: Tracer = started(logs)
    tell_everything(tracer)
    tracer.finish()
    log = logs.only()
    assert problems(log) == []
    assert logs.closed == list(logs.files)
    told = {record["name"].removeprefix("quic:") for record in records(log)[1:]}
    assert told | NEVER_WRITTEN == set(QUIC_RULES) - DATA_TYPES
    assert not told & NEVER_WRITTEN


def tell_everything(tracer: Tracer) -> None:
    """Every method at least once, in an order that could be."""
    parameters = TransportParameters(
        initial_source_connection_id=b"\x01" * 8,
        stateless_reset_token=bytes(16),
        preferred_address=PreferredAddress(("192.0.2.9", 4433), None, b"\x07" * 8, bytes(16)),
        min_ack_delay_us=1000,
        unknown={27: b"\xff", 4096: b""},
    )
    tracer.version_information(1, chosen=1, client=(1, 0x6B3343CF))
    tracer.alpn_information(1, chosen="h3", client=("h3", "hq-interop"), server=("h3",))
    tracer.parameters_restored(1, parameters)
    tracer.parameters_set(1, is_local=True, parameters=parameters)
    tracer.tls_set(1, cipher="AES_128_GCM_SHA256", is_resumed=True, is_early_data_accepted=False)
    for level in (LEVEL_INITIAL, LEVEL_ZERO_RTT, LEVEL_HANDSHAKE, LEVEL_ONE_RTT):
        tracer.key_updated(2, level, is_sending=True)
        tracer.packet_sent(2, level, level, 1200, PING, is_mtu_probe=level == LEVEL_ONE_RTT, tuple_id=level)
        tracer.packet_received(2, level, level, 1200, PING)
        tracer.packet_buffered(2, level, 100)
        tracer.packet_dropped(2, level, 100, "decryption_failure")
        tracer.key_discarded(2, level)
    tracer.packet_dropped(3, None, 100, "unsupported")
    tracer.retry_received(3, 120, source_cid=b"\x05" * 8, token=b"token")
    tracer.version_negotiation_received(3, 40, (1, 2))
    tracer.packets_acked(4, SPACE_INITIAL, (0,))
    tracer.packets_acked(4, SPACE_APPLICATION, (3,))
    tracer.packet_lost(4, SPACE_HANDSHAKE, 2, "time_threshold")
    tracer.datagrams_sent(5, 3000, 1200, 2)
    tracer.datagrams_received(5, 1200, 1200, 0)
    tracer.recovery_parameters_set(
        5, datagram_bytes=1200, initial_window_bytes=12000, minimum_window_bytes=2400, initial_rtt_ns=333 * MS
    )
    tracer.recovery_metrics_updated(5, min_rtt_ns=1, window_bytes=12000, pto_count=0, rate_bps=1_000_000)
    tracer.congestion_state_updated(5, "slow start")
    tracer.congestion_state_updated(6, "recovery", "loss")
    tracer.ecn_state_updated(6, "testing")
    tracer.ecn_state_updated(6, "capable")
    tracer.timer_updated(6, "pto", "set", delta_ns=1_500_000, space=SPACE_APPLICATION)
    tracer.timer_updated(6, "idle_timeout", "cancelled")
    tracer.tuple_assigned(6, 1, local=("192.0.2.1", 50001), remote=("2001:db8::1", 443), peer_cid=b"\x03" * 8)
    tracer.migration_state_updated(6, "probing_started", tuple_id=1)
    tracer.tuple_abandoned(6, 1)
    tracer.connection_id_updated(6, is_local=False, old=b"\x03" * 8, new=b"\x04" * 8)
    tracer.mtu_updated(6, 1200, is_done=False)
    tracer.mtu_updated(7, 1452, is_done=True)
    tracer.stream_state_updated(7, 2, "data_sent", is_sending=True, by_peer=False)
    tracer.stream_data_moved(7, 0, 0, 100, is_received=True, is_fin=True)
    tracer.datagram_data_moved(7, 100, is_received=False)
    tracer.data_blocked_updated(7, is_blocked=True, reason="connection_flow_control")
    tracer.data_blocked_updated(7, is_blocked=False, reason="stream_flow_control", stream_id=4)
    tracer.connection_state_updated(8, "closing")
    tracer.connection_closed(8, Cause(0x0A, "a frame that may not be there"))


def test_times_are_exact_to_the_nanosecond_however_late() -> None:
    logs = Logs()
    tracer = started(logs, now=1_234_567_890_123_456_789)
    tracer.ecn_state_updated(1_234_567_890_123_456_790, "testing")
    times = [record["time"] for record in records(logs.only())[1:]]
    assert times == [Decimal("1234567890123.456789")] * 2 + [Decimal("1234567890123.456790")]


def test_only_metrics_that_changed_are_told() -> None:
    logs = Logs()
    tracer = started(logs)
    tracer.recovery_metrics_updated(1, window_bytes=12000, inflight_bytes=1200, smoothed_rtt_ns=1_500_001)
    tracer.recovery_metrics_updated(2, window_bytes=12000, inflight_bytes=2400, smoothed_rtt_ns=1_500_001)
    tracer.recovery_metrics_updated(3, window_bytes=12000, inflight_bytes=2400, smoothed_rtt_ns=None)
    assert named(logs.only(), "recovery_metrics_updated") == [
        {"smoothed_rtt": Decimal("1.500001"), "congestion_window": 12000, "bytes_in_flight": 1200},
        {"bytes_in_flight": 2400},
    ]


def test_ecn_marks_are_told_when_they_change_and_datagrams_one_by_one() -> None:
    logs = Logs()
    tracer = started(logs)
    tracer.datagrams_sent(1, 2500, 1200, 2)
    tracer.datagrams_sent(2, 1200, 1200, 2)
    tracer.datagrams_sent(3, 1200, 1200, 0)
    assert named(logs.only(), "udp_datagrams_sent") == [
        {"count": 3, "raw": [{"length": 1200}, {"length": 1200}, {"length": 100}], "ecn": ["ECT(0)"] * 3},
        {"count": 1, "raw": [{"length": 1200}]},
        {"count": 1, "raw": [{"length": 1200}], "ecn": ["Not-ECT"]},
    ]


def test_keys_are_named_by_who_sends_with_them() -> None:
    logs = Logs()
    tracer = started(logs, is_client=False)
    tracer.key_updated(1, LEVEL_HANDSHAKE, is_sending=True)
    tracer.key_updated(1, LEVEL_ZERO_RTT, is_sending=False)
    tracer.key_updated(2, LEVEL_ONE_RTT, is_sending=False, phase=3, trigger="remote_update")
    assert named(logs.only(), "key_updated") == [
        {"key_type": "server_handshake_secret", "trigger": "tls"},
        {"key_type": "client_0rtt_secret", "trigger": "tls"},
        {"key_type": "client_1rtt_secret", "key_phase": 3, "trigger": "remote_update"},
    ]


def test_a_lost_packet_has_the_type_that_it_was_sent_with() -> None:
    logs = Logs()
    tracer = started(logs)
    tracer.packet_sent(1, LEVEL_ZERO_RTT, 4, 1200, PING)
    tracer.packet_sent(2, LEVEL_ONE_RTT, 5, 1200, PING)
    tracer.packet_lost(3, SPACE_APPLICATION, 4, "")
    tracer.packet_lost(3, SPACE_APPLICATION, 5, "reordering_threshold")
    assert named(logs.only(), "packet_lost") == [
        {"header": {"packet_type": "0RTT", "packet_number": 4}},
        {"header": {"packet_type": "1RTT", "packet_number": 5}, "trigger": "reordering_threshold"},
    ]


def test_why_a_connection_ended_is_told_in_the_words_of_the_schema() -> None:
    causes = {
        "done": (Cause(0, "done"), {"connection_error": "no_error", "trigger": "application"}),
        "alert": (Cause(0x178), {"connection_error": "crypto_error_0x178", "trigger": "error"}),
        "version": (
            Cause(0x11), {"connection_error": "unknown", "error_code": 0x11, "trigger": "version_mismatch"},
        ),
        "application": (
            Cause(0x101, is_application=True),
            {"application_error": "unknown", "error_code": 0x101, "trigger": "application"},
        ),
        "reset": (Cause(is_silent=True, by_peer=True), {"trigger": "stateless_reset"}),
        "idle": (Cause(is_silent=True), {"trigger": "idle_timeout"}),
    }  # fmt: skip
    for cause, expected in causes.values():
        logs = Logs()
        started(logs).connection_closed(1, cause)
        (found,) = named(logs.only(), "connection_closed")
        initiator = "remote" if cause.by_peer else "local"
        assert found == {"initiator": initiator, "reason": cause.reason, **expected}
        assert problems(logs.only()) == []


def test_nothing_is_written_before_the_start_nor_after_the_end() -> None:
    logs = Logs()
    tracer = started(logs)
    tracer.finish()
    before = logs.only()
    tracer.ecn_state_updated(1, "testing")
    tracer.finish()
    assert logs.only() == before
    assert logs.closed == ["8394c8f03e515708_client"]
