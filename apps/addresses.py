"""An address for a device that another process is going to be."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

from apps.errors import CommandError
from stacks.rdma import ROCE_PORT
from transports.errors import TransportError
from transports.routes import source_address


def free_loopback_address() -> str:
    """An address of 127.0.0.0/8 whose RoCE port is free. CommandError when there is none."""
    # Processes that look at the same moment start at different places.
    start = os.getpid() * 7
    for step in range(ADDRESSES):
        number = (start + step) % ADDRESSES
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        if is_free(address):
            return address
    raise CommandError(f"UDP port {ROCE_PORT} is taken on every address tried", "stop other devices; see rdma counters")


def address_beside(remote: str) -> str:
    """An address for a device that talks to `remote`; empty where the one of the route to there will do.

    A device takes the whole of its address, so where `remote` is on this machine, ours is another than that one.
    CommandError when there is none, as on IPv6 loopback, which has a single address.
    """
    if ip_address(remote).is_loopback and ":" not in remote:
        return ""
    try:
        if source_address(remote) != remote:
            return ""
    except TransportError:
        return ""
    if ":" not in remote:
        return free_loopback_address()
    raise CommandError(
        f"{remote} is an address of this machine that a target there has for itself, and IPv6 loopback has no other",
        "add a second one (as root: ip addr add ::2/128 dev lo) and name it with --local ::2",
    )


def is_free(address: str) -> bool:
    """Whether a device could have `address` now. OSError when it is no address of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, ROCE_PORT))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


ADDRESSES = 2000
