"""URLs of targets and namespaces: `nvme+rdma://host:4420/NQN/NSID`.

Port, NQN and NSID may be left out where there is only one; an NSID alone may follow the host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote

from stacks.nvme.target.nqn import check_nqn
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True)
class NvmeUrl:
    """A parsed URL.

    transport: `rdma`, `tcp` or `quic`; host: numeric address, without brackets; port: 4420 unless given.
    nqn: empty, and nsid: 0, when the URL does not say.
    """

    transport: str
    host: str
    port: int = 4420
    nqn: str = ""
    nsid: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = "".join(f"/{part}" for part in (self.nqn, self.nsid) if part)
        return f"nvme+{self.transport}://{host}:{self.port}{path}"


def parse_url(text: str, *, example: str = "") -> NvmeUrl:
    """Parse a URL; raises LocalError that says what is wrong and what a right one looks like.

    example: such a one, where not every URL will do.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise LocalError(f"{text!r} is no NVMe URL; one looks like {example or EXAMPLE}")
    if match["transport"] not in TRANSPORTS:
        known = f"{', '.join(TRANSPORTS[:-1])} or {TRANSPORTS[-1]}"
        raise LocalError(f"{text!r}: transport {match['transport']} is not known, use {known}")
    port = int(match["port"] or DEFAULT_PORT)
    if not 1 <= port <= MAX_PORT:
        raise LocalError(f"{text!r}: port {port} is not between 1 and {MAX_PORT}")
    nqn, nsid = _path(text, [unquote(part) for part in (match["path"] or "").split("/") if part])
    return NvmeUrl(match["transport"], _host(text, match["host"]), port, nqn, nsid)


def _host(text: str, host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        raise LocalError(f"{text!r}: host {host} is no numeric address; write it like 127.0.0.2 or [::1]") from None


def _path(text: str, parts: list[str]) -> tuple[str, int]:
    nqn = parts.pop(0) if parts and not parts[0].isdecimal() else ""
    number = parts.pop(0) if parts else ""
    if parts or (number and not number.isdecimal()):
        raise LocalError(f"{text!r}: after the host come an NQN and a namespace number, as in {EXAMPLE}")
    nsid = int(number or 0)
    if number and not 1 <= nsid <= MAX_NSID:
        raise LocalError(f"{text!r}: namespaces are numbered from 1")
    if nqn:
        check_nqn(nqn)
    return nqn, nsid


TRANSPORTS = ("rdma", "tcp", "quic")
DEFAULT_PORT = 4420
MAX_PORT = 65535
MAX_NSID = 0xFFFFFFFE
EXAMPLE = "nvme+rdma://127.0.0.2:4420/nqn.2026-11.io.baremetal:disk/1"

_URL = re.compile(r"nvme\+(?P<transport>\w+)://(?P<host>\[[^\]/]*\]|[^:/\[\]]+)(?::(?P<port>\d{1,6}))?(?P<path>/.*)?")
