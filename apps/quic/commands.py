"""The command line of `baremetal quic`."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Annotated

import typer

from apps.arguments import TIMES, Capture, Json, Offload
from apps.errors import CommandError
from apps.link.arguments import Endpoint
from apps.output import complain, console
from apps.quic.arguments import (
    LISTEN,
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
from apps.quic.downloads import DASH
from apps.quic.getting import GetOptions, get_all
from apps.quic.key_log import key_log
from apps.quic.reporting import document, progress_bar, report
from apps.quic.serving import ServeOptions, run_server
from apps.quic.session_file import SessionFile
from apps.quic.urls import Url
from apps.signals import end_tidily
from apps.sizes import Bytes, Nanoseconds, parse_duration, parse_some
from stacks.quic.configuration import VERSION_1, VERSION_2, Configuration
from stacks.quic.controllers import quic_controller
from stacks.quic.http3 import ALPN_HTTP09, ALPN_HTTP3
from stacks.quic.tls import make_self_signed

app = typer.Typer(
    no_args_is_help=True,
    help="Files over HTTP/3, on a QUIC of our own.",
    epilog="baremetal quic serve .\n\nbaremetal quic get --insecure https://127.0.0.1:4433/README.md",
)
app.command(epilog="baremetal quic plot trace.sqlog --output pictures --from 1s --until 3s")(plot)

TIMEOUT = Nanoseconds(10_000_000_000)
WINDOW = Bytes(4 << 20)
MAX_DATAGRAM = Bytes(Configuration().max_probe_bytes)
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
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Begin with version 1 and ask for version 2.")] = False,
    window: Annotated[
        int, typer.Option(parser=parse_some, metavar="SIZE", help="What a stream may bring before it is read.")
    ] = WINDOW,
    cipher: Cipher = 0,
    key_update: Annotated[bool, typer.Option("--key-update", help="Change keys after the handshake.")] = False,
    migrate: Annotated[bool, typer.Option("--migrate", help="Go on from another port in the middle of it.")] = False,
    timeout: Annotated[
        int, typer.Option(parser=parse_duration, metavar="TIME", help="How long to wait for an answer.")
    ] = TIMEOUT,
    local: Local = "",
    max_datagram: MaxDatagram = MAX_DATAGRAM,
    offload: Offload = True,
    capture: Capture = None,
    as_json: Json = False,
) -> int:
    """Fetch files; all of one server over one connection."""
    places = _places(urls, output, directory)
    sessions = SessionFile(session)
    end_tidily()
    with key_log() as log:
        configuration = Configuration(
            versions=_versions(version, is_upgrading=upgrade),
            initial_version=version or VERSION_1,
            stream_window_bytes=window,
            connection_window_bytes=2 * window,
            controller=quic_controller(cc),
            cipher_suites=(cipher,) if cipher else (),
            trusted_certificates=None if ca is None else ca.read_bytes(),
            is_verifying=not insecure,
            has_early_data=early_data,
            max_probe_bytes=max_datagram,
            key_log=log,
        )
        options = GetOptions(
            configuration=configuration,
            alpn=ALPN_HTTP09 if http09 else alpn,
            version=version or None,
            timeout_ns=timeout,
            is_updating_keys=key_update,
            is_migrating=migrate,
            offload=offload,
            local=local,
            capture=capture,
            qlog=qlog,
            sessions=sessions,
        )
        is_on_stdout = any(path == DASH for _, path in places)
        started_ns, started_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        with progress_bar(is_hidden=as_json) as advance:
            origins = get_all(places, options, on_bytes=advance)
        duration_ns, cpu_ns = time.perf_counter_ns() - started_ns, time.process_time_ns() - started_cpu_ns
    if as_json:
        console(stderr=is_on_stdout).print_json(data=document(origins, duration_ns, cpu_ns))
    else:
        report(origins, duration_ns, is_text_on_stderr=is_on_stdout)
    return _complaints([(fetch.url, fetch.problem) for origin in origins for fetch in origin.fetches])


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
    chain, secret = _identity(cert, key, name or [], listen)
    first = version or VERSION_1
    with key_log() as log:
        configuration = Configuration(
            alpn=(alpn,) if alpn else (ALPN_HTTP3, ALPN_HTTP09),
            versions=(first, VERSION_1 if first == VERSION_2 else VERSION_2),
            controller=quic_controller(cc),
            cipher_suites=(cipher,) if cipher else (),
            certificate_chain=chain,
            private_key=secret,
            is_retrying=retry,
            preferred_addresses=tuple((each.host, each.port) for each in preferred or ()),
            has_early_data=early_data,
            max_probe_bytes=max_datagram,
            key_log=log,
        )
        if save_cert is not None:
            save_cert.write_bytes(chain)
        run_server(
            ServeOptions(
                folder=folder,
                host=listen.host,
                port=listen.port,
                configuration=configuration,
                is_made=cert is None,
                offload=offload,
                capture=capture,
                qlog=qlog,
                ends_with_stdin=until_stdin_ends,
                as_json=as_json,
            )
        )


def _versions(version: int, *, is_upgrading: bool) -> tuple[int, ...]:
    """What a client speaks, the preferred first."""
    if version and is_upgrading:
        raise typer.BadParameter("--upgrade is from version 1 to 2, --version is for one alone")
    if version:
        return (version,)
    return (VERSION_2, VERSION_1) if is_upgrading else (VERSION_1, VERSION_2)


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


def _identity(cert: Path | None, key: Path | None, names: list[str], listen: Endpoint) -> tuple[bytes, bytes]:
    """A certificate chain and its key; made for this run where none is given."""
    if (cert is None) != (key is None):
        raise typer.BadParameter("--cert and --key go together")
    if cert is not None and key is not None:
        if names:
            raise typer.BadParameter("--name is for a certificate that is made; --cert has its own names")
        return cert.read_bytes(), key.read_bytes()
    return make_self_signed(
        names or list(dict.fromkeys(("localhost", "127.0.0.1", "::1", listen.host))),
        random.SystemRandom(),
        unix_ns=time.time_ns(),
    )


def _complaints(problems: list[tuple[Url, str]]) -> int:
    """One line for each URL of which nothing came; the exit status."""
    failed = [(url, problem) for url, problem in problems if problem]
    if len(failed) == len(problems) and len({problem for _, problem in failed}) == 1 and len(failed) > 1:
        raise CommandError(failed[0][1])
    for url, problem in failed[:COMPLAINTS]:
        complain(f"{url}: {problem}")
    if len(failed) > COMPLAINTS:
        complain(f"and {len(failed) - COMPLAINTS} more")
    return 1 if failed else 0


COMPLAINTS = 10
