"""TCP flows of the kernel between two network namespaces, sampled every millisecond.

One thread writes as much as the kernel takes, reads what arrives, and asks the kernel what it thinks of each flow:
TCP_INFO, and where it is BBR, TCP_CC_INFO.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from transports import namespaces
from transports.clock import Clock
from transports.errors import TransportError
from transports.tcp_info import bbr_info, set_congestion, tcp_info


@dataclass(frozen=True, slots=True)
class KernelSample:
    """A flow at a moment. time_ns: since it started. For the others see `TcpInfo` and `BbrInfo`; 0 where not BBR."""

    time_ns: int
    ca_state: int
    cwnd: int
    ssthresh: int
    rtt_ns: int
    min_rtt_ns: int
    unacked: int
    acked_bytes: int
    delivered: int
    retransmitted_ever: int
    pacing_rate_bps: int
    bbr_bw_bps: int = 0
    bbr_min_rtt_ns: int = 0
    pacing_gain: int = 0
    cwnd_gain: int = 0


class KernelFlow:
    """A TCP connection from one namespace to another that always has something to send.

    congestion: the kernel's name of it. near, far: names of the namespaces, "" for this one. address: of the far end.
    samples: taken so far. port: of the far end. OSError, TransportError when the connection cannot be made.
    """

    def __init__(self, congestion: str, *, near: str, far: str, address: str) -> None:
        self.congestion = congestion
        self.samples: list[KernelSample] = []
        self.received_bytes = 0
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.ExitStack() as undo:
            with namespaces.entered(far):
                server = undo.enter_context(socket.create_server((address, 0), family=family))
            self.port: int = server.getsockname()[1]
            with namespaces.entered(near):
                sender = undo.enter_context(socket.socket(family))
            set_congestion(sender, congestion)
            sender.settimeout(CONNECT_S)
            server.settimeout(CONNECT_S)
            try:
                sender.connect((address, self.port))
                receiver = undo.enter_context(server.accept()[0])
            except TimeoutError:
                where = f"from {near or 'here'} to {address}"
                raise TransportError(f"no TCP connection {where} within {CONNECT_S} s") from None
            sender.setblocking(False)
            receiver.setblocking(False)
            server.close()
            undo.pop_all()
        self.sender, self.receiver = sender, receiver
        self.local_port: int = sender.getsockname()[1]
        self.start_ns: int | None = None

    def fill(self) -> None:
        """Write what the kernel takes."""
        with contextlib.suppress(BlockingIOError):
            while self.sender.send(CHUNK) == len(CHUNK):
                pass

    def drain(self) -> None:
        """Read what has arrived."""
        with contextlib.suppress(BlockingIOError):
            self.received_bytes += self.receiver.recv_into(BUFFER)

    def sample(self, now: int) -> None:
        """Ask the kernel."""
        assert self.start_ns is not None
        info, bbr = tcp_info(self.sender), bbr_info(self.sender)
        self.samples.append(
            KernelSample(
                now - self.start_ns,
                info.ca_state,
                info.cwnd,
                info.ssthresh,
                info.rtt_ns,
                info.min_rtt_ns,
                info.unacked,
                info.acked_bytes,
                info.delivered,
                info.retransmitted_ever,
                info.pacing_rate_bps,
                *((bbr.bw_bps, bbr.min_rtt_ns, bbr.pacing_gain, bbr.cwnd_gain) if bbr else ()),
            )
        )

    def close(self) -> None:
        """Break it off; idempotent."""
        self.sender.close()
        self.receiver.close()


def run_kernel_flows(
    flows: Sequence[KernelFlow], clock: Clock, *, duration_ns: int, interval_ns: int = 1_000_000
) -> None:
    """Have `flows` send for `duration_ns` and sample each every `interval_ns`, 0 for never. OSError: one broke off."""
    started_ns = now = due_ns = clock.now()
    end_ns = started_ns + duration_ns
    readers = {flow.receiver: flow for flow in flows}
    writers = {flow.sender: flow for flow in flows}
    for flow in flows:
        flow.start_ns = started_ns
    while now < end_ns:
        wait_ns = max(0, (due_ns if interval_ns else end_ns) - now)
        readable, writable, _ = select.select(readers, writers, (), min(wait_ns, end_ns - now) / 1e9)
        for opened in readable:
            readers[opened].drain()
        for opened in writable:
            writers[opened].fill()
        now = clock.now()
        if interval_ns and now >= due_ns:
            for flow in flows:
                flow.sample(now)
            due_ns = now - (now - started_ns) % interval_ns + interval_ns


CHUNK = bytes(1 << 16)
BUFFER = bytearray(1 << 20)
CONNECT_S = 10
