"""`quic get` and `quic serve` once their arguments are known: the modules that take long to load come with this one."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from apps.errors import CommandError
from apps.output import complain, console
from apps.quic.downloads import DASH
from apps.quic.getting import GetOptions, Origin, get_all
from apps.quic.key_log import key_log
from apps.quic.reporting import document, progress_bar, report
from apps.quic.serving import ServeOptions, run_server
from apps.quic.session_file import SessionFile
from apps.quic.wanted import WantedGet, WantedServe
from apps.signals import end_tidily
from stacks.quic.configuration import VERSION_1, VERSION_2, Configuration
from stacks.quic.controllers import quic_controller
from stacks.quic.http3 import ALPN_HTTP09, ALPN_HTTP3
from stacks.quic.tls import make_self_signed


def run_get(wanted: WantedGet) -> int:
    """Fetch, and say what came of it; the exit status. CommandError and the like, with one line for a person."""
    sessions = SessionFile(wanted.session)
    end_tidily()
    is_on_stdout = any(path == DASH for _, path in wanted.places)
    with key_log() as log:
        configuration = Configuration(
            versions=_versions(wanted),
            initial_version=wanted.version or VERSION_1,
            stream_window_bytes=wanted.window_bytes,
            connection_window_bytes=2 * wanted.window_bytes,
            controller=quic_controller(wanted.cc),
            cipher_suites=(wanted.cipher,) if wanted.cipher else (),
            max_probe_bytes=wanted.max_datagram_bytes,
            trusted_certificates=None if wanted.ca is None else wanted.ca.read_bytes(),
            is_verifying=not wanted.is_insecure,
            has_early_data=wanted.has_early_data,
            key_log=log,
        )
        options = GetOptions(
            configuration=configuration,
            alpn=wanted.alpn,
            version=wanted.version or None,
            timeout_ns=wanted.timeout_ns,
            is_updating_keys=wanted.is_updating_keys,
            is_migrating=wanted.is_migrating,
            offload=wanted.offload,
            local=wanted.local,
            capture=wanted.capture,
            qlog=wanted.qlog,
            sessions=sessions,
        )
        started_ns, started_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        with progress_bar(is_hidden=wanted.as_json) as advance:
            origins = get_all(wanted.places, options, on_bytes=advance)
        duration_ns, cpu_ns = time.perf_counter_ns() - started_ns, time.process_time_ns() - started_cpu_ns
    if wanted.as_json:
        console(stderr=is_on_stdout).print_json(data=document(origins, duration_ns, cpu_ns))
    else:
        report(origins, duration_ns, is_text_on_stderr=is_on_stdout)
    return complaints(origins)


def _versions(wanted: WantedGet) -> tuple[int, ...]:
    """What a client speaks, the preferred first."""
    if wanted.version:
        return (wanted.version,)
    return (VERSION_2, VERSION_1) if wanted.is_upgrading else (VERSION_1, VERSION_2)


def run_serve(wanted: WantedServe) -> None:
    """Serve until told to end."""
    chain, secret = identity(wanted)
    first = wanted.version or VERSION_1
    with key_log() as log:
        configuration = Configuration(
            alpn=(wanted.alpn,) if wanted.alpn else (ALPN_HTTP3, ALPN_HTTP09),
            versions=(first, VERSION_1 if first == VERSION_2 else VERSION_2),
            controller=quic_controller(wanted.cc),
            cipher_suites=(wanted.cipher,) if wanted.cipher else (),
            max_probe_bytes=wanted.max_datagram_bytes,
            certificate_chain=chain,
            private_key=secret,
            is_retrying=wanted.is_retrying,
            preferred_addresses=wanted.preferred,
            has_early_data=wanted.has_early_data,
            key_log=log,
        )
        if wanted.save_cert is not None:
            wanted.save_cert.write_bytes(chain)
        run_server(
            ServeOptions(
                folder=wanted.folder,
                host=wanted.host,
                port=wanted.port,
                configuration=configuration,
                is_made=wanted.cert is None,
                offload=wanted.offload,
                capture=wanted.capture,
                qlog=wanted.qlog,
                ends_with_stdin=wanted.ends_with_stdin,
                as_json=wanted.as_json,
            )
        )


def identity(wanted: WantedServe) -> tuple[bytes, bytes]:
    """A certificate chain and its key; made for this run where none is given."""
    if wanted.cert is not None and wanted.key is not None:
        return wanted.cert.read_bytes(), wanted.key.read_bytes()
    names = wanted.names or list(dict.fromkeys(("localhost", "127.0.0.1", "::1", wanted.host)))
    return make_self_signed(names, random.SystemRandom(), unix_ns=time.time_ns())


def complaints(origins: Sequence[Origin]) -> int:
    """One line for each URL of which nothing came, or for all together; the exit status."""
    fetches = [fetch for origin in origins for fetch in origin.fetches]
    failed = [fetch for fetch in fetches if fetch.problem]
    if len(failed) == len(fetches) > 1 and len({fetch.problem for fetch in failed}) == 1:
        raise CommandError(failed[0].problem)
    for fetch in failed[:COMPLAINTS]:
        complain(f"{fetch.url}: {fetch.problem}")
    if len(failed) > COMPLAINTS:
        complain(f"and {len(failed) - COMPLAINTS} more")
    return 1 if failed else 0


COMPLAINTS = 10
