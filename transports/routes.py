"""Which of this machine's addresses the routes choose towards a peer."""

from __future__ import annotations

import socket

from transports.errors import TransportError


def source_address(remote: str) -> str:
    """The local address, in numeric text form, from which packets to `remote` (numeric too) would leave.

    Nothing is sent. TransportError when `remote` is not numeric, or there is no route.
    """
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            info = socket.getaddrinfo(remote, 9, family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
            probe.connect(info[0][4])
        except OSError as error:
            raise TransportError(f"there is no way to {remote}: {error.strerror}", errno=error.errno or 0) from error
        address: str = probe.getsockname()[0]
        return address
