"""The checker: sorts packets by queue pair, joins the two directions of a connection, and collects what rules find."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.rdma.conformance.direction import Direction, DirectionCounts
from stacks.rdma.conformance.findings import Finding, Rule
from stacks.rdma.conformance.marks import Marks
from stacks.rdma.conformance.observed import Flow, Observed
from stacks.rdma.conformance.pairing import Pairing
from wire.roce.opcodes import Operation, Transport


@dataclass(frozen=True, slots=True)
class CheckerOptions:
    """How strict a check is.

    is_lossy: packets may have been lost before they reached the place of capture: PSNs that are skipped are counted
        and nothing more, and so are answers to what was not seen. is_cut: the capture may end in the middle.
    cnp_interval_ns: the least time between two CNPs of one flow; None: any CE mark may explain any CNP behind it.
    """

    is_lossy: bool = False
    is_cut: bool = False
    cnp_interval_ns: int | None = None


@dataclass(frozen=True, slots=True)
class FlowSummary:
    """What went to one queue pair. transport: RC, UC, UD or XRC. answered_to: the peer's queue pair, 0 if not known."""

    source: str
    destination: str
    dest_qp: int
    transport: str
    answered_to: int
    counts: DirectionCounts


class Checker:
    """Checks the packets of one capture, in its order.

    findings: what was found so far, in the order of the capture.
    """

    def __init__(self, options: CheckerOptions | None = None) -> None:
        self._options = options or CheckerOptions()
        self.findings: list[Finding] = []
        self._directions: dict[Flow, Direction] = {}
        self._transports: dict[Flow, Transport] = {}
        self._retired: list[tuple[Flow, Direction]] = []
        self._pairing = Pairing()
        self._marks = Marks(self._options.cnp_interval_ns)
        self.packets = 0

    def handle(self, seen: Observed) -> None:
        """Take the next RoCEv2 packet."""
        self.packets += 1
        if seen.packet is None:
            self._found(seen, Rule.FORMAT, seen.problem)
            return
        if not seen.is_icrc_right:
            # A receiver drops it, so no other rule looks at it.
            self._found(seen, Rule.ICRC, "the ICRC is wrong")
            return
        transport = seen.info.transport
        if transport is Transport.CNP:
            self._handle_cnp(seen)
        elif seen.known.bth.dest_qp == MANAGEMENT_QP:
            self._retire(self._pairing.management(seen))
            for flow in self._pairing.ended(seen):
                if flow in self._directions:
                    self._directions[flow].is_ended = True
        elif transport is not Transport.UD:
            self._handle_connected(seen, transport)
        if seen.ecn == CE and transport is not Transport.CNP:
            self._marks.marked(seen)

    def finish(self) -> list[FlowSummary]:
        """The capture ends; a summary of each flow that carried requests."""
        every = [*self._retired, *self._directions.items()]
        for flow, direction in every:
            text = direction.unfinished()
            if text and not self._options.is_cut:
                self.findings.append(Finding(0, 0, Rule.END, flow_text(flow), text))
        return [
            FlowSummary(*flow, self._transports[flow].name, self._pairing.answers_of(flow) or 0, direction.counts)
            for flow, direction in every
        ]

    def _retire(self, flows: tuple[Flow, ...]) -> None:
        """New connections between queue pairs whose numbers were used before: what they did is another story."""
        for flow in flows:
            direction = self._directions.pop(flow, None)
            if direction is not None:
                self._retired.append((flow, direction))

    def _handle_connected(self, seen: Observed, transport: Transport) -> None:
        if seen.operation in _ANSWERS:
            flow = self._pairing.request_flow(seen, self._directions)
            if flow is not None:
                self._report(seen, self._directions[flow].answer(seen))
            return
        direction = self._directions.get(seen.flow)
        if direction is None:
            is_reliable = transport is not Transport.UC
            direction = self._directions[seen.flow] = Direction(
                is_reliable=is_reliable, is_lossy=self._options.is_lossy
            )
            self._transports[seen.flow] = transport
        if seen.ecn == CE:
            direction.counts.ecn_marked += 1
        self._report(seen, direction.request(seen))
        self._pairing.requested(seen)

    def _handle_cnp(self, seen: Observed) -> None:
        text = self._marks.notified(seen)
        if text:
            self._found(seen, Rule.CNP, text)
        flow = self._pairing.flow_to(seen.flow)
        if flow in self._directions:
            self._directions[flow].counts.cnps += 1

    def _report(self, seen: Observed, problems: list[tuple[Rule, str]]) -> None:
        for rule, text in problems:
            self._found(seen, rule, text)

    def _found(self, seen: Observed, rule: Rule, text: str) -> None:
        self.findings.append(Finding(seen.number, seen.time_ns, rule, flow_text(seen.flow), text))


def flow_text(flow: Flow) -> str:
    """A flow for people."""
    source, destination, qp = flow
    return f"{source} > {destination} QP {qp:#x}"


CE = 3
MANAGEMENT_QP = 1
_ANSWERS = frozenset({Operation.ACKNOWLEDGE, Operation.ATOMIC_ACKNOWLEDGE, Operation.READ_RESPONSE})
