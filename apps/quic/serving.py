"""The process of `baremetal quic serve`."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rich.markup import escape

from apps.output import console
from apps.quic.documents import Documents
from apps.quic.file_server import FileServer
from apps.quic.logs import check_logs, open_logs
from apps.recording import Recording
from apps.serving import announce_json, run_until_told
from stacks.quic.configuration import Configuration
from stacks.quic.endpoint import Endpoint
from transports.clock import RealClock
from transports.control import ControlServer, Json
from transports.driver import Driver
from transports.several import SeveralTransports
from transports.udp import UdpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What to serve, and how. configuration: with a certificate. is_made: whether that was made for this run only."""

    folder: Path
    host: str
    port: int
    configuration: Configuration
    is_made: bool
    offload: bool = True
    capture: Path | None = None
    qlog: Path | None = None
    ends_with_stdin: bool = False
    as_json: bool = False


def run_server(options: ServeOptions) -> None:
    """Serve until told to end, and return. LocalError, TransportError or OSError for what cannot be had."""
    documents = Documents(options.folder)
    udp = UdpTransport(options.host, options.port, offload=options.offload)
    with closing(SeveralTransports(udp)) as transport:
        for address in options.configuration.preferred_addresses:
            transport.add(UdpTransport(*address, offload=options.offload))
        trio.run(_serve, options, documents, udp, transport)


async def _serve(options: ServeOptions, documents: Documents, udp: UdpTransport, transport: SeveralTransports) -> None:
    clock = RealClock()
    configuration = replace(options.configuration, unix_epoch_ns=time.time_ns() - clock.now())
    qlog = open_logs(options.qlog)
    endpoint = Endpoint(udp.address, rng=random.SystemRandom(), server=configuration, tracer=qlog)
    server = FileServer(endpoint, documents)

    def snapshot() -> dict[str, Json]:
        return {
            "cpu_ns": time.process_time_ns(),
            "time_ns": clock.now(),
            "listening": [*udp.address],
            "folder": str(options.folder),
            "connections": server.client_count,
            "counters": {**endpoint.counters.snapshot(), **_served(server)},
        }

    with Recording(options.capture) as recording:
        driver = Driver(endpoint, recording.transport(transport), clock, [server], receive_budget=RECEIVE_BUDGET_BURSTS)
        try:
            await run_until_told(
                ControlServer("quic-server", snapshot),
                driver.run,
                announce=lambda: _announce(options, udp),
                ends_with_stdin=options.ends_with_stdin,
            )
        finally:
            server.close(clock.now())
            for _ in range(FLUSH_PASSES):
                driver.pump()
    check_logs(qlog)


def _served(server: FileServer) -> Mapping[str, Json]:
    counters = server.counters
    return {
        "http_connections": counters.connections,
        "http_requests": counters.requests,
        "http_body_bytes": counters.body_bytes,
        "http_aborted": counters.aborted,
        **{f"http_status_{status}": count for status, count in sorted(counters.answers.items())},
    }


def _announce(options: ServeOptions, udp: UdpTransport) -> None:
    host, port = udp.address
    shown = f"[{host}]" if ":" in host else host
    url = f"https://{shown}:{port}/"
    fingerprint = certificate_fingerprint(options.configuration.certificate_chain)
    if options.as_json:
        announce_json(
            {
                "url": url,
                "host": host,
                "port": port,
                "folder": str(options.folder),
                "alpn": list(options.configuration.alpn),
                "certificate_sha256": fingerprint,
                "is_certificate_made": options.is_made,
                "advice": udp.buffer_advice,
            }
        )
        return
    out = console()
    out.print(f"serving {escape(str(options.folder))} at [bold]{escape(url)}[/]", soft_wrap=True, markup=True)
    if options.is_made:
        out.print(f"  certificate made for this run, sha256 {fingerprint}", soft_wrap=True, highlight=False)
        out.print("  clients: --insecure, or --ca with what --save-cert wrote", soft_wrap=True, highlight=False)
    if udp.buffer_advice:
        out.print(f"small socket buffers cost throughput: {udp.buffer_advice}", soft_wrap=True, highlight=False)
    out.print("until Ctrl-C")


def certificate_fingerprint(chain: bytes) -> str:
    """The SHA-256 of the first certificate, in hexadecimal."""
    leaf = x509.load_pem_x509_certificate(chain)
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


FLUSH_PASSES = 3
RECEIVE_BUDGET_BURSTS = 4
"""Acknowledgements leave after a pass: many bursts in one would have clients wait for them."""
