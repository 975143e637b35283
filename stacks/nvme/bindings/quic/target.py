"""A target's QUIC port: that of NVMe/TCP, whose connections are streams that a `QuicCarrier` brings."""

from __future__ import annotations

from collections.abc import Collection

from stacks.nvme.bindings.quic.parameters import NVME_QUIC_PORT
from stacks.nvme.bindings.tcp import TcpTarget, TcpTargetConfig
from stacks.nvme.target import Target
from wire.nvme.kinds import TransportType


class QuicTarget(TcpTarget):
    """A `StreamEndpoint` that serves `target`; arguments as of `TcpTarget`, whose limits count streams.

    Its entry in the discovery log is shown to hosts that came over QUIC alone: no other knows what that is.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int = NVME_QUIC_PORT,
        *,
        portid: int = 0,
        serves: Collection[str] | None = None,
        config: TcpTargetConfig | None = None,
    ) -> None:
        super().__init__(
            target, host, port, portid=portid, serves=serves, config=config, transport=TransportType.QUIC
        )
