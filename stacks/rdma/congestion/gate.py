"""The gate in front of a queue pair's data: what its controller decides, as packets that leave or wait.

The gate withholds rather than stamp packets with a departure time (`Transmit.not_before_ns`), although the pump would
keep them until then: what waits here still follows a CNP, a NAK or a reset, its retransmission timer has not begun,
and acknowledgements pass it.
"""

from __future__ import annotations

from stacks.congestion import Controller, Pacer
from stacks.rdma.qp import Qp
from transports.datagram import Transmit


class SendGate:
    """Paces the data of one queue pair.

    qp: rung when the gate opens. controller: asked for the rate before each send. burst_bytes: what may leave at once.
    packet_bytes: of a full packet; the gate is open while credit for one is there, and a longer send leaves a debt.
    overhead_bytes: IP and UDP headers, which count too. passed_bytes, passed_packets: of the last send that passed.
    next_send_ns: when the rate lets the next packet leave, as it was last asked.
    """

    def __init__(
        self, qp: Qp, controller: Controller, *, burst_bytes: int, packet_bytes: int, overhead_bytes: int
    ) -> None:
        self._qp = qp
        self._timers = qp.timers
        self.controller = controller
        self.next_send_ns = 0
        self._pacer: Pacer | None = None
        self._burst_bytes = burst_bytes
        self.packet_bytes = packet_bytes
        self._overhead_bytes = overhead_bytes
        self.passed_bytes = self.passed_packets = 0

    def is_open(self, now: int) -> bool:
        """Whether data may leave now; if not, the queue pair is rung when to ask again."""
        controller = self.controller
        controller.handle_timeout(now)
        pacer = self._paced(now)
        if pacer is None:
            return True
        self.next_send_ns = opens_ns = pacer.next_send_ns(self.packet_bytes, now)
        if opens_ns <= now:
            return True
        changes_ns = controller.poll_deadline()
        self._timers.arm(self, opens_ns if changes_ns is None else min(opens_ns, changes_ns))
        return False

    def passed(self, transmit: Transmit, now: int) -> Transmit:
        """Data leaves: mark it as ECN-capable, if its controller heeds marks, and count it."""
        transmit.ecn = self.controller.ecn
        length = sum(map(len, transmit.views))
        packets = -(-length // transmit.segment_bytes) if transmit.segment_bytes else 1
        length += packets * self._overhead_bytes
        self.passed_bytes, self.passed_packets = length, packets
        if self._pacer is not None:
            self._pacer.sent(length, now)
        self.controller.handle_sent(length, now)
        return transmit

    def handle_timeout(self, now: int) -> None:  # noqa: ARG002  # the queue pair asks again, with the time then
        """The gate may be open."""
        self._qp.ring()

    def close(self) -> None:
        """Nothing waits any more."""
        self._timers.cancel(self)

    def _paced(self, now: int) -> Pacer | None:
        """The pacer, at the rate that the controller wants; None while it wants none."""
        rate_bps, pacer = self.controller.rate_bps, self._pacer
        if rate_bps is None:
            self._pacer = None
        elif pacer is None:
            self._pacer = Pacer(rate_bps, self._burst_bytes, now=now)
        elif rate_bps != pacer.rate_bps:
            pacer.change_rate(rate_bps, now)
        return self._pacer
