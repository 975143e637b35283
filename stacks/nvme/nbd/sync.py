"""An NBD server on kernel sockets, without an event loop: a pump to turn by hand beside that of what it serves.

    with connect(url) as namespace:
        server = NbdServer(namespace.core, export_of(namespace.core, namespace.connection.host.identity))
        with closing(NbdPort(server, [parse_uri("nbd://127.0.0.1:10809")])) as port:
            port.serve(namespace.connection.end.pump, until=lambda: False)
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stacks.nvme.bindings.sync import Pumping
from stacks.nvme.nbd.server import NbdServer
from stacks.nvme.nbd.uri import NbdUri
from stacks.runtime import LocalError
from transports.clock import RealClock
from transports.pump import wait_for
from transports.stream_network import KernelStreams, tcp_listener, unix_listener
from transports.stream_pump import StreamPump


class NbdPort:
    """Where a server's clients connect. uris: the places as they are, with the ports that were found for port 0.

    LocalError or TransportError, in one line for a person, when a place cannot be had.
    """

    def __init__(self, server: NbdServer, uris: Sequence[NbdUri]) -> None:
        self.server = server
        self.uris: list[NbdUri] = []
        self._clock = RealClock()
        self._network = KernelStreams()
        self._sockets: dict[str, os.stat_result] = {}
        self.pump = StreamPump(server, self._network, self._clock)
        try:
            for uri in uris:
                self._listen(uri)
        except BaseException:
            self.close()
            raise

    def serve(self, beside: Pumping, *, until: Callable[[], bool], wake_fd: int | None = None) -> None:
        """Serve until `until`, which is looked at after every pass.

        beside: the pump of what is served. wake_fd: a pass is made when this file is readable.
        """
        pumps = (self.pump, beside)
        pump, pump_beside = self.pump.pump, beside.pump
        while not until():
            did = pump_beside()
            if not (pump() or did):
                wait_for(pumps, wake_fd=wake_fd)

    def drain(self, beside: Pumping, *, timeout_ns: int = 3 * 10**9) -> None:
        """Take no more clients, and end with each once what is under way is answered, or after `timeout_ns`."""
        self._network.stop_listening()
        self._remove_sockets()
        self.server.stop()
        end = self._clock.now() + timeout_ns
        while not self.server.is_drained and (left := end - self._clock.now()) > 0:
            did = beside.pump()
            if not (self.pump.pump() or did):
                wait_for((self.pump, beside), left)

    def close(self) -> None:
        """Close every connection, and remove the sockets that were made."""
        self.pump.close()
        self._network.close()
        self._remove_sockets()

    def _listen(self, uri: NbdUri) -> None:
        if not uri.socket:
            listening = tcp_listener(uri.host, uri.port)
            self.uris.append(replace(uri, port=listening.getsockname()[1]))
            self._network.listen(listening)
            return
        path = Path(uri.socket)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise LocalError(f"{path} is there already and no socket, and is left alone; choose another path")
        self._network.listen(unix_listener(uri.socket))
        self._sockets[uri.socket] = path.lstat()
        self.uris.append(uri)

    def _remove_sockets(self) -> None:
        while self._sockets:
            path, made = self._sockets.popitem()
            with contextlib.suppress(OSError):
                # Somebody else may have put his own in its place.
                if os.path.samestat(Path(path).lstat(), made):
                    Path(path).unlink()
