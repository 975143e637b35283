"""An initiator over QUIC: that of NVMe/TCP, whose connections a `QuicCarrier` makes streams of."""

from __future__ import annotations

from stacks.nvme.bindings.tcp import TcpInitiator, TcpInitiatorConfig


class QuicInitiator(TcpInitiator):
    """A `StreamEndpoint`. All queues of all associations with one address and port share a QUIC connection."""

    def __init__(self, *, config: TcpInitiatorConfig | None = None) -> None:
        super().__init__(config=config)
        self.transport = "quic"
