"""What a command line says, in plain values: so much is needed before the transport is loaded, which takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.quic.urls import Url


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGet:
    """Of `quic get`; names are those of the options. places: each URL and where it goes. version, cipher: 0 for any."""

    places: list[tuple[Url, Path]]
    ca: Path | None
    is_insecure: bool
    cc: str
    qlog: Path | None
    session: Path | None
    has_early_data: bool
    alpn: str
    version: int
    cipher: int
    is_upgrading: bool
    window_bytes: int
    max_datagram_bytes: int
    is_updating_keys: bool
    is_migrating: bool
    timeout_ns: int
    local: str
    offload: bool
    capture: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedServe:
    """Of `quic serve`. names: of the certificate that is made without `cert`."""

    folder: Path
    host: str
    port: int
    cert: Path | None
    key: Path | None
    names: list[str]
    save_cert: Path | None
    cc: str
    qlog: Path | None
    preferred: tuple[tuple[str, int], ...]
    is_retrying: bool
    has_early_data: bool
    alpn: str
    version: int
    cipher: int
    max_datagram_bytes: int
    offload: bool
    capture: Path | None
    ends_with_stdin: bool
    as_json: bool
