"""The command line of `baremetal quic`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import TIMES, Capture, Json, Offload
from apps.quic.arguments import (
    LISTEN,
    MAX_PROBE_BYTES,
    OLD_HTTP,
    Alpn,
    Ca,
    Cc,
    Cert,
    Cipher,
    Key,
    Listen,
    Local,
    MaxDatagram,
    Preferred,
    Qlog,
    Urls,
    Version,
    parse_folder,
)
from apps.quic.commands_plot import plot
from apps.quic.urls import Url
from apps.quic.wanted import WantedGet, WantedServe
from apps.sizes import Bytes, Nanoseconds, parse_duration, parse_some

app = typer.Typer(
    no_args_is_help=True,
    help="Files over HTTP/3, on a QUIC of our own.",
    epilog="baremetal quic serve .\n\nbaremetal quic get --insecure https://127.0.0.1:4433/README.md",
)
app.command(epilog="baremetal quic plot trace.sqlog --output pictures --from 1s --until 3s")(plot)

TIMEOUT = Nanoseconds(10_000_000_000)
WINDOW = Bytes(4 << 20)
MAX_DATAGRAM = Bytes(MAX_PROBE_BYTES)
Output = Annotated[Path | None, typer.Option(metavar="FILE", help="Where the one URL goes; -: standard output.")]
Directory = Annotated[Path, typer.Option(parser=parse_folder, metavar="DIR", help="Where files go, by their names.")]
Session = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Resume, with 0-RTT, from this file, and keep new tickets in it.")
]


@app.command(epilog=f"baremetal quic get --insecure https://127.0.0.1:4433/README.md\n\n{TIMES}")
def get(
    urls: Urls,
    output: Output = None,
    directory: Directory = Path(),
    ca: Ca = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Believe any certificate.")] = False,
    cc: Cc = "cubic",
    qlog: Qlog = None,
    session: Session = None,
    early_data: Annotated[bool, typer.Option(help="With --session: requests before the handshake is done.")] = True,
    alpn: Alpn = "",
    http09: Annotated[bool, typer.Option("--http09", help="The same as --alpn hq-interop.")] = False,
    version: Version = 0,
    cipher: Cipher = 0,
    key_update: Annotated[bool, typer.Option("--key-update", help="Change keys after the handshake.")] = False,
    migrate: Annotated[bool, typer.Option("--migrate", help="Go on from another port in the middle of it.")] = False,
    timeout: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="How long to wait for an answer.")
    ] = TIMEOUT,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Begin with version 1 and ask for version 2.")] = False,
    window: Annotated[
        int, typer.Option(parser=parse_some, metavar="SIZE", help="Flow control: of a stream; twice it in all.")
    ] = WINDOW,
    local: Local = "",
    max_datagram: MaxDatagram = MAX_DATAGRAM,
    offload: Offload = True,
    capture: Capture = None,
    as_json: Json = False,
) -> int:
    """Fetch files; all of one server over one connection."""
    if version and upgrade:
        raise typer.BadParameter("--upgrade is from version 1 to 2, --version is for one alone")
    wanted = WantedGet(
        places=_places(urls, output, directory),
        ca=ca,
        is_insecure=insecure,
        cc=cc,
        qlog=qlog,
        session=session,
        has_early_data=early_data,
        alpn=OLD_HTTP if http09 else alpn,
        version=version,
        cipher=cipher,
        is_upgrading=upgrade,
        window_bytes=window,
        max_datagram_bytes=max_datagram,
        is_updating_keys=key_update,
        is_migrating=migrate,
        timeout_ns=timeout,
        local=local,
        offload=offload,
        capture=capture,
        as_json=as_json,
    )
    from apps.quic.running import run_get

    return run_get(wanted)


@app.command(epilog="baremetal quic serve /srv/files --listen 127.0.0.1:4433 --save-cert server.pem")
def serve(
    folder: Annotated[Path, typer.Argument(parser=parse_folder, metavar="DIR", help="What is served.")],
    listen: Listen = LISTEN,
    cert: Cert = None,
    key: Key = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Without --cert: what the certificate made is for. Repeatable."),
    ] = None,
    save_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the certificate, without its key, for clients' --ca.")
    ] = None,
    cc: Cc = "cubic",
    qlog: Qlog = None,
    preferred: Preferred = None,
    retry: Annotated[bool, typer.Option("--retry", help="Have every client prove its address first.")] = False,
    early_data: Annotated[bool, typer.Option(help="Take requests before the handshake is done.")] = True,
    alpn: Alpn = "",
    version: Version = 0,
    cipher: Cipher = 0,
    max_datagram: MaxDatagram = MAX_DATAGRAM,
    offload: Offload = True,
    capture: Capture = None,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Serve the files of a folder until Ctrl-C."""
    if (cert is None) != (key is None):
        raise typer.BadParameter("--cert and --key go together")
    if cert is not None and name:
        raise typer.BadParameter("--name is for a certificate that is made; --cert has its own names")
    wanted = WantedServe(
        folder=folder,
        host=listen.host,
        port=listen.port,
        cert=cert,
        key=key,
        names=name or [],
        save_cert=save_cert,
        cc=cc,
        qlog=qlog,
        preferred=tuple((each.host, each.port) for each in preferred or ()),
        is_retrying=retry,
        has_early_data=early_data,
        alpn=alpn,
        version=version,
        cipher=cipher,
        max_datagram_bytes=max_datagram,
        offload=offload,
        capture=capture,
        ends_with_stdin=until_stdin_ends,
        as_json=as_json,
    )
    from apps.quic.running import run_serve

    run_serve(wanted)


def _places(urls: list[Url], output: Path | None, directory: Path) -> list[tuple[Url, Path]]:
    """Where each URL goes; typer.BadParameter where two would be one file."""
    if output is not None:
        if len(urls) > 1:
            raise typer.BadParameter("--output is for one URL; several go into a --directory by their names")
        return [(urls[0], output)]
    names: dict[str, Url] = {}
    for url in urls:
        other = names.setdefault(url.file_name, url)
        if other is not url:
            raise typer.BadParameter(f"{other} and {url} would both be {url.file_name}; fetch them one by one")
    return [(url, directory / url.file_name) for url in urls]
