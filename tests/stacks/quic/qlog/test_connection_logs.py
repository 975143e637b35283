"""The logs of whole connections in virtual time: right, complete, and the same bytes for a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stacks.congestion import controller_factory
from stacks.quic.connection import Connection
from stacks.quic.events import StreamReadable, TicketReceived
from stacks.quic.qlog import QlogTracer
from stacks.quic.tls import Ticket
from tests.stacks.quic.qlog.memory import Logs
from tests.stacks.quic.qlog.validator import SPACES, named, problems, records
from tests.stacks.quic.rig import (
    CLIENT,
    MILLISECOND_NS,
    SECOND_NS,
    Rig,
    client_configuration,
    events_of,
    server_configuration,
)
from transports.simulation import Impairments

DATA = bytes(range(256)) * 1200


class Logged:
    """A rig whose ends write logs."""

    def __init__(self, **options: Any) -> None:
        self.logs = Logs()
        self.rig = Rig(tracer=lambda *, is_client: QlogTracer(self.logs, is_client=is_client), **options)

    def log(self, end: str) -> bytes:
        (log,) = (bytes(log) for name, log in self.logs.files.items() if name.endswith(f"_{end}"))
        return log

    def check(self) -> None:
        for name, log in self.logs.files.items():
            assert problems(bytes(log)) == [], name


def transfer(logged: Logged, *, streams: int = 1, data: bytes = DATA) -> tuple[Connection, Connection]:
    """The server sends `data` on each of some streams, and both end well."""
    rig = logged.rig
    client, server = rig.establish()
    sent = [server.open_stream(is_unidirectional=True) for _ in range(streams)]
    for stream in sent:
        server.write(stream, data, is_fin=True)
    received = dict.fromkeys(sent, b"")
    for _ in range(600):
        rig.run(50 * MILLISECOND_NS)
        for event in events_of(client):
            if isinstance(event, StreamReadable):
                received[event.stream_id] += client.read(event.stream_id)
        if all(len(each) == len(data) for each in received.values()):
            break
    assert all(each == data for each in received.values())
    rig.run(SECOND_NS)
    client.close(0, "done", now=rig.now)
    rig.run(20 * SECOND_NS)
    return client, server


def _numbers(log: bytes, way: str) -> set[tuple[str, int]]:
    """Space and number of all packets that went one way."""
    headers = [data["header"] for data in named(log, f"packet_{way}")]
    return {(SPACES[header["packet_type"]], header["packet_number"]) for header in headers}


def _impaired() -> Impairments:
    return Impairments(delay_ns=10 * MILLISECOND_NS, loss=0.03)


def test_the_logs_of_a_transfer_keep_every_rule_and_have_every_packet_once() -> None:
    logged = Logged(impairments=_impaired(), seed=3)
    client, server = transfer(logged, streams=3)
    logged.check()
    assert sorted(logged.logs.closed) == sorted(logged.logs.files), "a log that was not finished"
    for end, connection in (("client", client), ("server", server)):
        log = logged.log(end)
        assert len(named(log, "packet_sent")) == connection.counters.packets_sent
        assert len(named(log, "packet_received")) == connection.counters.packets_received
        assert sum(data["count"] for data in named(log, "udp_datagrams_sent")) == connection.counters.datagrams_sent
        arrived = named(log, "udp_datagrams_received")
        assert sum(data["count"] for data in arrived) == connection.counters.datagrams_received
    assert named(logged.log("server"), "packet_lost"), "nothing was lost: the test shows nothing"
    assert _numbers(logged.log("client"), "received") <= _numbers(logged.log("server"), "sent")
    assert _numbers(logged.log("server"), "received") <= _numbers(logged.log("client"), "sent")


def test_every_packet_of_a_log_is_acknowledged_or_lost_or_asked_for_no_acknowledgement() -> None:
    logged = Logged(impairments=_impaired(), seed=4)
    transfer(logged)
    log = logged.log("server")
    settled = {
        (data["packet_number_space"], number)
        for data in named(log, "packets_acked")
        for number in data["packet_numbers"]
    }
    for data in named(log, "packet_lost"):
        header = data["header"]
        settled.add((SPACES[header["packet_type"]], header["packet_number"]))
    discarded = {"initial", "handshake"}
    for data in named(log, "packet_sent"):
        space = SPACES[data["header"]["packet_type"]]
        kinds = {frame["frame_type"] for frame in data["frames"]}
        if space not in discarded and kinds - {"ack", "padding", "connection_close"}:
            assert (space, data["header"]["packet_number"]) in settled, data


def test_frames_of_a_log_carry_the_data_of_the_stream_without_a_gap() -> None:
    logged = Logged(impairments=_impaired(), seed=5)
    transfer(logged)
    pieces = sorted(
        (frame["offset"], frame["raw"]["length"], frame.get("fin", False))
        for data in named(logged.log("server"), "packet_sent")
        for frame in data["frames"]
        if frame["frame_type"] == "stream"
    )
    end = 0
    for offset, length, _ in pieces:
        assert offset <= end
        end = max(end, offset + length)
    assert end == len(DATA)
    assert any(is_fin for _, _, is_fin in pieces)
    (moved,) = named(logged.log("server"), "stream_data_moved")
    assert (moved["offset"], moved["raw"]["length"], moved["from"]) == (0, len(DATA), "application")
    read = named(logged.log("client"), "stream_data_moved")
    assert sum(data["raw"]["length"] for data in read) == len(DATA)
    assert read[-1]["additional_info"] == "fin_set"


@pytest.mark.parametrize("controller", ["cubic", "bbr3"])
def test_a_seed_makes_the_same_bytes_and_another_one_others(controller: str) -> None:
    def logs(seed: int) -> dict[str, bytes]:
        server = server_configuration(controller=controller_factory(controller))
        logged = Logged(impairments=_impaired(), seed=seed, server=server)
        transfer(logged, data=DATA[:100_000])
        return {name: bytes(log) for name, log in logged.logs.files.items()}

    first = logs(7)
    assert first == logs(7)
    assert set(first) != set(logs(8))
    log = next(log for name, log in first.items() if name.endswith("server"))
    states = [data["new"] for data in named(log, "congestion_state_updated")]
    assert states[0] == {"cubic": "slow start", "bbr3": "Startup"}[controller]
    assert any("pacing_rate" in data for data in named(log, "recovery_metrics_updated")) == (controller == "bbr3")
    assert any("ssthresh" in data for data in named(log, "recovery_metrics_updated")) == (controller == "cubic")


def test_a_connection_does_the_same_with_a_log_and_without() -> None:
    def counters(rig: Rig) -> list[tuple[int, ...]]:
        logged = Logged.__new__(Logged)
        logged.rig = rig
        ends = transfer(logged)
        return [(each.counters.packets_sent, each.counters.bytes_sent, each.counters.packets_received) for each in ends]

    plain = Rig(impairments=_impaired(), seed=9, **_without_shortcuts())
    assert counters(Logged(impairments=_impaired(), seed=9, **_without_shortcuts()).rig) == counters(plain)


PATHS: dict[str, dict[str, Any]] = {
    "much loss": {"loss": 0.15},
    "loss, copies and disorder": {
        "loss": 0.05, "duplication": 0.1, "reordering": 0.1, "reorder_ns": 5 * MILLISECOND_NS,
    },
    "corruption": {"corruption": 0.1, "loss": 0.02},
    "a slow link with a queue": {
        "jitter_ns": 8 * MILLISECOND_NS, "loss": 0.01, "rate_bps": 5_000_000, "queue_bytes": 60_000,
    },
}  # fmt: skip


def _check_path(seed: int) -> None:
    """A transfer over a path, with a controller and a server, that the seed chooses."""
    kind = list(PATHS.values())[seed % len(PATHS)]
    server = server_configuration(
        controller=controller_factory(("cubic", "reno", "bbr1", "bbr3", "prague")[seed % 5]),
        is_retrying=seed % 3 == 0,
        key_update_packets=50 if seed % 2 else 0,
    )
    logged = Logged(impairments=Impairments(delay_ns=10 * MILLISECOND_NS, **kind), seed=seed, server=server)
    transfer(logged, streams=2, data=DATA[:40_000])
    logged.check()


@pytest.mark.parametrize("seed", range(1, 6))
def test_logs_over_bad_paths_keep_every_rule(seed: int) -> None:
    _check_path(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6, 106))
def test_logs_over_many_bad_paths_keep_every_rule(seed: int) -> None:
    _check_path(seed)


def test_early_data_is_told_with_what_was_remembered() -> None:
    logged = Logged(seed=2)
    rig = logged.rig
    first, _ = rig.establish()
    rig.run(SECOND_NS)
    tickets = [event.ticket for event in events_of(first) if isinstance(event, TicketReceived)]
    first.close(0, "", now=rig.now)
    rig.client_host.wake()
    rig.run(5 * SECOND_NS)
    again = rig.connect(ticket=Ticket.from_bytes(tickets[0]))
    again.write(again.open_stream(), b"x" * 3000, is_fin=True)
    rig.client_host.wake()
    rig.run(5 * SECOND_NS)
    assert again.tls.is_early_data_accepted
    logged.check()
    logs = [bytes(log) for name, log in logged.logs.files.items() if name.endswith("client")]
    assert [len(named(log, "parameters_restored")) for log in logs] == [0, 1]
    (restored,) = named(logs[1], "parameters_restored")
    remote = _parameters(logs[0])["remote"] | {"grease_quic_bit": False}  # which tickets do not remember
    assert restored == {key: remote[key] for key in restored}
    kinds = [data["header"]["packet_type"] for data in named(logs[1], "packet_sent")]
    assert "0RTT" in kinds
    assert [data["key_type"] for data in named(logs[1], "key_updated")].count("client_0rtt_secret") == 1
    assert [data["key_type"] for data in named(logs[1], "key_discarded")].count("client_0rtt_secret") == 1
    assert _parameters(logs[1])[None]["early_data_enabled"]
    assert _parameters(logs[1])[None]["is_resumed"]


def _without_shortcuts() -> dict[str, Any]:
    # A log needs each packet, which the shortcuts do not make; that both ways come to the same is their own test.
    return {"client": client_configuration(shortcuts=False), "server": server_configuration(shortcuts=False)}


def test_the_handshake_is_told_from_both_ends() -> None:
    logged = Logged()
    transfer(logged, data=b"x" * 3000)
    for end in ("client", "server"):
        log = logged.log(end)
        states = [data["new"] for data in named(log, "connection_state_updated")]
        ending = ["closing", "closed"] if end == "client" else ["draining", "closed"]
        assert states == ["attempted", "handshake_started", "handshake_complete", "handshake_confirmed", *ending]
        alpn = [data["chosen_alpn"] for data in named(log, "alpn_information") if "chosen_alpn" in data]
        assert alpn == [{"string_value": "test"}]
        by = _parameters(log)
        assert set(by) == {"local", "remote", None}
        assert by[None]["tls_cipher"].startswith(("AES", "CHACHA"))
        kinds = {data["key_type"] for data in named(log, "key_updated")}
        assert kinds == _keys("initial", "handshake", "1rtt")
        gone = {data["key_type"] for data in named(log, "key_discarded")}
        assert gone == _keys("initial", "handshake")
        (closed,) = named(log, "connection_closed")
        assert closed["reason"] == "done"
        assert closed["initiator"] == ("local" if end == "client" else "remote")
        assert named(log, "version_information")[0]["chosen_version"] == "00000001"
        assert named(log, "ecn_state_updated")[0] == {"new": "testing"}
    ours, theirs = _parameters(logged.log("client")), _parameters(logged.log("server"))
    assert ours["local"] == theirs["remote"] | {"initiator": "local"}
    assert theirs["local"] == ours["remote"] | {"initiator": "local"}
    header = records(logged.log("server"))[0]
    assert header["trace"]["common_fields"]["group_id"] == ours["remote"]["original_destination_connection_id"]


def _parameters(log: bytes) -> dict[str, Any]:
    return {data.get("initiator"): data for data in named(log, "parameters_set")}


def _keys(*levels: str) -> set[str]:
    return {f"{who}_{level}_secret" for who in ("client", "server") for level in levels}


def test_a_retry_and_a_version_are_told() -> None:
    logged = Logged(server=server_configuration(is_retrying=True, versions=(0x6B3343CF, 1)))
    transfer(logged, data=b"x" * 3000)
    logged.check()
    retries = [d for d in named(logged.log("client"), "packet_received") if d["header"]["packet_type"] == "retry"]
    assert len(retries) == 1
    for end in ("client", "server"):
        chosen = [data["chosen_version"] for data in named(logged.log(end), "version_information")]
        assert chosen == ["00000001", "6b3343cf"]
    names = {name.partition("_")[0] for name in logged.logs.files}
    assert len(names) == 1, "the two ends of one connection are called by the same ID"


def test_a_move_is_told_with_its_paths_and_identifiers() -> None:
    logged = Logged()
    rig = logged.rig
    client, _ = rig.establish()
    rig.network.attach(rig.client, ("10.0.0.9", 50_000))
    client.migrate(("10.0.0.9", 50_000), rig.now)
    rig.client_host.wake()
    rig.run(2 * SECOND_NS)
    assert client.path.local != CLIENT
    client.close(0, "done", now=rig.now)
    rig.client_host.wake()
    rig.run(20 * SECOND_NS)
    logged.check()
    words = [data["new"] for data in named(logged.log("client"), "migration_state_updated")]
    assert words == ["probing_started", "probing_successful", "migration_started", "migration_complete"]
    tuples = named(logged.log("client"), "tuple_assigned")
    assert ("1", "10.0.0.9") in {(data["tuple_id"], data.get("tuple_local", {}).get("ip_v4")) for data in tuples}
    assert [data["initiator"] for data in named(logged.log("client"), "connection_id_updated")].count("remote") >= 1
    moved = [event for event in records(logged.log("client"))[1:] if event.get("tuple") == "1"]
    assert any(event["name"] == "quic:packet_sent" for event in moved)
    assert "migration_complete" in [data["new"] for data in named(logged.log("server"), "migration_state_updated")]


def test_key_updates_mtu_streams_and_timers_are_told() -> None:
    logged = Logged()
    rig = logged.rig
    client, server = rig.establish()
    rig.run(SECOND_NS)
    client.update_keys(rig.now)
    stream = client.open_stream()
    client.write(stream, b"x" * 10_000, is_fin=True)
    client.send_datagram(b"y" * 100)
    rig.client_host.wake()
    rig.run(2 * SECOND_NS)
    server.read(stream)
    server.reset_stream(stream, 7)
    rig.server_host.wake()
    rig.run(60 * SECOND_NS)
    logged.check()
    ours, theirs = logged.log("client"), logged.log("server")
    for log, trigger in ((ours, "local_update"), (theirs, "remote_update")):
        updates = [data for data in named(log, "key_updated") if data["trigger"] != "tls"]
        assert [(data["key_phase"], data["trigger"]) for data in updates] == [(1, trigger)] * 2
    assert [data["new"] for data in named(ours, "mtu_updated")][-1] > 1400
    sending = [data["new"] for data in named(ours, "stream_state_updated") if data["stream_side"] == "sending"]
    assert sending == ["ready", "send", "data_sent", "data_received"]
    receiving = [data["new"] for data in named(theirs, "stream_state_updated") if data["stream_side"] == "receiving"]
    assert receiving[0] == "receive"
    assert receiving[-1] == "data_read"
    resets = [data["new"] for data in named(theirs, "stream_state_updated") if data["stream_side"] == "sending"]
    assert resets == ["ready", "reset_sent", "reset_received"]
    (sent,), (got,) = named(ours, "datagram_data_moved"), named(theirs, "datagram_data_moved")
    assert (sent["to"], got["to"]) == ("transport", "application")
    assert sent["raw"] == got["raw"] == {"length": 100}
    expired = {data["timer_type"] for data in named(ours, "timer_updated") if data["event_type"] == "expired"}
    assert "idle_timeout" in expired
    assert named(ours, "connection_closed")[0]["trigger"] == "idle_timeout"


def test_what_is_thrown_away_is_told_with_its_reason() -> None:
    logged = Logged(impairments=replace(_impaired(), loss=0.0, duplication=0.2, corruption=0.1), seed=11)
    client, server = transfer(logged)
    logged.check()
    reasons = {data["trigger"] for end in ("client", "server") for data in named(logged.log(end), "packet_dropped")}
    assert {"duplicate", "decryption_failure"} <= reasons
    for end, connection in (("client", client), ("server", server)):
        dropped = [data["trigger"] for data in named(logged.log(end), "packet_dropped")]
        assert dropped.count("duplicate") == connection.counters.dropped_duplicates
        assert dropped.count("decryption_failure") == connection.counters.dropped_forged
