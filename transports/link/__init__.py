"""Links as pure event-driven models: rates, queue disciplines, delays and everything that goes wrong on the way.

    packet.forward() -> sink, sink, ... -> receiver        a LinkPacket knows its route
    Port(timeline, queue, rate, delay_ns=...)              a queue in front of a link, and its wire
    FifoPort(timeline, rate_bps, ...)                      the same where it is plain drop-tail, in half the time
    TracePort(timeline, queue, trace, ...)                 the same where a trace says when the link delivers
    make_queue(read_queue("codel:target=5ms"), rng)        a queue discipline by name: see `DISCIPLINES`
    Delay(timeline, delay_ns), Jitter(...)                 a wire alone
    RandomLoss, Policer, Duplication, Aggregation, ...     one thing that happens to packets each: an Element

Everything happens on a `Timeline`: in virtual time for the laboratory, in real time in `transports.relay`. An element
has one method, `put(packet)`, and hands the packet on by `packet.forward()`; a path is a list of `put`s. Randomness is
a `random.Random` of which only `.random()` is drawn. See docs/links.md and
docs/queues.md.
"""

from transports.link.aggregation import Aggregation
from transports.link.blackout import Blackout
from transports.link.bounded import NO_LIMITS, Limits
from transports.link.bucket import TokenBucket
from transports.link.codel import Codel
from transports.link.corruption import Corruption, HeadCorruption
from transports.link.delay import Delay
from transports.link.disciplines import DISCIPLINES, make_queue, read_queue
from transports.link.distributions import Normal, Uniform, Values, load_values
from transports.link.drop_list import DropList, DropWhen
from transports.link.droptail import DropHead, DropTail
from transports.link.dualpi2 import DualPi2
from transports.link.duplication import Duplication
from transports.link.element import Element
from transports.link.fifo_port import FifoPort
from transports.link.fq_codel import FqCodel
from transports.link.jitter import Jitter
from transports.link.loss import BurstLoss, GilbertElliottLoss, RandomLoss
from transports.link.mtu import Mtu
from transports.link.nat import Nat
from transports.link.packet import ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT, LinkPacket, Sink
from transports.link.pie import Pie
from transports.link.policer import Policer
from transports.link.port import Port
from transports.link.priority import StrictPriority
from transports.link.queue import Queue
from transports.link.ramp_marking import RampMarking
from transports.link.rates import ConstantRate, Rate, UnlimitedRate
from transports.link.red import Red
from transports.link.reordering import DelayReordering, GapReordering
from transports.link.scheduled import ScheduledRate
from transports.link.shaper import TokenBucketRate
from transports.link.step_marking import StepMarking
from transports.link.telemetry import HopRecord
from transports.link.thinning import AckThinning
from transports.link.trace import Trace, TracePort, load_trace, parse_trace

__all__ = [
    "DISCIPLINES",
    "ECN_CE",
    "ECN_ECT0",
    "ECN_ECT1",
    "ECN_NOT_ECT",
    "NO_LIMITS",
    "AckThinning",
    "Aggregation",
    "Blackout",
    "BurstLoss",
    "Codel",
    "ConstantRate",
    "Corruption",
    "Delay",
    "DelayReordering",
    "DropHead",
    "DropList",
    "DropTail",
    "DropWhen",
    "DualPi2",
    "Duplication",
    "Element",
    "FifoPort",
    "FqCodel",
    "GapReordering",
    "GilbertElliottLoss",
    "HeadCorruption",
    "HopRecord",
    "Jitter",
    "Limits",
    "LinkPacket",
    "Mtu",
    "Nat",
    "Normal",
    "Pie",
    "Policer",
    "Port",
    "Queue",
    "RampMarking",
    "RandomLoss",
    "Rate",
    "Red",
    "ScheduledRate",
    "Sink",
    "StepMarking",
    "StrictPriority",
    "TokenBucket",
    "TokenBucketRate",
    "Trace",
    "TracePort",
    "Uniform",
    "UnlimitedRate",
    "Values",
    "load_trace",
    "load_values",
    "make_queue",
    "parse_trace",
    "read_queue",
]
