"""aioquic and qh3 as peers: both by the program of this folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.metadata import version

from interop.quic.peers.peer import ClientTask, Command, ServerTask, Wishes


class LibraryPeer:
    """name: of the library, as it is imported and as it is in the package index."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alpns: Sequence[str] = ("hq-interop", "h3")

    def missing(self) -> str:
        """The package, where it is not there."""
        return "" if importlib.util.find_spec(self.name) else f"the Python package {self.name}"

    def version(self) -> str:
        """What is installed."""
        return version(self.name)

    def server(self, task: ServerTask) -> Command:
        """`python -m interop.quic.peers NAME serve ...`."""
        host, port = task.address
        words = [*self._words("serve"), "--host", host, "--port", str(port), "--directory", str(task.directory)]
        words += ["--certificate", str(task.certificate), "--key", str(task.key), "--alpn", task.alpn]
        words += ["--key-log", str(task.key_log)]
        words += ["--retry"] * task.wishes.is_retrying + _shared(task.wishes)
        return Command(words, ends_with_stdin=True)

    def client(self, task: ClientTask) -> list[Command]:
        """`python -m interop.quic.peers NAME get ...`."""
        wishes = task.wishes
        words = [*self._words("get"), "--out", str(task.out), "--alpn", task.alpn, "--key-log", str(task.key_log)]
        words += ["--connections", wishes.connections.value, *_shared(wishes)]
        words += ["--window", str(wishes.client_window_bytes)] if wishes.client_window_bytes else []
        words += ["--chacha20"] * wishes.is_chacha + ["--key-update"] * wishes.updates_keys
        return [Command([*words, *task.urls])]

    def _words(self, what: str) -> list[str]:
        return [sys.executable, "-P", "-m", "interop.quic.peers", self.name, what]


def _shared(wishes: Wishes) -> list[str]:
    return ["--version2"] * wishes.is_version2


AIOQUIC, QH3 = LibraryPeer("aioquic"), LibraryPeer("qh3")
