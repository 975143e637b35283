"""Traces to draw: of our own connections in virtual time, of aioquic's, and small ones by hand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.logger import QuicLogger
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from apps.quic.plot.collecting import Collector, choose
from apps.quic.plot.reading import TraceFile, read_trace
from apps.quic.plot.trace import Trace
from tests.stacks.quic.qlog.test_connection_logs import Logged, transfer
from tests.stacks.quic.rig import MILLISECOND_NS, certificate
from transports.simulation import Impairments

BYTES = 150_000


@cache
def own(end: str = "server") -> bytes:
    """Our log of a transfer of three streams over a path that loses packets."""
    logged = Logged(impairments=Impairments(delay_ns=10 * MILLISECOND_NS, loss=0.03), seed=3)
    transfer(logged, streams=3, data=bytes(BYTES))
    return logged.log(end)


@cache
def aioquic(end: str = "server") -> bytes:
    """aioquic's log of a transfer, as its QuicLogger has it."""
    loggers = {"client": QuicLogger(), "server": QuicLogger()}
    chain, key = certificate()
    client = QuicConnection(
        configuration=QuicConfiguration(
            is_client=True, alpn_protocols=["x"], verify_mode=0, quic_logger=loggers["client"]  # type: ignore[arg-type]
        )
    )
    server_configuration = QuicConfiguration(is_client=False, alpn_protocols=["x"], quic_logger=loggers["server"])
    server_configuration.certificate = x509.load_pem_x509_certificate(chain)
    server_configuration.private_key = load_pem_private_key(key, None)  # type: ignore[assignment]
    client.connect(("192.0.2.2", 443), now=0.0)
    server = QuicConnection(
        configuration=server_configuration,
        original_destination_connection_id=client.original_destination_connection_id,
    )
    now, is_sent = 0.0, False
    for _ in range(300):
        now += 0.01
        for data, _ in client.datagrams_to_send(now):
            server.receive_datagram(data, ("192.0.2.1", 50_000), now)
        for data, _ in server.datagrams_to_send(now):
            client.receive_datagram(data, ("192.0.2.2", 443), now)
        if not is_sent and now > 0.2:
            is_sent = True
            server.send_stream_data(server.get_next_available_stream_id(), bytes(BYTES), end_stream=True)
        for each in (client, server):
            timer = each.get_timer()
            if timer is not None and timer <= now:
                each.handle_timer(now)
            while each.next_event() is not None:
                pass
    return json.dumps(loggers[end].to_dict()).encode()


def load(path: Path, content: bytes) -> tuple[Trace, TraceFile]:
    """Write a file and read it as `quic plot` does."""
    path.write_bytes(content)
    collector = Collector()
    found = read_trace(path, collector.handle)
    return choose(collector.finish(), None), found


def events_of(log: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and events of a JSON text sequence."""
    header, *events = (json.loads(record) for record in log.split(b"\x1e")[1:])
    return header, events


def contained(log: bytes) -> bytes:
    """The same as one JSON document, with what is said of the trace behind its events."""
    header, events = events_of(log)
    trace = header.pop("trace")
    vantage = trace.pop("vantage_point")
    header["file_schema"] = "urn:ietf:params:qlog:file:contained"
    return json.dumps({**header, "traces": [{**trace, "events": events, "vantage_point": vantage}]}, indent=1).encode()


def lines(log: bytes) -> bytes:
    """The same as a JSON object a line."""
    return log.replace(b"\x1e", b"")


def spread(log: bytes) -> bytes:
    """The same with several lines a record."""
    header, events = events_of(log)
    return b"".join(b"\x1e" + json.dumps(each, indent=2).encode() + b"\n" for each in (header, *events))


def deltas(log: bytes) -> bytes:
    """The same with times that count from the event before."""
    header, events = events_of(log)
    header["trace"]["common_fields"]["time_format"] = "relative_to_previous_event"
    former = 0.0
    for event in events:
        former, event["time"] = event["time"], event["time"] - former
    return b"".join(b"\x1e" + json.dumps(each).encode() + b"\n" for each in (header, *events))


