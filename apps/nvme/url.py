"""NVMe URLs: `nvme+rdma://HOST[:PORT][/NQN[/NSID]]`."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from apps.errors import CommandError


@dataclass(frozen=True, slots=True)
class NvmeUrl:
    """A place, and perhaps a subsystem and a namespace there.

    host: IP address in numeric text form. nqn: empty when it was left out. nsid: 0 when it was.
    """

    host: str
    port: int = 4420
    nqn: str = ""
    nsid: int = 0


def parse_url(text: str) -> NvmeUrl:
    """The URL of `text`; a host name is looked up. CommandError, with an example, for what is none."""
    parts = urlsplit(text)
    if parts.scheme != "nvme+rdma":
        raise CommandError(f"{text!r} is no NVMe URL that is served here", EXAMPLE, status=2)
    try:
        port = parts.port or 4420
    except ValueError as error:
        raise CommandError(f"the port of {text!r} is no number up to 65535", EXAMPLE, status=2) from error
    if not parts.hostname:
        raise CommandError(f"{text!r} names no host", EXAMPLE, status=2)
    nqn, _, nsid = unquote(parts.path.strip("/")).partition("/")
    if nsid and not nsid.isdecimal():
        raise CommandError(f"{nsid!r} is no namespace number", EXAMPLE, status=2)
    return NvmeUrl(resolve(parts.hostname), port, nqn, int(nsid or 0))


def resolve(host: str) -> str:
    """The IP address of `host` in numeric text form."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError as error:
        raise CommandError(f"host {host!r} is not known", "give an IP address") from error


EXAMPLE = "write nvme+rdma://127.0.0.2, or nvme+rdma://HOST:PORT/NQN/NSID"
