"""Our flows in a cell, in virtual time, and in real time over UDP; what they are called beside the kernel's."""

from __future__ import annotations

import contextlib
import random

from apps.lab.real_flow import run_sender
from interop.congestion.cells import PACKET_BYTES, Cell
from interop.congestion.flows import Moment
from stacks.congestion import Delivery, Flow, controller_factory
from stacks.lab.flow import ModelFlow
from stacks.model import Receiver, Sender
from stacks.model.endpoint import SendingEndpoint
from transports import namespaces
from transports.clock import RealClock
from transports.datagram import Address
from transports.link import ConstantRate, Delay, DropTail, Port
from transports.routes import source_address
from transports.timeline import Timeline
from transports.udp import UdpTransport

OURS = {"reno": "reno", "cubic": "cubic-linux", "bbr": "bbr1"}
"""Our controller for each of the kernel's."""


def simulated(cell: Cell, controller: str, *, duration_ns: int, seed: int = 0) -> list[Moment]:
    """A flow alone in a cell, in virtual time: its moments, one a millisecond."""
    timeline = Timeline()
    port = Port(
        timeline, DropTail(limit_packets=cell.limit_packets), ConstantRate(cell.rate_bps), delay_ns=cell.delay_ns
    )
    back = Delay(timeline, cell.delay_ns)
    sender = _sender(controller, seed=seed)
    flow = ModelFlow(timeline, sender, Receiver(), forward=[port.put], backward=[back.put])
    moments: list[Moment] = []

    def look(_: object) -> None:
        moments.append(moment_of(sender, timeline.now))
        timeline.at(timeline.now + INTERVAL_NS, look)

    timeline.at(INTERVAL_NS, look)
    flow.write(1 << 40)
    timeline.run(duration_ns)
    return moments


def real(controller: str, *, near: str, to: Address, duration_ns: int, flow: int = 0) -> list[Moment]:
    """A flow in real time from namespace `near` to where `baremetal lab serve` is."""
    clock = RealClock()
    sender = _sender(controller, start_ns=clock.now())
    sender.write(1 << 40)
    with namespaces.entered(near):
        transport = UdpTransport(source_address(to[0]), 0)
    with contextlib.closing(transport):
        looks = _Looks(sender)
        run_sender(SendingEndpoint(sender, to, flow=flow), transport, clock, looks, limit_ns=duration_ns)
    return looks.moments


class _Looks:
    """A moment each millisecond."""

    def __init__(self, sender: Sender) -> None:
        self.moments: list[Moment] = []
        self.due_ns: int | None = None
        self._sender = sender
        self._start_ns = 0

    def start(self, now: int) -> None:
        self._start_ns = now
        self.due_ns = now + INTERVAL_NS

    def take(self, now: int) -> None:
        self.moments.append(moment_of(self._sender, now - self._start_ns))
        self.due_ns = now - (now - self._start_ns) % INTERVAL_NS + INTERVAL_NS


def _sender(controller: str, *, start_ns: int = 0, seed: int = 0) -> Sender:
    facts = Flow(
        line_rate_bps=LINE_RATE_BPS,
        packet_bytes=PACKET_BYTES,
        delivery=Delivery(10 * PACKET_BYTES),
        rng=random.Random(seed),
        start_ns=start_ns,
    )
    return Sender(controller_factory(controller), facts)


def moment_of(sender: Sender, time_ns: int) -> Moment:
    """What a sender is like now."""
    controller, shown = sender.controller, sender.controller.variables()
    return Moment(
        time_ns,
        sender.is_recovering,
        (controller.window_bytes or 0) // PACKET_BYTES,
        shown.get("ssthresh", 0) // PACKET_BYTES,
        sender.rtt.smoothed_ns,
        sender.delivery.delivered_bytes,
        shown.get("bw", 0) * 8,
        shown.get("min_rtt", 0) * 1000,
        shown.get("pacing_gain", 0),
        shown.get("cwnd_gain", 0),
    )


INTERVAL_NS = 1_000_000
LINE_RATE_BPS = 10_000_000_000
