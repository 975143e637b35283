"""A process of ours that works for this one: started from a module, reached by messages with descriptors, and ended
with us.

Nothing is left of a parent that is killed: the kernel ends the child (PR_SET_PDEATHSIG), and the child also ends when
its end of the connection tells it that nobody is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import trio

import transports
from transports.rights import RightsEnd, rights_end, rights_pair
from transports.stream_socket import SocketStream


class ChildProcess:
    """`python -m MODULE`, which calls `parent_end`. rights: to ask it with.

    It has no standard input and output, our standard error, and a session of its own: Ctrl-C is for us.
    """

    def __init__(self, module: str) -> None:
        self.rights, far = rights_pair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(far.fileno()), str(os.getpid())],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except OSError:
            self.rights.close()
            raise
        finally:
            far.close()
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
        except OSError:
            self.kill()
            self.rights.close()
            raise

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    async def wait_ended(self) -> int:
        """Return when it has ended; its exit status, or minus the signal that killed it."""
        await trio.lowlevel.wait_readable(self._pidfd)
        return self._process.wait()

    def kill(self) -> None:
        """End it, and return when it is no more."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and wait for that; idempotent."""
        if self._pidfd < 0:
            return
        self._process.kill()
        self._process.wait()
        self.rights.close()
        with contextlib.suppress(RuntimeError):  # outside of trio nobody can be waiting
            trio.lowlevel.notify_closing(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1


def parent_end() -> RightsEnd:
    """In the child: the connection to the parent; from now on this process ends with it."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL.value)
    if os.getppid() != parent:
        sys.exit(0)
    return rights_end(descriptor)


def stream_pair() -> tuple[SocketStream, socket.socket]:
    """Two connected ends: ours, and one to send away."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHANNEL_BYTES)
    return SocketStream(near), far


def stream_of(descriptor: int) -> SocketStream:
    """A stream on a descriptor that was received, which it owns."""
    return SocketStream(socket.socket(fileno=descriptor))


def _environment() -> dict[str, str]:
    # This very program first among the places to import from, whether it was installed or runs from its tree.
    places = [str(Path(transports.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


PR_SET_PDEATHSIG = 1
CHANNEL_BYTES = 1 << 20
"""Of a stream between processes; the system grants what it likes."""
