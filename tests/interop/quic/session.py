"""A session of two aioquic ends in memory, as a capture of `baremetal link` and a key log, for judges to try."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicProtocolVersion

from interop.quic.certificates import write_certificates
from interop.quic.dissect.datagrams import Point
from interop.quic.dissect.trace import Trace, read_trace
from transports.capture import CaptureFile
from transports.datagram import Address
from transports.framing import UdpFramer

CLIENT: Address = ("127.0.0.1", 50000)
SERVER: Address = ("127.0.0.1", 4433)
DELAY_S = 0.01


@dataclass
class Session:
    """Two ends and what passes between them. key_update: the client's, before it asks. versions: of the server."""

    folder: Path
    is_version2: bool = False
    ecn: int = 0
    now: float = 1.0
    client_address: Address = CLIENT
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.file = CaptureFile(self.folder / "link.pcapng", interfaces=[point.name for point in Point])
        certificate, key = write_certificates(self.folder)
        server = self.configuration(is_client=False)
        server.load_cert_chain(certificate, key)
        self.client = QuicConnection(configuration=self.configuration(is_client=True))
        self.client.connect(SERVER, now=self.now)
        self.server = QuicConnection(
            configuration=server, original_destination_connection_id=self.client.original_destination_connection_id
        )

    def configuration(self, *, is_client: bool) -> QuicConfiguration:
        """Of one end."""
        made = QuicConfiguration(is_client=is_client, alpn_protocols=["hq-interop"], verify_mode=0)
        made.secrets_log_file = self.log if is_client else None
        if self.is_version2:
            made.supported_versions = [QuicProtocolVersion.VERSION_2, QuicProtocolVersion.VERSION_1]
            made.original_version = QuicProtocolVersion.VERSION_1 if is_client else None
        return made

    def turn(self, times: int = 1) -> None:
        """What both ends have to say reaches the other."""
        for _ in range(times):
            self._pass(self.client, self.server, Point.CLIENT_SENT, (self.client_address, SERVER))
            self._pass(self.server, self.client, Point.SERVER_SENT, (SERVER, self.client_address))

    def trace(self) -> Trace:
        """All of it, read."""
        self.file.close()
        (self.folder / "keys").write_text(self.log.getvalue())
        return read_trace(self.folder / "link.pcapng", [self.folder / "keys", self.folder / "none"])

    def _pass(
        self, sender: QuicConnection, receiver: QuicConnection, point: Point, ends: tuple[Address, Address]
    ) -> None:
        framer, data = UdpFramer(*ends), sender.datagrams_to_send(now=self.now)
        for each, _ in data:
            for where in (point, Point(point + 1)):
                views = (framer.headers(each, ecn=self.ecn, identification=0), each)
                self.file.add(round(self.now * 1e9), views, int(where))
        self.now += DELAY_S
        for each, _ in data:
            receiver.receive_datagram(each, ends[0], now=self.now)


def download(folder: Path, *, key_update: bool = False, **settings: Any) -> Session:
    """A client that gets 20,000 bytes."""
    session = Session(folder, **settings)
    session.turn(3)
    if key_update:
        session.client.request_key_update()
    session.client.send_stream_data(0, b"GET /x\r\n", end_stream=True)
    session.turn()
    session.server.send_stream_data(0, b"x" * 20_000, end_stream=True)
    session.turn(6)
    session.client.close()
    session.turn()
    return session
