"""The completer of selective repeat: what a NAK that names a packet leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.rdma.enums import WcStatus
from stacks.rdma.reliable.completer import Completer
from wire.seqnum import psn_diff

if TYPE_CHECKING:
    from stacks.rdma.reliable.selective_queue_pair import SelectiveQp


class SelectiveCompleter(Completer):
    """As of every queue pair, and the NAKs of selective repeat besides."""

    def __init__(self, qp: SelectiveQp) -> None:
        super().__init__(qp)
        self._selective = qp.requester
        self._episode_end = 0
        """What was sent when the window was last halved: a loss before it belongs to the same episode."""

    def reset(self, *, retry_cnt: int, rnr_retry: int, ack_timeout_ns: int) -> None:
        """As of every completer."""
        super().reset(retry_cnt=retry_cnt, rnr_retry=rnr_retry, ack_timeout_ns=ack_timeout_ns)
        self._episode_end = 0

    def handle_selective_nak(self, psn: int, arrived: int, now: int) -> None:
        """Everything before `psn` arrived, and so did the packet `arrived`; both 24 bits."""
        requester = self._selective
        number = requester.una + psn_diff(psn, requester.una & 0xFFFFFF)
        if not requester.una <= number < requester.sent_psn:
            self._qp.counters.duplicate_response += 1
            return
        self._qp.counters.rcvd_seq_err += number > requester.una
        if not self._advance(number, now):
            return
        is_hole = requester.learn(number + psn_diff(arrived, psn))
        if requester.awaits_response:
            self._go_back_once(now)
        elif is_hole:
            self._repair(now)

    def _repair(self, now: int) -> None:
        """The walk goes back to a hole; the first of an episode costs a retry and half the window (IBTA 9.9.2.1.2)."""
        requester = self._selective
        if requester.una >= self._episode_end:
            if not self._retries:
                self._qp.counters.retry_exceeded_err += 1
                requester.fail_oldest(WcStatus.RETRY_EXC_ERR)
                return
            self._retries -= 1
            self._qp.counters.completer_retry_err += 1
            self._episode_end = requester.sent_psn
            requester.window.lost()
        self._arm(now)
        self._qp.ring()
