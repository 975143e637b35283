"""Secrets of TLS 1.3 from key logs, as SSLKEYLOGFILE has them (RFC 9850)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Secrets = dict[str, bytes]
"""By label, such as CLIENT_TRAFFIC_SECRET_0."""


def read_key_logs(paths: Iterable[Path]) -> dict[bytes, Secrets]:
    """The secrets of each client random; what is no line of a key log is passed over, and so is a file that is not."""
    found: dict[bytes, Secrets] = {}
    for path in paths:
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            words = line.split()
            if len(words) != 3 or line.startswith("#"):
                continue
            try:
                random, secret = bytes.fromhex(words[1]), bytes.fromhex(words[2])
            except ValueError:
                continue
            found.setdefault(random, {})[words[0].removeprefix("QUIC_")] = secret
    return found


CLIENT_EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"
HANDSHAKE = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
APPLICATION = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
