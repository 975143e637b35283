"""The link of a cell: `baremetal link`, which captures what passes."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.processes import ServingProcess
from interop.congestion.bottleneck import require_namespaces, settle
from interop.quic.catalogue import QuicCase
from transports import namespaces
from transports.datagram import Address


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a cell's ends are. server: where it listens; preferred: its other address, where it has one.

    reached: where the client finds it. near, far: prefixes of commands that run on the client's and the server's side.
    """

    server: Address
    reached: Address
    preferred: Address | None = None
    near: Sequence[str] = ()
    far: Sequence[str] = ()


def free_port(host: str) -> int:
    """A UDP port of this machine that nobody has now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as found:
        found.bind((host, 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def between_sockets(case: QuicCase, server: Address, capture: Path, seed: int) -> Iterator[Ends]:
    """The link to a server that listens already: schedules of the link begin now."""
    to = f"[{server[0]}]:{server[1]}" if ":" in server[0] else f"{server[0]}:{server[1]}"
    listen = "[::1]:0" if ":" in server[0] else "127.0.0.1:0"
    words = ["link", "udp", "--listen", listen, "--to", to, *_words(case, capture, seed)]
    with ServingProcess(words) as process:
        host, _, port = str(process.ready["listen"]).rpartition(":")
        yield Ends(server, (host.strip("[]"), int(port)))


@contextlib.contextmanager
def between_namespaces(case: QuicCase, capture: Path, seed: int) -> Iterator[Ends]:
    """The link between two namespaces, the server's with a second address. MissingToolError where that cannot be."""
    require_namespaces()
    left, right = f"bmq{os.getpid()}l", f"bmq{os.getpid()}r"
    words = ["link", "tun", "--left", f"{left}/bm0/10.79.0.1/24", "--right", f"{right}/bm0/10.79.0.2/24"]
    process = ServingProcess([*words, *_words(case, capture, seed)])
    try:
        namespaces.run_ip("-n", right, "address", "add", "10.79.0.3/24", "dev", "bm0")
        settle()
        near, far = ("ip", "netns", "exec", left), ("ip", "netns", "exec", right)
        yield Ends(("10.79.0.2", 4433), ("10.79.0.2", 4433), ("10.79.0.3", 4434), near, far)
    finally:
        process.stop()
        for name in (left, right):
            if namespaces.exists(name):  # it was killed
                namespaces.remove(name)


def _words(case: QuicCase, capture: Path, seed: int) -> list[str]:
    words = ["--rate", "10mbit", "--delay", case.delay, "--limit", "25packets", "--seed", str(seed)]
    return [*words, "--capture", str(capture), "--json", "--until-stdin-ends", *case.link]
