"""Which answers belong to which requests: packets name only the queue pair that they go to."""

from __future__ import annotations

from collections.abc import Container

from stacks.rdma.conformance.observed import Flow, Observed
from wire.errors import WireError
from wire.ibcm import CmDreq, CmMessage, CmRep, CmReq, parse_mad

UNANSWERED = 4096


class Pairing:
    """Joins the flow that answers take to the flow that requests take, and the other way round.

    Known from REQ and REP of the connection manager; else the first answer that names the PSN of a request that is not
    answered yet, between the same hosts, joins the two for good. PSNs start at random, so that is seldom wrong.
    """

    def __init__(self) -> None:
        self._request_flows: dict[Flow, Flow] = {}
        self._answer_flows: dict[Flow, Flow] = {}
        self._unanswered: dict[tuple[str, str, int], Flow] = {}
        self._asking: dict[tuple[str, int], int] = {}
        self._known_ids: set[tuple[int, int]] = set()

    def management(self, seen: Observed) -> tuple[Flow, ...]:
        """A message of the connection manager: REQ and REP name a queue pair each; returns flows that begin anew."""
        message = _message_of(seen)
        if isinstance(message, CmReq):
            self._asking[seen.source, message.local_comm_id] = message.local_qpn
        elif isinstance(message, CmRep):
            asking = self._asking.get((seen.destination, message.remote_comm_id))
            if asking is not None:
                there = seen.destination, seen.source, message.local_qpn
                back = seen.source, seen.destination, asking
                if not self._is_new_pair(message):
                    return ()
                self._join(there, back)
                self._join(back, there)
                return there, back
        return ()

    def ended(self, seen: Observed) -> tuple[Flow, ...]:
        """The flows that a DREQ ends: what was not acknowledged then need not be any more."""
        message = _message_of(seen)
        if not isinstance(message, CmDreq):
            return ()
        there = seen.source, seen.destination, message.remote_qpn
        back = self._answer_flows.get(there)
        return (there,) if back is None else (there, back)

    def _is_new_pair(self, message: CmRep) -> bool:
        """Whether a REP is no copy of one that was seen."""
        ids = message.local_comm_id, message.remote_comm_id
        is_new = ids not in self._known_ids
        self._known_ids.add(ids)
        return is_new

    def requested(self, seen: Observed) -> None:
        """A request that may be answered."""
        if seen.flow not in self._answer_flows:
            if len(self._unanswered) >= UNANSWERED:
                self._unanswered.pop(next(iter(self._unanswered)))
            self._unanswered[seen.source, seen.destination, seen.psn] = seen.flow

    def request_flow(self, seen: Observed, known: Container[Flow]) -> Flow | None:
        """The flow of the requests that an answer belongs to; None when it is not known."""
        flow = self._request_flows.get(seen.flow)
        if flow is None:
            flow = self._unanswered.get((seen.destination, seen.source, seen.psn))
            if flow is None:
                return None
            self._join(flow, seen.flow)
        return flow if flow in known else None

    def answers_of(self, flow: Flow) -> int | None:
        """The queue pair that answers to `flow` go to."""
        answers = self._answer_flows.get(flow)
        return None if answers is None else answers[2]

    def flow_to(self, answers: Flow) -> Flow:
        """The flow whose sender `answers` goes to, as far as it is known; else `answers`."""
        return self._request_flows.get(answers, answers)

    def _join(self, requests: Flow, answers: Flow) -> None:
        self._request_flows[answers] = requests
        self._answer_flows[requests] = answers


def _message_of(seen: Observed) -> CmMessage | None:
    """What the connection manager says in a packet to QP 1, or None when that cannot be read."""
    try:
        return parse_mad(seen.known.payload)[1]
    except WireError:
        return None
