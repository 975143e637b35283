"""What `baremetal link` takes on its command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Annotated

import typer

from apps.sizes import Nanoseconds, parse_duration
from transports.relay import DEFAULT_BUDGET_NS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address in numeric text form, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str | Endpoint) -> Endpoint:
    """An address and a port: 127.0.0.1:4433, [::1]:4433."""
    if isinstance(text, Endpoint):
        return text
    host, colon, port = text.rpartition(":")
    try:
        address = str(ip_address("127.0.0.1" if host == "localhost" else host.strip("[]")))
    except ValueError:
        address = ""
    if not address or not colon or not port.isdecimal() or not int(port) <= 0xFFFF:
        raise typer.BadParameter(f"{text!r} is no address and port; write it like 127.0.0.1:4433 or [::1]:4433")
    return Endpoint(address, int(port))


def parse_host(text: str | Endpoint) -> Endpoint:
    """An address alone: 127.0.0.2, ::1. The port is 0."""
    if isinstance(text, Endpoint):
        return text
    try:
        return Endpoint(str(ip_address(text.strip("[]"))), 0)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no address; write it like 127.0.0.2 or ::1") from None


@dataclass(frozen=True, slots=True)
class Side:
    """One side of `link tun`.

    namespace: its name. device: of the interface in it. address: with the length of the prefix, empty for none.
    """

    namespace: str
    device: str
    address: str

    @property
    def name(self) -> str:
        """Without the address."""
        return f"{self.namespace}/{self.device}"

    def __str__(self) -> str:
        return "/".join(filter(None, (self.namespace, self.device, self.address)))


def parse_side(text: str | Side) -> Side:
    """NETNS, NETNS/DEVICE or NETNS/DEVICE/ADDRESS/PREFIX."""
    if isinstance(text, Side):
        return text
    namespace, _, rest = text.partition("/")
    device, _, address = rest.partition("/")
    if not re.fullmatch(r"[\w.-]+", namespace) or not re.fullmatch(r"[\w.-]{0,15}", device):
        raise typer.BadParameter(f"{text!r} is no side; write it like left/bm0/10.77.0.1/24")
    try:
        address = address and str(ip_interface(address))
    except ValueError:
        raise typer.BadParameter(f"{address!r} is no address with a prefix; write it like 10.77.0.1/24") from None
    return Side(namespace, device or DEVICE, address)


def parse_new_file(text: str | Path) -> Path:
    """A file that can be written in its folder."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise typer.BadParameter(f"{path} cannot be written; name a file in a folder that is there")
    return path


DEVICE = "bm0"
SAMPLE = Nanoseconds(100_000_000)
BUDGET = Nanoseconds(DEFAULT_BUDGET_NS)
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Time = Annotated[
    int | None, typer.Option("--time", parser=parse_duration, metavar="TIME", help="End after it; else with Ctrl-C.")
]
Lateness = Annotated[
    int, typer.Option(parser=parse_duration, metavar="TIME", help="What 99 of 100 packets may be late in a valid run.")
]
Samples = Annotated[
    Path | None,
    typer.Option(parser=parse_new_file, metavar="FILE", help="Write what each flow got, by intervals, as CSV."),
]
SampleInterval = Annotated[int, typer.Option(parser=parse_duration, metavar="TIME", help="Of --samples.")]
LedgerFile = Annotated[Path | None, typer.Option(parser=parse_new_file, hidden=True)]
UntilStdinEnds = Annotated[bool, typer.Option(hidden=True)]
