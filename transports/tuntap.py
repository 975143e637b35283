"""TUN and TAP devices as frame transports: a network interface whose packets come out of, and go into, this process.

Packets as the kernel would put them on a wire: no segmentation offload is offered, so it cuts before, and all checksums
are filled in. Needs CAP_NET_ADMIN. Follows Linux Documentation/networking/tuntap.rst, <linux/if_tun.h>.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Sequence

import trio

from transports.datagram import Buffer
from transports.errors import TransportError
from transports.segments import total_bytes


class TunDevice:
    """A TUN device (IP packets) or TAP device (Ethernet frames). Implements `transports.frames.FrameTransport`.

    name: of the interface, at most 15 bytes; made if it is not there, and then gone after `close`. It is looked for in
    the network namespace of the thread that opens it (`transports.namespaces.entered`), and stays there.
    frame_limit_bytes: the largest frame; what is longer is cut on receive, so it has to go with the interface's MTU.

    refused: frames that the kernel would not take, its interface being down.
    TransportError when the device cannot be had.
    """

    def __init__(self, name: str, *, is_tap: bool = False, frame_limit_bytes: int = 1514) -> None:
        self.name = name
        self.is_tap = is_tap
        self.refused = 0
        self._frame_limit_bytes = frame_limit_bytes
        self._file = _open(name, IFF_TAP if is_tap else IFF_TUN)

    @property
    def frame_limit_bytes(self) -> int:
        """The largest frame that it takes, link-layer header included."""
        return self._frame_limit_bytes

    def fileno(self) -> int:
        """The file descriptor, for select and poll; -1 after `close`."""
        return self._file

    def send(self, views: Sequence[Buffer]) -> bool:
        """Send one frame; False while full. TransportError when it is empty or exceeds the limit, or after `close`."""
        if not 0 < total_bytes(views) <= self._frame_limit_bytes:
            raise TransportError(f"a frame of {total_bytes(views)} bytes does not fit 1 to {self._frame_limit_bytes}")
        try:
            os.writev(self._file, views)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EBADF:
                raise TransportError("the transport is closed", errno=errno.EBADF) from error
            self.refused += 1
        return True

    def receive(self) -> memoryview | None:
        """The next frame, valid as long as it is held; None when nothing is there."""
        try:
            return memoryview(os.read(self._file, self._frame_limit_bytes))
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EBADF:
                raise TransportError("the transport is closed", errno=errno.EBADF) from error
            return None

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""
        await trio.lowlevel.wait_readable(self._file)

    async def wait_writable(self) -> None:
        """Return when `send` may succeed."""
        await trio.lowlevel.wait_writable(self._file)

    def close(self) -> None:
        """Release the device; idempotent."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)


def _open(name: str, kind: int) -> int:
    packed = name.encode()
    if not 0 < len(packed) < IFNAMSIZ or set(name) & set("/% \t"):
        raise TransportError(f"{name!r} is no name of an interface: 1 to {IFNAMSIZ - 1} bytes, no blank or slash")
    try:
        opened = os.open(TUN_PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TransportError(f"cannot open {TUN_PATH}: {_reason(error)}", errno=error.errno or 0) from error
    try:
        fcntl.ioctl(opened, TUNSETIFF, packed.ljust(IFNAMSIZ, b"\0") + (kind | IFF_NO_PI).to_bytes(24, sys.byteorder))
    except OSError as error:
        os.close(opened)
        raise TransportError(f"cannot have device {name}: {_reason(error)}", errno=error.errno or 0) from error
    return opened


def _reason(error: OSError) -> str:
    return REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())


REASONS = {
    errno.EPERM: "this needs root (CAP_NET_ADMIN)",
    errno.EACCES: "this needs root (CAP_NET_ADMIN)",
    errno.ENOENT: "this kernel has no TUN devices (modprobe tun)",
    errno.ENXIO: "this kernel has no TUN devices (modprobe tun)",
    errno.EBUSY: "another process has it",
    errno.EINVAL: "an interface of that name and another kind is there",
}
TUN_PATH = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI = 0x0001, 0x0002, 0x1000
IFNAMSIZ = 16
