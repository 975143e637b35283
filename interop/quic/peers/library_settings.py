"""What is common to servers and clients on aioquic and qh3.

Their modules have the same names and classes, but share no types, so that both are imported by name here and are `Any`
to the type checker.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """library: aioquic or qh3. alpn: h3 or hq-interop. key_log: appended to."""

    library: str
    alpn: str
    key_log: Path | None
    is_version2: bool = False

    def module(self, name: str) -> Any:
        """A module of the library: `asyncio`, `h3.connection`."""
        return import_module(f"{self.library}.{name}")

    def configuration(self, *, is_client: bool) -> Any:
        """A QuicConfiguration of the library."""
        versions = self.module("quic.packet").QuicProtocolVersion
        made = self.module("quic.configuration").QuicConfiguration(is_client=is_client, alpn_protocols=[self.alpn])
        # qh3's HTTP/3 announces datagrams always, which only this makes legal (RFC 9297 2.1.1).
        made.max_datagram_frame_size = 65536
        made.verify_mode = ssl.CERT_NONE if is_client else None
        made.supported_versions = [versions.VERSION_1]
        if self.is_version2:
            made.supported_versions = [versions.VERSION_2, versions.VERSION_1]
            made.original_version = versions.VERSION_1 if is_client else None
        if self.key_log is not None:
            made.secrets_log_file = self.key_log.open("a", buffering=1)
        return made
