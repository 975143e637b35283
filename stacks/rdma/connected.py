"""What the queue pairs of connected transports have in common: one peer, and messages in sequence."""

from __future__ import annotations

from typing import ClassVar

from stacks.rdma.egress import ACK_REQUEST, Egress
from stacks.rdma.qp import Qp
from stacks.rdma.receiving import MessageReceiver


class ConnectedQp(Qp):
    """A queue pair with one peer."""

    ack_request: ClassVar[int] = ACK_REQUEST
    """AckReq as it stands in the packets that shortcuts take: what ends a message asks, where anybody answers."""
    responder: MessageReceiver

    def _connected_egress(self) -> Egress:
        """What builds packets for the peer that the attributes name."""
        av = self.attributes["av"]
        self.remote_host = getattr(av, "destination")  # noqa: B009  # the table made sure that it is there
        return self._device.egress_to(
            self.remote_host, self._value("dest_qpn", 0), self._value("path_mtu", 0), transport=self.transport
        )
