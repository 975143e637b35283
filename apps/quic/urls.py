"""https URLs, as `quic get` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import typer


@dataclass(frozen=True, slots=True)
class Url:
    """host: a name or an address, without brackets. target: path and query, as they are sent."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """As the Host header of old; the port is left out where it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Host and port: requests to the same one share a connection."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_address(self) -> bool:
        """Whether the host is numeric."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def file_name(self) -> str:
        """What the file is called that comes of it; never a path."""
        name = PurePosixPath(unquote(self.target.partition("?")[0])).name
        usable = name.replace("/", "_").replace("\0", "_")
        return usable if usable.strip(".") else "index.html"

    def __str__(self) -> str:
        return f"https://{self.authority}{self.target}"


def parse_url(text: str | Url) -> Url:
    """An https URL; without a scheme, it is https. typer.BadParameter for anything else."""
    if isinstance(text, Url):
        return text
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port or HTTPS_PORT
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}; write it like {EXAMPLE}") from error
    if parts.scheme != "https":
        raise typer.BadParameter(f"{text}: QUIC is for https, not {parts.scheme}; write it like {EXAMPLE}")
    if not parts.hostname or parts.username is not None:
        raise typer.BadParameter(f"{text}: there is no host in it; write it like {EXAMPLE}")
    path = quote(parts.path or "/", safe=SAFE)
    query = quote(parts.query, safe=SAFE)
    return Url(parts.hostname, port, f"{path}?{query}" if query else path)


HTTPS_PORT = 443
EXAMPLE = "https://127.0.0.1:4433/file"
SAFE = "%/:=&?~#+!$,;'@()*[]"
"""Left as they are, what is escaped already included (RFC 3986 2.2)."""
