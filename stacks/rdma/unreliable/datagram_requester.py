"""The requester of UD: each send says where it goes, and is one packet (IBTA 9.8.3.1, 10.2.2.2).

Neighbours with the same destination leave together, as far as they fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import TYPE_CHECKING

from stacks.rdma.egress import Egress, Send
from stacks.rdma.enums import WcStatus, WrOpcode
from stacks.rdma.unreliable.requester import UnreliableRequester
from stacks.rdma.work import SendWqe, SendWr
from stacks.runtime import LocalError
from transports.datagram import Transmit
from wire.roce import Deth

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class DatagramRequester(UnreliableRequester):
    """The sending half of one UD queue pair.

    qkey: of the queue pair, for requests that ask for it. max_bytes: the port's MTU.
    new_egress: called with host and queue pair number, for what builds packets there.
    """

    opcodes = frozenset({WrOpcode.SEND, WrOpcode.SEND_WITH_IMM})

    def __init__(self, qp: Qp, capacity: int, *, max_bytes: int, new_egress: Callable[[str, int], Egress]) -> None:
        super().__init__(qp, capacity)
        self.qkey = 0
        self._max_bytes = max_bytes
        self._new_egress = new_egress
        self._egresses: dict[tuple[str, int], Egress] = {}

    def _packets(self, wr: SendWr, length: int) -> int:  # noqa: ARG002  # always one
        """One; LocalError without an address handle of the queue pair's protection domain (IBTA 10.2.2.2)."""
        if wr.ah is None or not wr.ah.is_valid:
            raise LocalError("a datagram needs an address handle (ah) that was not destroyed: see Pd.create_ah")
        if wr.ah.pd is not self._qp.pd:
            raise LocalError("the address handle and the queue pair are of different protection domains")
        if not 0 <= wr.remote_qpn <= 0xFFFFFF or not 0 <= wr.remote_qkey <= 0xFFFFFFFF:
            raise LocalError("remote_qpn takes 24 bits and remote_qkey 32, neither negative")
        return 1

    def _queued(self, wqe: SendWqe, wr: SendWr) -> None:
        assert wr.ah is not None
        wqe.destination = wr.ah.host, wr.remote_qpn
        qkey = self.qkey if wr.remote_qkey >> 31 else wr.remote_qkey
        wqe.header = Deth(qkey=qkey, source_qp=self._qp.number).encode()
        if wqe.length > self._max_bytes:
            # DEVIATION: the standard (C10-93.1.1) and Linux rxe let it vanish with a success; adapters say it.
            wqe.status = WcStatus.LOC_LEN_ERR

    def poll_transmit(self) -> Transmit | None:
        """The next send, to one destination, or None while nothing is queued."""
        if self._cursor >= len(self._ring):
            return None
        wqe = self._ring[self._cursor]
        if wqe.status is not WcStatus.SUCCESS:
            if not self._cursor:
                self.fail_oldest(wqe.status)
            return None
        self.egress = self._egress_to(wqe.destination)
        return super().poll_transmit()

    def _ahead(self) -> Iterable[SendWqe]:
        destination = self._ring[self._cursor].destination
        return takewhile(lambda wqe: wqe.destination == destination, super()._ahead())

    def _add(self, send: Send, wqe: SendWqe, room: int, *, shortcuts: bool) -> bool:
        if self._egresses.get(wqe.destination) is not self.egress:
            return False
        return super()._add(send, wqe, room, shortcuts=shortcuts)

    def _add_onlies(self, send: Send, room: int) -> int:
        if self._egresses.get(self._ring[self._cursor].destination) is not self.egress:
            return 0
        return super()._add_onlies(send, room)

    def _egress_to(self, destination: tuple[str, int]) -> Egress:
        egress = self._egresses.get(destination)
        if egress is None:
            if len(self._egresses) >= MAX_DESTINATIONS:
                self._egresses.clear()
            egress = self._egresses[destination] = self._new_egress(*destination)
        return egress


MAX_DESTINATIONS = 64
"""Whose constants are kept, the latest: a queue pair that talks to more only spends time."""
