"""NBD URIs: `nbd://127.0.0.1:10809/NAME` and `nbd+unix:///NAME?socket=/run/disk.sock`.

Follows the NBD project's doc/uri.md; TLS (`nbds`) is not there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from stacks.runtime import LocalError
from wire.nbd import NBD_PORT, STRING_BYTES_MAX


@dataclass(frozen=True, slots=True)
class NbdUri:
    """Where an export is. host, port: a numeric address, or host is empty; then socket is the path of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = NBD_PORT
    socket: str = ""
    name: str = ""

    def __str__(self) -> str:
        name = quote(self.name)
        if self.socket:
            return f"nbd+unix:///{name}?socket={quote(self.socket)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nbd://{host}:{self.port}/{name}" if name else f"nbd://{host}:{self.port}"


def parse_uri(text: str) -> NbdUri:
    """Parse a URI; raises LocalError that says what is wrong and what a right one looks like."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise LocalError(f"{text!r} is no NBD URI; one looks like {EXAMPLES}") from None
    if parts.scheme not in ("nbd", "nbd+unix"):
        raise LocalError(f"{text!r} is no NBD URI; one looks like {EXAMPLES}")
    name = unquote(parts.path.removeprefix("/"))
    if "\0" in name or len(name.encode(errors="replace")) > STRING_BYTES_MAX:
        raise LocalError(f"the name of an export has up to {STRING_BYTES_MAX} bytes, none of them 0")
    # A plus sign is itself here, other than in forms.
    options = dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))
    if parts.scheme == "nbd+unix":
        return NbdUri("", 0, _socket(text, options, has_host=bool(parts.netloc)), name)
    if options or parts.fragment or parts.username is not None:
        raise LocalError(f"{text!r}: an address has nothing but a port and a name, as in {EXAMPLES}")
    return NbdUri(_host(text, parts.hostname or ""), NBD_PORT if port is None else port, "", name)


def _host(text: str, host: str) -> str:
    if host in ("", "localhost"):
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        raise LocalError(f"{text!r}: host {host} is no numeric address; write it like 127.0.0.1 or [::1]") from None


def _socket(text: str, options: dict[str, str], *, has_host: bool) -> str:
    path = options.pop("socket", "")
    if has_host or options or not path or "\0" in path:
        raise LocalError(f"{text!r}: a Unix socket is named by ?socket=PATH and nothing else, as in {EXAMPLES}")
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise LocalError(f"{path}: the path of a Unix socket has up to {SOCKET_PATH_BYTES_MAX} bytes")
    return path


EXAMPLES = "nbd://127.0.0.1:10809/disk or nbd+unix:///disk?socket=/tmp/disk.sock"
SOCKET_PATH_BYTES_MAX = 107
"""What struct sockaddr_un of Linux has room for."""
