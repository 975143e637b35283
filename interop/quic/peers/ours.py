"""Ours: `baremetal quic serve` and `baremetal quic get`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import apps
from apps.processes import command_line
from interop.quic.peers.peer import ClientTask, Command, Connections, ServerTask


class Ours:
    """The commands of this tree."""

    name = "ours"
    alpns: Sequence[str] = ("hq-interop", "h3")

    def missing(self) -> str:
        """Nothing ever is."""
        return ""

    def version(self) -> str:
        """Of the tree."""
        return apps.__version__

    def server(self, task: ServerTask) -> Command:
        """`baremetal quic serve`."""
        host, port = task.address
        listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        words = ["quic", "serve", str(task.directory), "--listen", listen, "--alpn", task.alpn, "--until-stdin-ends"]
        words += ["--cert", str(task.certificate), "--key", str(task.key)]
        words += ["--retry"] * task.wishes.is_retrying
        words += ["--version", "2"] * task.wishes.is_version2
        if task.preferred is not None:
            words += ["--preferred", f"{task.preferred[0]}:{task.preferred[1]}"]
        return Command(command_line(words), {"SSLKEYLOGFILE": str(task.key_log)}, ends_with_stdin=True)

    def client(self, task: ClientTask) -> list[Command]:
        """`baremetal quic get`, once a connection."""
        urls = task.urls
        match task.wishes.connections:
            case Connections.ONE:
                return [self._get(task, urls)]
            case Connections.EACH:
                words = [sys.executable, "-P", "-m", "interop.quic.peers.repeat", *self._words(task), "--", *urls]
                return [Command(words, {"SSLKEYLOGFILE": str(task.key_log)})]
            case _:
                return [self._get(task, urls[:1]), self._get(task, urls[1:])]

    def _get(self, task: ClientTask, urls: Sequence[str]) -> Command:
        return Command(command_line([*self._words(task), *urls]), {"SSLKEYLOGFILE": str(task.key_log)})

    def _words(self, task: ClientTask) -> list[str]:
        wishes = task.wishes
        words = ["quic", "get", "--insecure", "--directory", str(task.out), "--alpn", task.alpn, "--timeout", "60s"]
        if wishes.connections in (Connections.RESUME, Connections.EARLY):
            words += ["--session", str(task.scratch / "session")]
            words += ["--no-early-data"] * (wishes.connections is Connections.RESUME)
        words += ["--cipher", "chacha20"] * wishes.is_chacha
        words += ["--key-update"] * wishes.updates_keys + ["--upgrade"] * wishes.is_version2
        words += ["--window", str(wishes.client_window_bytes)] if wishes.client_window_bytes else []
        return words
