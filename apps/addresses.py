"""An address for a device that another process is going to be."""

from __future__ import annotations

import errno
import os
import socket

from apps.errors import CommandError
from stacks.rdma import ROCE_PORT


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
