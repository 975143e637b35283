"""What `quic get --session` keeps between runs: tickets and address tokens, by origin. It holds secrets: mode 0600."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path

from apps.errors import CommandError
from stacks.quic.tls import Ticket
from stacks.runtime import LocalError


class SessionFile:
    """A file of tickets. CommandError where it is there and is none of ours."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._origins: dict[str, dict[str, list[str]]] = {}
        if path is not None and path.exists() and path.stat().st_size:
            self._origins = _read(path)

    @property
    def is_kept(self) -> bool:
        """Whether there is a file at all."""
        return self._path is not None

    def take(self, origin: str, *, version: int | None) -> tuple[Ticket | None, bytes]:
        """The newest ticket (of a QUIC version, where one is asked for) and token; each is used once (RFC 8446 C.4)."""
        kept = self._origins.get(origin, {})
        tickets, tokens = kept.get("tickets", []), kept.get("tokens", [])
        for index in range(len(tickets) - 1, -1, -1):
            ticket = Ticket.from_bytes(base64.b64decode(tickets[index]))
            if version in {None, ticket.version}:
                del tickets[index]
                return ticket, base64.b64decode(tokens.pop()) if tokens else b""
        return None, base64.b64decode(tokens.pop()) if tokens else b""

    def add(self, origin: str, *, ticket: bytes = b"", token: bytes = b"") -> None:
        """What a server gave us; the oldest give way."""
        kept = self._origins.setdefault(origin, {})
        for name, value in (("tickets", ticket), ("tokens", token)):
            if value:
                values = kept.setdefault(name, [])
                values.append(base64.b64encode(value).decode())
                del values[:-KEPT]

    def save(self) -> None:
        """Write it; the old file stays until the new one is whole. OSError where that cannot be."""
        if self._path is None:
            return
        real = self._path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=f".{real.name[:100]}.", dir=real.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump({"format": FORMAT, "origins": self._origins}, file, indent=1)
            Path(name).replace(real)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _read(path: Path) -> dict[str, dict[str, list[str]]]:
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise ValueError(document["format"])
        origins: dict[str, dict[str, list[str]]] = document["origins"]
        for kept in origins.values():
            for text in kept.get("tickets", []):
                Ticket.from_bytes(base64.b64decode(text))
            for text in kept.get("tokens", []):
                base64.b64decode(text)
    except (ValueError, KeyError, TypeError, AttributeError, LocalError) as error:
        raise CommandError(f"{path} is no file of sessions", "name another, or remove it to start anew") from error
    return origins


FORMAT = "baremetal quic sessions 1"
KEPT = 8
