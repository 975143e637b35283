"""Whether captured RoCEv2 traffic keeps the rules: go-back-N, READ retries, CNPs, opcode order, ICRC.

    frames -> observe -> Checker.handle -> findings, and a summary for each pair of queue pairs

The rules are those that Lumina (SIGCOMM 2023) checks on hardware, and the ones a receiver checks itself. Requests and
the answers to them belong to two queue pairs whose numbers packets of one direction do not tell: they are joined by the
connection manager's messages where the capture has them, else by the PSN that an answer names.

What happened before the capture began, and packets lost before they reached the place of capture, are not known: see
`Checker` for what that means. Left out: UD beyond its ICRC, and rules about time but for the pacing of CNPs.
"""

from stacks.rdma.conformance.checker import Checker, CheckerOptions, FlowSummary
from stacks.rdma.conformance.findings import Finding, Rule
from stacks.rdma.conformance.observed import Observed, observe

__all__ = ["Checker", "CheckerOptions", "Finding", "FlowSummary", "Observed", "Rule", "observe"]
