"""The two network namespaces of `link tun`: made where they are missing, given a device each, and tidied up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from apps.link.arguments import Side
from transports import namespaces
from transports.tuntap import TunDevice


@contextlib.contextmanager
def side(side: Side, *, is_tap: bool, mtu: int) -> Iterator[TunDevice]:
    """The device of one side, up and with its address, in a namespace that goes again if it was made here.

    TransportError where something cannot be had.
    """
    with contextlib.ExitStack() as undo:
        if not namespaces.exists(side.namespace):
            namespaces.create(side.namespace)
            undo.callback(_remove, side.namespace)
        with namespaces.entered(side.namespace):
            device = TunDevice(side.device, is_tap=is_tap, frame_limit_bytes=mtu + (ETHERNET_BYTES if is_tap else 0))
        undo.callback(device.close)
        link = ("-n", side.namespace, "link", "set", side.device)
        namespaces.run_ip(*link, "mtu", str(mtu), "txqueuelen", str(QUEUE_PACKETS))
        if side.address:
            words = ["nodad"] if ":" in side.address else []
            namespaces.run_ip("-n", side.namespace, "addr", "replace", side.address, "dev", side.device, *words)
        namespaces.run_ip(*link, "up")
        yield device


def _remove(name: str) -> None:
    with contextlib.suppress(Exception):
        namespaces.remove(name)


ETHERNET_BYTES = 14
QUEUE_PACKETS = 4096
"""What the kernel holds for us while we are busy; the queue that counts is the link's own."""
