"""Service ID resolution: SIDR_REQ and SIDR_REP, for datagram services (IBTA 12.11, Annex A11).

    asking    resolve > SIDR_REQ ... SIDR_REP > ESTABLISHED with queue pair number and Q_Key, or UNREACHABLE
    serving   SIDR_REQ > CONNECT_REQUEST > accept or reject > SIDR_REP
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from stacks.rdma.cm.connection import Backlog
from stacks.rdma.cm.events import CmEventType
from stacks.rdma.cm.exchange import Exchange
from stacks.rdma.cm.messages import build_ip_header, padded, peer_address, read_ip_header, uses_ip_addressing
from stacks.rdma.cm.resolution import (
    RESOLUTION_TABLE,
    TIMED_OUT,
    Resolution,
    ResolutionEvent,
    ResolutionState,
    ResolutionStep,
)
from stacks.runtime import DROP, LocalError, RemoteError, Timers, Verdict
from wire.ibcm import CmSidrRep, CmSidrReq, SidrStatus, build_mad


class SidrServices:
    """All resolutions of a manager, from both sides. Nobody makes one; it is `ConnectionManager.sidr`."""

    def __init__(self, exchange: Exchange, address: str) -> None:
        self._exchange = exchange
        self._address = address
        self._listeners: dict[int, Backlog[Resolution, ResolutionEvent]] = {}
        self._table: dict[tuple[str, int, bool], Resolution] = {}
        self._timers: Timers[Resolution] = Timers()
        self._events: deque[ResolutionEvent] = deque()
        self._answered: dict[Resolution, None] = {}

    def __len__(self) -> int:
        """Resolutions that are under way, or whose answer is kept."""
        return len(self._table)

    # Commands of the owner

    def listen(
        self, service_id: int, *, backlog: int = 128, on_event: Callable[[ResolutionEvent], None] | None = None
    ) -> None:
        """Report requests for a datagram service, `backlog` unanswered ones at most; LocalError when it is taken."""
        if service_id in self._listeners:
            raise LocalError(f"datagram service {service_id:#x} of {self._address} is listened on already")
        self._listeners[service_id] = Backlog(backlog, on_event)

    def stop_listening(self, service_id: int) -> None:
        """Answer further requests with UNSUPPORTED; LocalError when it is not listened on."""
        if self._listeners.pop(service_id, None) is None:
            raise LocalError(f"datagram service {service_id:#x} of {self._address} is not listened on")

    def resolve(
        self, destination: str, service_id: int, *, private_data: bytes = b"", source_port: int = 0
    ) -> Resolution:
        """Ask who serves `service_id` at `destination`; ESTABLISHED or UNREACHABLE will tell.

        destination: IP address in numeric text form, of our family. private_data: at most 180 bytes for RDMA-CM's port
        spaces, else 216. source_port: for the RDMA-CM header. Raises LocalError for what cannot be sent.
        """
        destination = peer_address(self._address, destination)
        header = b""
        if uses_ip_addressing(service_id):
            header = build_ip_header(self._address, destination, source_port)
        content = header + padded(private_data, SIDR_REQ_PRIVATE_BYTES - len(header))
        resolution = Resolution(
            request_id=self._new_request_id(destination),
            remote_address=destination,
            service_id=service_id,
            is_passive=False,
        )
        resolution.source_port = source_port
        message = CmSidrReq(
            request_id=resolution.request_id, pkey=_DEFAULT_PKEY, service_id=service_id, private_data=content
        )
        self._move(resolution, ResolutionStep.RESOLVE)
        self._send(resolution, message)
        return resolution

    def accept(self, resolution: Resolution, *, qpn: int, qkey: int, private_data: bytes = b"") -> None:
        """Answer a CONNECT_REQUEST: datagrams for the service go to queue pair `qpn` under `qkey`.

        private_data: at most 136 bytes. Raises LocalError for what cannot be sent, or when it was answered.
        """
        self._answer(resolution, SidrStatus.VALID, qpn=qpn, qkey=qkey, private_data=private_data)

    def reject(
        self,
        resolution: Resolution,
        *,
        status: int = SidrStatus.REJECT,
        private_data: bytes = b"",
        info: bytes = b"",
    ) -> None:
        """Answer a CONNECT_REQUEST with another status than VALID.

        private_data: at most 136 bytes; info, additional information, such as where REDIRECT leads: 72 bytes.
        """
        if not 0 < status <= 0xFF:
            raise LocalError(f"a refusal's status is 1 to 255, not {status}")
        self._answer(resolution, status, private_data=private_data, info=info)

    def cancel(self, resolution: Resolution) -> None:
        """Give up asking; nothing more is heard of it. Raises LocalError on the passive side."""
        self._move(resolution, ResolutionStep.CANCEL)

    def poll_event(self) -> ResolutionEvent | None:
        """The next event that no `on_event` took, or None."""
        return self._events.popleft() if self._events else None

    # What a peer and the clock do

    def handle_req(self, source: str, transaction_id: int, message: CmSidrReq) -> None:
        """A SIDR_REQ came in."""
        known = self._table.get((source, message.request_id, True))
        if known is not None:
            if self._move(known, ResolutionStep.REQ) is ResolutionState.REP_SENT:
                self._repeat(known)
            return
        try:
            backlog = self._backlog(message.service_id)
            source_port, private_data = _read_request(message)
        except RemoteError as error:
            answer = CmSidrRep(request_id=message.request_id, status=error.code, service_id=message.service_id)
            self._exchange.answer(source, transaction_id, answer)
            return
        resolution = Resolution(
            request_id=message.request_id, remote_address=source, service_id=message.service_id, is_passive=True
        )
        resolution.source_port = source_port
        resolution.transaction_id = transaction_id
        resolution.on_event = backlog.on_event
        resolution.backlog = backlog
        self._move(resolution, ResolutionStep.REQ)
        backlog.add(resolution)
        self._report(ResolutionEvent(CmEventType.CONNECT_REQUEST, resolution, 0, private_data))

    def handle_rep(self, source: str, message: CmSidrRep) -> None:
        """A SIDR_REP came in."""
        resolution = self._table.get((source, message.request_id, False))
        if resolution is None:
            self._exchange.counters.cm_unmatched += 1
            return
        self._move(resolution, ResolutionStep.REP)
        resolution.status = message.status
        kind = CmEventType.UNREACHABLE
        if message.status == SidrStatus.VALID:
            kind = CmEventType.ESTABLISHED
            resolution.qpn, resolution.qkey = message.qpn, message.qkey
        self._report(ResolutionEvent(kind, resolution, message.status, message.private_data))

    def handle_timeout(self, now: int) -> None:
        """Ask again, give up, or forget an answer, whatever is due at `now`."""
        for resolution in self._timers.expired(now):
            if resolution.is_passive:
                self._move(resolution, ResolutionStep.FORGOTTEN)
            elif resolution.attempt < self._exchange.config.max_retries:
                resolution.attempt += 1
                self._exchange.counters.cm_retries += 1
                self._queue(resolution)
            else:
                self._move(resolution, ResolutionStep.RETRIES_EXHAUSTED)
                self._report(ResolutionEvent(CmEventType.UNREACHABLE, resolution, TIMED_OUT))

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due."""
        return self._timers.next_deadline()

    def _answer(
        self,
        resolution: Resolution,
        status: int,
        *,
        qpn: int = 0,
        qkey: int = 0,
        private_data: bytes,
        info: bytes = b"",
    ) -> None:
        message = CmSidrRep(
            request_id=resolution.request_id,
            status=status,
            info_length=len(info),
            qpn=qpn,
            service_id=resolution.service_id,
            qkey=qkey,
            info=padded(info, _INFO_BYTES),
            private_data=padded(private_data, SIDR_REP_PRIVATE_BYTES),
        )
        self._move(resolution, ResolutionStep.ANSWER)
        resolution.status, resolution.qpn, resolution.qkey = status, qpn, qkey
        if resolution.backlog is not None:
            resolution.backlog.discard(resolution)
        self._answered[resolution] = None
        self._send(resolution, message)
        self._forget_beyond_limit()

    def _backlog(self, service_id: int) -> Backlog[Resolution, ResolutionEvent]:
        backlog = self._listeners.get(service_id)
        if backlog is None:
            raise RemoteError(SidrStatus.UNSUPPORTED, f"nobody serves {service_id:#x}")
        if backlog.is_full:
            raise RemoteError(SidrStatus.REJECT, f"the backlog of service {service_id:#x} is full")
        return backlog

    def _move(self, resolution: Resolution, step: ResolutionStep) -> ResolutionState | Verdict:
        outcome = RESOLUTION_TABLE.apply(resolution.state, step)
        if isinstance(outcome, Verdict):
            if outcome is DROP:
                self._exchange.counters.cm_unexpected += 1
            elif step is ResolutionStep.REQ:
                self._exchange.counters.cm_duplicates += 1
            return outcome
        resolution.state = outcome
        self._table[resolution.key] = resolution
        if outcome is ResolutionState.CLOSED:
            del self._table[resolution.key]
            self._timers.cancel(resolution)
            self._answered.pop(resolution, None)
        return outcome

    def _report(self, event: ResolutionEvent) -> None:
        if event.resolution.on_event is not None:
            event.resolution.on_event(event)
        else:
            self._events.append(event)

    def _send(self, resolution: Resolution, message: CmSidrReq | CmSidrRep) -> None:
        resolution.last_sent = build_mad(message, resolution.transaction_id)
        self._queue(resolution)

    def _repeat(self, resolution: Resolution) -> None:
        self._exchange.counters.cm_duplicates += 1
        if self._exchange.has_room():
            self._queue(resolution)

    def _queue(self, resolution: Resolution) -> None:
        self._exchange.outbox.append(
            (resolution.remote_address, resolution.last_sent, partial(self._start_timer, resolution))
        )

    def _start_timer(self, resolution: Resolution, now: int) -> None:
        config = self._exchange.config
        if resolution.state is ResolutionState.REQ_SENT:
            self._timers.arm(resolution, now + config.retry_ns(resolution.attempt))
        elif resolution.state is ResolutionState.REP_SENT and not self._timers.is_armed(resolution):
            self._timers.arm(resolution, now + config.answer_memory_ns)

    def _forget_beyond_limit(self) -> None:
        while len(self._answered) > MOST_REMEMBERED:
            self._move(next(iter(self._answered)), ResolutionStep.FORGOTTEN)

    def _new_request_id(self, destination: str) -> int:
        request_id = 0
        while not request_id or (destination, request_id, False) in self._table:
            request_id = self._exchange.draw(32)
        return request_id


def _read_request(message: CmSidrReq) -> tuple[int, bytes]:
    if not uses_ip_addressing(message.service_id):
        return 0, message.private_data
    try:
        return read_ip_header(message.private_data)
    except RemoteError as error:
        raise RemoteError(SidrStatus.UNSUPPORTED_VERSION, str(error)) from None


SIDR_REQ_PRIVATE_BYTES = 216
SIDR_REP_PRIVATE_BYTES = 136
MOST_REMEMBERED = 1024
"""Answers that are kept for peers that ask again."""
_INFO_BYTES = 72
_DEFAULT_PKEY = 0xFFFF
