"""ngtcp2 as Debian packs it: gtlsserver and gtlsclient, which speak h3 alone."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from interop.quic.peers.peer import ClientTask, Command, Connections, ServerTask


class Ngtcp2:
    """Its version 2 is a draft (0x709a50c4), offered by no cell here."""

    name = "ngtcp2"
    alpns: Sequence[str] = ("h3",)

    def missing(self) -> str:
        """The packages, where they are not there."""
        programs = {"gtlsserver": "ngtcp2-server", "gtlsclient": "ngtcp2-client"}
        packages = [package for program, package in programs.items() if shutil.which(program) is None]
        return f"the package {' and '.join(packages)}" if packages else ""

    def version(self) -> str:
        """Of the package."""
        words = ["dpkg-query", "-W", "-f", "${Version}", "ngtcp2-server"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout or "unknown"

    def server(self, task: ServerTask) -> Command:
        """Gtlsserver."""
        host, port = task.address
        words = ["gtlsserver", *QUIET, "-d", str(task.directory)]
        words += ["-V"] * task.wishes.is_retrying
        words += ["--preferred-versions=v2draft,v1"] * task.wishes.is_version2
        if task.wishes.server_streams:
            words.append(f"--max-streams-bidi={task.wishes.server_streams}")
        if task.preferred is not None:
            words.append(f"--preferred-ipv4-addr={task.preferred[0]}:{task.preferred[1]}")
        words += [host, str(port), str(task.key), str(task.certificate)]
        return Command(words, {"SSLKEYLOGFILE": str(task.key_log)})

    def client(self, task: ClientTask) -> list[Command]:
        """gtlsclient, once a connection."""
        urls = task.urls
        match task.wishes.connections:
            case Connections.ONE:
                return [self._client(task, urls)]
            case Connections.EACH:
                return [self._client(task, [url]) for url in urls]
            case _:
                return [self._client(task, urls[:1]), self._client(task, urls[1:])]

    def _client(self, task: ClientTask, urls: Sequence[str]) -> Command:
        wishes, (host, port) = task.wishes, task.address
        words = ["gtlsclient", *QUIET, "--exit-on-all-streams-close", f"--download={task.out}"]
        if wishes.connections in (Connections.RESUME, Connections.EARLY):
            words += [f"--session-file={task.scratch / 'session'}", f"--tp-file={task.scratch / 'parameters'}"]
            words += ["--disable-early-data"] * (wishes.connections is Connections.RESUME)
        if wishes.client_window_bytes:
            size = wishes.client_window_bytes
            words += [f"--max-data={size}", f"--max-stream-data-bidi-local={size}"]
        words += [f"--ciphers={CHACHA20}"] * wishes.is_chacha
        # Its probes of the path MTU would count as 1-RTT data of the client.
        words += ["--no-pmtud"] * (wishes.connections is Connections.EARLY)
        words += ["--key-update=500ms"] * wishes.updates_keys
        words += ["--version=v1", "--other-versions=v2draft,v1"] * wishes.is_version2
        return Command([*words, host, str(port), *urls], {"SSLKEYLOGFILE": str(task.key_log)})


QUIET = ("-q", "--no-quic-dump", "--no-http-dump", "--cc=cubic")
CHACHA20 = (
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"
)
