"""A flow in real time that is two UDP sockets, each in its namespace."""

from __future__ import annotations

import contextlib

from apps.lab.realtime.end import FlowEnd, Place, Sizes
from apps.lab.realtime.loop import Loop
from stacks.lab.network.line import Way
from stacks.lab.running.plan import PlannedFlow
from transports import namespaces
from transports.udp import UdpTransport


class UdpEnd(FlowEnd):
    """nodes: where it sends, and where it is received. near, far: the sockets there."""

    def __init__(
        self, loop: Loop, planned: PlannedFlow, way: Way, *, number: int, sizes: Sizes, nodes: tuple[Place, Place]
    ) -> None:
        super().__init__(loop, planned, way, number=number, sizes=sizes, config=planned.config)
        (near, near_address), (far, far_address) = nodes
        with contextlib.ExitStack() as undo:
            with namespaces.entered(near):
                self.near = UdpTransport(near_address, 0)
            undo.callback(self.near.close)
            with namespaces.entered(far):
                self.far = UdpTransport(far_address, 0)
            undo.pop_all()
        here, there = self.near.address, self.far.address
        self.link_name = f"{here[0]}:{here[1]}>{there[0]}:{there[1]}/17"

    def close(self) -> None:
        """Both sockets."""
        self.near.close()
        self.far.close()
