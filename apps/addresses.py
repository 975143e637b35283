"""Which of this machine's addresses a device takes when nobody says."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from apps.errors import CommandError
from stacks.rdma import ROCE_PORT


def local_address_for(remote: str) -> str:
    """An address of ours from which `remote` can be reached, and whose RoCE port is free.

    For a peer on IPv4 loopback, any other of 127.0.0.0/8; otherwise the one that the routes choose. CommandError when
    there is none: the same address cannot be two devices.
    """
    if is_ipv4_loopback(remote):
        return free_loopback_address(besides=remote)
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((remote, ROCE_PORT))
        address: str = probe.getsockname()[0]
    if not is_free(address):
        raise CommandError(f"UDP port {ROCE_PORT} of {address} is taken", "name another of our addresses with --local")
    return address


def free_loopback_address(*, besides: str = "") -> str:
    """An address of 127.0.0.0/8 other than `besides` whose RoCE port is free. CommandError when there is none."""
    # Processes that look at the same moment start at different places.
    start = os.getpid() * 7
    for step in range(ADDRESSES):
        number = (start + step) % ADDRESSES
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        if address != besides and is_free(address):
            return address
    raise CommandError(f"UDP port {ROCE_PORT} is taken on every address tried", "stop other devices; see rdma counters")


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


def is_ipv4_loopback(address: str) -> bool:
    """Whether `address` is of 127.0.0.0/8, all of which is ours."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.version == 4 and parsed.is_loopback


ADDRESSES = 2000
