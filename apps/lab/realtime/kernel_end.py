"""A flow of the kernel's TCP in real time: both sockets, each in its namespace, and what the kernel says of it.

Sizes and goodput are of payload, as of our flows; windows are told as whole packets.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence
from dataclasses import replace

from apps.lab.realtime.end import FlowEnd, Place, Sizes
from apps.lab.realtime.loop import Loop
from stacks.lab.counts import FlowCounts
from stacks.lab.network.line import Way
from stacks.lab.running.plan import PlannedFlow
from transports import namespaces
from transports.errors import TransportError
from transports.tcp_info import BbrInfo, TcpInfo, bbr_info, set_congestion, tcp_info


class KernelEnd(FlowEnd):
    """`connect` of all flows comes before any `accept`, so that their handshakes share one round trip."""

    def __init__(
        self, loop: Loop, planned: PlannedFlow, way: Way, *, number: int, sizes: Sizes, nodes: tuple[Place, Place]
    ) -> None:
        config = replace(planned.config, controller=planned.config.sender)
        super().__init__(loop, planned, way, number=number, sizes=sizes, config=config)
        (near, self._near_address), (far, self._far_address) = nodes
        self._received_bytes = 0
        self._pending_bytes = 0
        self._is_writing = False
        with contextlib.ExitStack() as undo:
            with namespaces.entered(far):
                self._server = undo.enter_context(socket.create_server((self._far_address, 0)))
            with namespaces.entered(near):
                self._sender = undo.enter_context(socket.socket(socket.AF_INET))
            set_congestion(self._sender, config.sender.partition(":")[2])
            self._sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sender.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            self._sender.setblocking(False)
            undo.pop_all()
        self._receiver: socket.socket | None = None

    def connect(self) -> None:
        """Begin the handshake."""
        with contextlib.suppress(BlockingIOError):
            self._sender.connect((self._far_address, self._server.getsockname()[1]))

    def accept(self) -> None:
        """Wait for its end. TransportError when it does not come."""
        self._server.settimeout(CONNECT_S)
        try:
            self._receiver = self._server.accept()[0]
        except TimeoutError:
            raise TransportError(f"{self.name}: no TCP connection over the link within {CONNECT_S} s") from None
        self._receiver.setblocking(False)
        self._server.close()
        here, there = self._sender.getsockname(), self._receiver.getsockname()
        self.link_name = f"{here[0]}:{here[1]}>{there[0]}:{there[1]}/6"
        self.loop.watch(self._receiver.fileno(), select.EPOLLIN, self._drain)
        self.loop.watch(self._sender.fileno(), 0, self._fill)

    @property
    def goodput_bytes(self) -> int:
        """What the application got."""
        return self._received_bytes

    @property
    def counts(self) -> FlowCounts:
        """What the kernel counted; what it sent again is all that it says of losses."""
        info = tcp_info(self._sender)
        again = info.retransmitted_ever
        return FlowCounts(info.data_segments_out, again, again, -1, -1, info.delivered_ce)

    @property
    def state(self) -> str:
        """Of BBR its phase, of others slow start, congestion avoidance or recovery."""
        return kernel_state(tcp_info(self._sender), bbr_info(self._sender))

    def sample(self) -> Sequence[int]:
        """As of `FlowEnd`; the RTT is the smoothed one."""
        info, packet_bytes = tcp_info(self._sender), self.packet_bytes
        inflight = max(0, info.unacked - info.sacked - info.lost + info.retransmitted)
        return (
            info.cwnd * packet_bytes,
            info.pacing_rate_bps or -1,
            info.rtt_ns or -1,
            inflight * packet_bytes,
            self.goodput_bytes,
            info.retransmitted_ever,
        )

    def write(self, length_bytes: int) -> None:
        """The application has so many more bytes."""
        self._pending_bytes += length_bytes
        self._fill(0)

    def stop(self) -> None:
        """It has no more; what the kernel has is still sent."""
        self._pending_bytes = 0

    def close(self) -> None:
        """Break it off."""
        for each in (self._server, self._sender, self._receiver):
            if each is not None:
                each.close()

    def _fill(self, events: int) -> None:
        send = self._sender.send
        try:
            if events & BROKEN:
                raise OSError(self._sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "it is closed")
            while self._pending_bytes:
                self._pending_bytes -= send(CHUNK[: self._pending_bytes])
        except BlockingIOError:
            pass
        except OSError as error:
            raise TransportError(f"{self.name}: the kernel broke the connection off: {error.strerror}") from error
        if self._is_writing is not (self._pending_bytes > 0):
            self._is_writing = not self._is_writing
            self.loop.watch(self._sender.fileno(), select.EPOLLOUT if self._is_writing else 0, self._fill)

    def _drain(self, _: int) -> None:
        assert self._receiver is not None
        with contextlib.suppress(BlockingIOError):
            self._received_bytes += self._receiver.recv_into(BUFFER)
        self.arrived()


def kernel_state(info: TcpInfo, bbr: BbrInfo | None) -> str:
    """In the words of our controllers."""
    if bbr is not None:
        return bbr.mode.upper()
    if info.ca_state >= CWR:
        return CA_STATES[info.ca_state]
    return "slow start" if info.cwnd < info.ssthresh else "congestion avoidance"


CHUNK = memoryview(bytes(1 << 16))
BUFFER = bytearray(1 << 20)
CONNECT_S = 10
TCP_NOTSENT_LOWAT = 25
UNSENT_BYTES = 1 << 17
"""So much of what was written the kernel holds unsent, or a flow would go on long after its end."""
BROKEN = select.EPOLLERR | select.EPOLLHUP
CWR = 2
CA_STATES = {2: "reduction", 3: "recovery", 4: "loss"}
