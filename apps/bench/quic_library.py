"""The yardsticks in Python for QUIC: aioquic, and qh3 with the same calls, as an HTTP/3 server and client of one body.

Runs as its own process, bound to a processor:

    python -m apps.bench.quic_library LIBRARY serve CPU PORT CERTIFICATE KEY DATAGRAM_BYTES     until its input ends
    python -m apps.bench.quic_library LIBRARY get CPU PORT DATAGRAM_BYTES BODY_BYTES            prints JSON
    python -m apps.bench.quic_library LIBRARY handshakes CPU PORT SECONDS                       prints JSON

A server answers /N with N bytes. Each does what suits the library best: the body is given to it in one piece, and only
counted where it arrives.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import ssl
import sys
import time
from functools import partial
from typing import Any

Json = dict[str, float]


class Library:
    """Modules of one of both; what they have in common is looked up by name, so nothing of it is typed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asyncio: Any = importlib.import_module(f"{name}.asyncio")
        self.h3: Any = importlib.import_module(f"{name}.h3.connection")
        self.h3_events: Any = importlib.import_module(f"{name}.h3.events")
        self.events: Any = importlib.import_module(f"{name}.quic.events")
        self.configuration: Any = importlib.import_module(f"{name}.quic.configuration").QuicConfiguration

    def configure(self, *, is_client: bool, datagram_bytes: int) -> Any:
        """A configuration; windows as wide as ours."""
        return self.configuration(
            is_client=is_client,
            alpn_protocols=["h3"],
            max_datagram_size=datagram_bytes,
            max_data=32 << 20,
            max_stream_data=16 << 20,
            verify_mode=ssl.CERT_NONE if is_client else None,
        )


def protocol_of(library: Library) -> Any:
    """The class of a connection, at either end."""
    base: Any = library.asyncio.QuicConnectionProtocol

    class Protocol(base):  # type: ignore[misc]  # which is not known before
        """Answers requests at a server; counts a body at a client, until `done`."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            self.http: Any = None
            self.body_bytes = 0
            self.done = asyncio.get_running_loop().create_future()

        def quic_event_received(self, event: Any) -> None:
            """As of the library."""
            if isinstance(event, library.events.ProtocolNegotiated):
                self.http = library.h3.H3Connection(self._quic)
            elif isinstance(event, library.events.ConnectionTerminated) and not self.done.done():
                self.done.set_result(None)
            if self.http is None:
                return
            for happened in self.http.handle_event(event):
                if isinstance(happened, library.h3_events.HeadersReceived) and not self._quic.configuration.is_client:
                    self._answer(happened.stream_id, dict(happened.headers)[b":path"])
                elif isinstance(happened, library.h3_events.DataReceived):
                    self.body_bytes += len(happened.data)
                    if happened.stream_ended and not self.done.done():
                        self.done.set_result(None)

        def ask(self, path: str) -> None:
            """Send a request."""
            fields = {b":method": b"GET", b":scheme": b"https", b":authority": b"localhost", b":path": path.encode()}
            self.http.send_headers(self._quic.get_next_available_stream_id(), list(fields.items()), end_stream=True)
            self.transmit()

        def _answer(self, stream_id: int, path: bytes) -> None:
            size = int(path[1:])
            self.http.send_headers(stream_id, [(b":status", b"200"), (b"content-length", str(size).encode())])
            body = PATTERN * (size // len(PATTERN)) + PATTERN[: size % len(PATTERN)]
            self.http.send_data(stream_id, body, end_stream=True)
            self.transmit()

    return Protocol


async def serve(library: Library, port: int, certificate: str, key: str, datagram_bytes: int) -> None:
    """Serve until the input ends."""
    configuration = library.configure(is_client=False, datagram_bytes=datagram_bytes)
    configuration.load_cert_chain(certificate, key)
    await library.asyncio.serve(
        "127.0.0.1", port, configuration=configuration, create_protocol=protocol_of(library)
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def get(library: Library, port: int, datagram_bytes: int, body_bytes: int) -> Json:
    """Fetch one body; from the request to its end."""
    configuration = library.configure(is_client=True, datagram_bytes=datagram_bytes)
    async with library.asyncio.connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=protocol_of(library)
    ) as connection:
        started_ns, started_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        connection.ask(f"/{body_bytes}")
        await connection.done
        taken_ns, cpu_ns = time.perf_counter_ns() - started_ns, time.process_time_ns() - started_cpu_ns
        if connection.body_bytes != body_bytes:
            raise SystemExit(f"{connection.body_bytes} bytes came of {body_bytes}")
    return {"mb_per_s": body_bytes * 1e3 / taken_ns, "cpu_ns": cpu_ns, "duration_ns": taken_ns}


async def handshakes(library: Library, port: int, seconds: int) -> Json:
    """One connection after the other."""
    loop, module = asyncio.get_running_loop(), importlib.import_module(f"{library.name}.quic.connection")
    configuration = library.configure(is_client=True, datagram_bytes=1200)
    count, started_ns = 0, time.perf_counter_ns()
    while time.perf_counter_ns() < started_ns + seconds * 1_000_000_000:
        core = module.QuicConnection(configuration=configuration)
        transport, protocol = await loop.create_datagram_endpoint(
            partial(library.asyncio.QuicConnectionProtocol, core), local_addr=("127.0.0.1", 0)
        )
        protocol.connect(("127.0.0.1", port))
        await protocol.wait_connected()
        protocol.close()  # said, and not waited for
        transport.close()
        count += 1
    return {"handshakes_per_s": count * 1e9 / (time.perf_counter_ns() - started_ns)}


def main(name: str, what: str, cpu: str, *words: str) -> None:
    """As the module says."""
    os.sched_setaffinity(0, {int(cpu)})
    library = Library(name)
    if what == "serve":
        asyncio.run(serve(library, int(words[0]), words[1], words[2], int(words[3])))
        return
    doing = get if what == "get" else handshakes
    sys.stdout.write(json.dumps(asyncio.run(doing(library, *map(int, words)))) + "\n")


PATTERN = bytes(range(256)) * 4096


if __name__ == "__main__":
    main(*sys.argv[1:])
