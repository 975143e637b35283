"""What `baremetal link` takes on its command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Annotated

import typer

from apps.sizes import Nanoseconds, parse_duration
from transports.relay import DEFAULT_BUDGET_NS, DirectionConfig


def parse_rate(text: str | int) -> int:
    """Bits a second of "20mbit", "1.5gbit", "64kbit", "9600"; 0 for no limit."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:bit(?:/s)?|bps)?", text.strip().lower())
    rate = int(Fraction(match[1]) * 1000 ** " kmgt".index(match[2] or " ")) if match else -1
    if match is None or rate > 10**13 or (rate == 0 and float(match[1])):
        raise typer.BadParameter(f"{text!r} is no rate; write it like 20mbit, 1.5gbit or 64kbit, 0 for no limit")
    return rate


def parse_delay(text: str | int) -> int:
    """Nanoseconds of "20ms"; 0 for none."""
    return text if isinstance(text, int) else 0 if text.strip() == "0" else parse_duration(text)


def parse_probability(text: str | float) -> float:
    """A share of 1, of "1%" or "0.01"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", str(text).strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is no probability; write it like 1% or 0.01")
    return share


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


@dataclass(frozen=True, slots=True)
class Side:
    """One side of `link tun`.

    namespace: its name. device: of the interface in it. address: with the length of the prefix, empty for none.
    """

    namespace: str
    device: str
    address: str

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


def direction_config(rate: int, delay: int, loss: float, limit: int) -> DirectionConfig:
    """One way, as its options say."""
    return DirectionConfig(rate_bps=rate, delay_ns=delay, loss=loss, limit_packets=limit)


def back_config(
    there: DirectionConfig, rate: int | None, delay: int | None, loss: float | None, limit: int | None
) -> DirectionConfig:
    """The way back: as there, but for what its own options say."""
    return direction_config(
        there.rate_bps if rate is None else rate,
        there.delay_ns if delay is None else delay,
        there.loss if loss is None else loss,
        there.limit_packets if limit is None else limit,
    )


DEVICE = "bm0"
SAMPLE = Nanoseconds(100_000_000)
BUDGET = Nanoseconds(DEFAULT_BUDGET_NS)
Rate = Annotated[int, typer.Option(parser=parse_rate, metavar="RATE", help="20mbit, 1.5gbit; 0: no limit.")]
Delay = Annotated[int, typer.Option(parser=parse_delay, metavar="TIME", help="From one end to the other: 20ms.")]
Loss = Annotated[float, typer.Option(parser=parse_probability, metavar="SHARE", help="Of the packets: 1%, 0.001.")]
Limit = Annotated[int, typer.Option(min=0, metavar="PACKETS", help="What the queue holds; 0: no limit.")]
BackRate = Annotated[int | None, typer.Option(parser=parse_rate, metavar="RATE", help="Of the way back; as --rate.")]
BackDelay = Annotated[int | None, typer.Option(parser=parse_delay, metavar="TIME", help="Of the way back.")]
BackLoss = Annotated[float | None, typer.Option(parser=parse_probability, metavar="SHARE", help="Of the way back.")]
BackLimit = Annotated[int | None, typer.Option(min=0, metavar="PACKETS", help="Of the way back.")]
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
Realtime = Annotated[
    bool | None,
    typer.Option(help="Go before all other processes (SCHED_RR), as a busy machine needs it. Left out: if allowed."),
]
UntilStdinEnds = Annotated[bool, typer.Option(hidden=True)]
