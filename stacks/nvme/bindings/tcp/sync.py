"""NVMe over TCP without an event loop: kernel connections, and a pump to turn by hand."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.bindings.sync import End
from stacks.nvme.bindings.tcp.initiator import TcpInitiator, TcpInitiatorConfig
from transports.clock import RealClock
from transports.stream import AwaitableStreams
from transports.stream_network import KernelStreams
from transports.stream_pump import StreamPump

WrapStreams = Callable[[AwaitableStreams], AwaitableStreams]
"""Puts something around a network, which is closed with it."""


class TcpEnd(End):
    """Kernel connections to initiate with.

    local: which of our addresses to connect from; empty for the system's choice. config: how to move data.
    wrap: puts something around the network, such as a capture.
    """

    def __init__(
        self, *, local: str = "", config: TcpInitiatorConfig | None = None, wrap: WrapStreams | None = None
    ) -> None:
        network = KernelStreams(local=local)
        self.network: AwaitableStreams = wrap(network) if wrap else network
        core, clock = TcpInitiator(config=config), RealClock()
        pump = StreamPump(core, self.network, clock)
        super().__init__(core, pump, clock)
        self._streams = pump

    def close(self) -> None:
        """Close every connection."""
        self._streams.close()
        self.network.close()
