"""A queue pair for datagrams (UD), to and from anybody, and to groups (IBTA 9.8.3, 10.5)."""

from __future__ import annotations

import errno

from stacks.rdma.enums import QpState
from stacks.rdma.opcodes import DATAGRAM
from stacks.rdma.qp import Qp
from stacks.rdma.qp_states import RECEIVING
from stacks.rdma.runs import Run
from stacks.rdma.unreliable.datagram_requester import DatagramRequester
from stacks.rdma.unreliable.datagram_responder import DatagramResponder, Route
from stacks.runtime import LocalError
from transports.datagram import Transmit
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES


class DatagramQp(Qp):
    """An unreliable datagram queue pair."""

    transport = DATAGRAM
    requester: DatagramRequester
    responder: DatagramResponder

    def _make_parts(self) -> None:
        device = self._device
        max_bytes = device.config.cm.max_path_mtu
        self.requester = DatagramRequester(
            self,
            self.capacity.max_send_wr,
            max_bytes=max_bytes,
            new_egress=lambda host, number: device.egress_to(host, number, max_bytes, transport=DATAGRAM),
        )
        self.responder = DatagramResponder(self, self.receive_queue, max_bytes=max_bytes)
        self._route = Route("", "")

    # Groups

    def attach_mcast(self, group: str) -> None:
        """Receive what is sent to a group, an IP address in numeric text form (IBTA 11.3.1). Idempotent.

        Every queue pair that is attached gets a copy, the sender too. Raises LocalError for what is no group of the
        device's address family, and where the transport cannot join it.
        """
        self._device.groups.attach(group, self)

    def detach_mcast(self, group: str) -> None:
        """No longer receive what is sent to a group; LocalError when it was not attached (IBTA 11.3.2)."""
        self._device.groups.detach(group, self)

    def destroy(self) -> None:
        """As of every queue pair; LocalError (EBUSY) while it is attached to groups (IBTA 11.2.5.4)."""
        if groups := self._device.groups.of(self):
            raise LocalError(f"QP {self.number} is attached to {', '.join(groups)}: detach it first", errno=errno.EBUSY)
        super().destroy()

    # Packets

    def handle_packet(self, word0: int, psn_word: int, body: memoryview, now: int) -> None:
        """Nothing comes this way: who sent a datagram matters, see `handle_datagram`."""

    def handle_datagram(self, word0: int, body: memoryview, route: Route) -> None:
        """One packet of UD whose ICRC, P_Key and version were checked; `word0` and `body` as of `handle_packet`."""
        if self.state in RECEIVING:
            is_solicited = bool(word0 & _SOLICITED_BIT)
            self.responder.handle_datagram(word0 >> 24 & 0x1F, body, route, is_solicited=is_solicited)

    def handle_datagrams(self, run: Run, host: str) -> int:
        """The shortcut for packets to this queue pair whose ICRCs are right; returns how many were taken."""
        route = self._route
        if route.source != host:
            route = self._route = Route(host, self._device.address[0])
        for index in range(run.count):
            word0 = run.words[3 * index]
            start = index * run.size
            end = run.size - ICRC_BYTES - (word0 >> 20 & 3)
            is_plain = word0 & _PLAIN_MASK == _PLAIN and word0 >> 29 == DATAGRAM and end >= BTH_BYTES
            if not is_plain or self.state not in RECEIVING:
                return index
            self.handle_datagram(word0, run.view[start + BTH_BYTES : start + end], route)
        return run.count

    def handle_sent(self, transmit: Transmit) -> None:
        """The transport is done with a send."""
        self.requester.handle_sent(transmit)
        if self.state is not QpState.RTS:
            self.check_drained()

    def poll_transmit(self, now: int) -> Transmit | None:  # noqa: ARG002  # nothing waits for a time
        """The next send, or None."""
        is_sending = self.state is QpState.RTS or self.state is QpState.SQD
        return self.requester.poll_transmit() if is_sending else None

    # State changes

    def _apply_attributes(self) -> None:
        self.requester.qkey = self.responder.qkey = self._value("qkey", 0)

    def _to_rts(self) -> None:
        self.requester.reset(self._value("sq_psn", 0))


_SOLICITED_BIT = 1 << 23
_PLAIN = 0x0000FFFF
_PLAIN_MASK = 0x000FFFFF
"""Transport version 0 and the default P_Key; everything else goes the long way."""
