"""The window of a queue pair with a congestion controller, which hears of every acknowledgement and loss from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion import Ack, Loss
from stacks.rdma.reliable.window import Window

if TYPE_CHECKING:
    from stacks.rdma.congestion.queue_pair import ControlledQp


class ControlledWindow(Window):
    """The smaller of the window that protects the receiver's buffer, and the controller's, if it has one.

    qp: whose controller is told. buffer: the former window. packet_bytes: payload of a full packet.
    """

    __slots__ = ("_buffer", "_packet_bytes", "_qp")

    def __init__(self, qp: ControlledQp, buffer: Window, packet_bytes: int) -> None:
        super().__init__(buffer.packets, buffer.packets)
        self._qp = qp
        self._buffer = buffer
        self._packet_bytes = packet_bytes
        self._follow()

    def acknowledged(self, count: int) -> None:
        """`count` packets arrived."""
        self._buffer.acknowledged(count)
        inflight_bytes = self._qp.requester.in_flight * self._packet_bytes
        self._qp.controller.handle_ack(Ack(count * self._packet_bytes, inflight_bytes), self._qp.now)
        self._follow()

    def lost(self) -> None:
        """Packets were lost; called once a recovery."""
        self._buffer.lost()
        lost_bytes = self._qp.requester.in_flight * self._packet_bytes
        self._qp.controller.handle_loss(Loss(lost_bytes, is_timeout=self._qp.is_timeout), self._qp.now)
        self._follow()

    def _follow(self) -> None:
        wanted_bytes = self._qp.controller.window_bytes
        packets = self._buffer.packets
        self.packets = packets if wanted_bytes is None else max(1, min(packets, wanted_bytes // self._packet_bytes))
