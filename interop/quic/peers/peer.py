"""What the runner asks of an implementation: which commands play a role in a case."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from transports.datagram import Address


class Connections(enum.Enum):
    """How a client spreads its requests over connections."""

    ONE = "one"
    """All on one."""
    EACH = "each"
    """A connection for each, one after the other."""
    RESUME = "resume"
    """The first on one, the others on a second that resumes its session."""
    EARLY = "early"
    """The same, and the requests of the second are 0-RTT data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a case tells both ends.

    client_window_bytes: of the client's flow control at first, 0 for its default. server_streams: bidirectional ones
    that a server allows at first, 0 for its default. has_ecn: where that has to be asked for. wants_preferred: the
    server names an address that the client goes to.
    """

    connections: Connections = Connections.ONE
    is_retrying: bool = False
    is_chacha: bool = False
    updates_keys: bool = False
    is_version2: bool = False
    has_ecn: bool = False
    wants_preferred: bool = False
    client_window_bytes: int = 0
    server_streams: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTask:
    """address: to listen at. directory: of the files. alpn: h3 or hq-interop. key_log: appended to.
    preferred: another address of its own, for `wants_preferred`.
    """

    wishes: Wishes
    address: Address
    directory: Path
    certificate: Path
    key: Path
    alpn: str
    key_log: Path
    preferred: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTask:
    """address: where the server is reached. names: of the files. out: where they go, under the same names.
    scratch: an empty folder, for sessions.
    """

    wishes: Wishes
    address: Address
    names: Sequence[str]
    out: Path
    alpn: str
    key_log: Path
    scratch: Path

    @property
    def urls(self) -> list[str]:
        """Of the files."""
        host, port = self.address
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return [f"https://{authority}/{name}" for name in self.names]


@dataclass(frozen=True, slots=True)
class Command:
    """A process. environment: besides the one there is. ends_with_stdin: ends when its standard input does; else it is
    told by SIGTERM.
    """

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ends_with_stdin: bool = False


class Peer(Protocol):
    """An implementation. name: of the cell. alpns: what it speaks, best first."""

    name: str
    alpns: Sequence[str]

    def missing(self) -> str:
        """What has to be installed first; empty when nothing has."""

    def version(self) -> str:
        """What is installed."""

    def server(self, task: ServerTask) -> Command:
        """It listens until it is told to end."""

    def client(self, task: ClientTask) -> list[Command]:
        """One after the other; each ends with 0 when it got its files."""
