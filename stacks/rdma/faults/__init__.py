"""Faults on purpose: a plan of rules that drop, duplicate, reorder, corrupt, delay or mark the packets of one device.

    FaultPlan (rules, frozen) -> Device.attach -> FaultInjector -> FaultReport
      ^ Python: fault("drop", opcode="RC_SEND_ONLY", psn="+5")
      ^ text:   parse_rule("drop:opcode=RC_SEND_ONLY,psn=+5")       (command line, control socket)
      ^ file:   load_plan(text, name)                               (TOML)

The injector sits between a device's queue pairs and whatever moves its packets, so that it works alike in virtual
time, in memory and on sockets. It has no clock of its own and draws only from generators that the plan seeds: a plan
does the same to the same packets, every time. A device without a plan has none and pays nothing for it.

Left out: faults of the host (memory, resources), and faults between two other machines; see transports.impairments
for random loss on a whole path.
"""

from stacks.rdma.faults.file import load_plan
from stacks.rdma.faults.injector import FaultInjector
from stacks.rdma.faults.names import OPCODE_GROUPS
from stacks.rdma.faults.plan import Direction, FaultAction, FaultPlan, FaultRule, Icrc, PsnRange
from stacks.rdma.faults.report import FaultReport, Hit, RuleCount
from stacks.rdma.faults.text import fault, parse_rule

__all__ = [
    "OPCODE_GROUPS",
    "Direction",
    "FaultAction",
    "FaultInjector",
    "FaultPlan",
    "FaultReport",
    "FaultRule",
    "Hit",
    "Icrc",
    "PsnRange",
    "RuleCount",
    "fault",
    "load_plan",
    "parse_rule",
]
