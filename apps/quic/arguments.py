"""What `baremetal quic` takes on its command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import parse_address, parse_controller
from apps.link.arguments import Endpoint, parse_endpoint
from apps.quic.urls import Url, parse_url
from apps.sizes import parse_size


def parse_version(text: str | int) -> int:
    """1 or 2, as QUIC's own number; 0 where it is left out."""
    if isinstance(text, int):
        return text
    if text not in VERSIONS:
        raise typer.BadParameter(f"QUIC has version 1 and version 2, not {text}")
    return VERSIONS[text]


def parse_cipher(text: str | int) -> int:
    """A cipher suite of TLS 1.3 by a short name, 0 for what the peer likes."""
    if isinstance(text, int):
        return text
    if text not in CIPHERS:
        raise typer.BadParameter(f"ciphers are {', '.join(CIPHERS)}, not {text}")
    return CIPHERS[text]


def parse_datagram(text: str | int) -> int:
    """Bytes of UDP payload that QUIC may come to send."""
    size = parse_size(text)
    if not LEAST_DATAGRAM_BYTES <= size <= MOST_DATAGRAM_BYTES:
        raise typer.BadParameter(f"from {LEAST_DATAGRAM_BYTES} to {MOST_DATAGRAM_BYTES} bytes, not {size}")
    return size


def parse_alpn(text: str) -> str:
    """One of the protocols that there is HTTP for; empty where it is left out."""
    if text not in {"", NEW_HTTP, OLD_HTTP}:
        raise typer.BadParameter(f"{NEW_HTTP} and {OLD_HTTP} are spoken, not {text}")
    return text


def parse_pem(text: str | Path) -> Path:
    """A file that can be read."""
    path = Path(text)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise typer.BadParameter(f"{path}: {(error.strerror or str(error)).lower()}") from error


def parse_folder(text: str | Path) -> Path:
    """A folder that is there."""
    path = Path(text)
    if not path.is_dir():
        raise typer.BadParameter(f"{path} is no folder{'' if path.exists() else ', nothing is there'}")
    return path


def parse_log_folder(text: str | Path) -> Path:
    """A folder that is there, or can be made in one that is."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise typer.BadParameter(f"{path} is no folder")
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"{path} cannot be made: there is no folder {path.parent}")
    return path


LEAST_DATAGRAM_BYTES, MOST_DATAGRAM_BYTES = 1200, 65_507
# As in stacks.quic, which is not loaded for them: it takes longer than all that other commands need.
VERSIONS = {"1": 1, "2": 0x6B3343CF}
NEW_HTTP, OLD_HTTP = "h3", "hq-interop"
MAX_PROBE_BYTES = 1452
CIPHERS = {"aes128": 0x1301, "aes256": 0x1302, "chacha20": 0x1303}
LISTEN = Endpoint("127.0.0.1", 4433)

Urls = Annotated[
    list[Url], typer.Argument(parser=parse_url, metavar="URL", help="https://HOST:PORT/PATH; port 443 if left out.")
]
Listen = Annotated[
    Endpoint, typer.Option(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where to serve; port 0: any.")
]
Preferred = Annotated[
    list[Endpoint] | None,
    typer.Option(
        parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where clients go after the handshake; one of each family."
    ),
]
Cc = Annotated[
    str, typer.Option(parser=parse_controller, metavar="NAME", help="Congestion control: cubic, bbr1, bbr3, reno, ...")
]
Qlog = Annotated[
    Path | None,
    typer.Option(
        parser=parse_log_folder,
        metavar="DIR",
        envvar="QLOGDIR",
        help="Write a qlog file for each connection in this folder, which is made if need be.",
    ),
]
Version = Annotated[
    int,
    typer.Option(
        parser=parse_version,
        metavar="N",
        help="QUIC version 1 or 2: get speaks no other, serve prefers it.",
        show_default="both",
    ),
]
Alpn = Annotated[str, typer.Option(parser=parse_alpn, metavar="NAME", help="h3 or hq-interop; what suits if left out.")]
Cipher = Annotated[
    int,
    typer.Option(
        parser=parse_cipher, metavar="NAME", help="Only this one: aes128, aes256 or chacha20.", show_default="all"
    ),
]
MaxDatagram = Annotated[
    int,
    typer.Option(
        parser=parse_datagram, metavar="SIZE", help="The largest UDP payload that is tried, from 1200 bytes on."
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option(parser=parse_pem, metavar="FILE", help="Certificates to trust, PEM; public ones if left out."),
]
Cert = Annotated[
    Path | None,
    typer.Option(parser=parse_pem, metavar="FILE", help="Certificate and its chain, PEM; made if left out."),
]
Key = Annotated[Path | None, typer.Option(parser=parse_pem, metavar="FILE", help="Private key of --cert, PEM.")]
Local = Annotated[
    str,
    typer.Option(parser=parse_address, metavar="ADDRESS", help="Our address; the one of the route if left out."),
]
