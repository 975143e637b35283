"""One BBRv3 flow over one bottleneck, in virtual time, that a test stops where the draft's cases want to look.

    application -> sender -> gate -> policer -> bottleneck -> receiver -> batcher -> sender

`Point` is a rate and a round trip to run a case at; `Rig.until` runs to the acknowledgement that fulfils a condition.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from stacks.congestion import Ack, Delivery, Flow
from stacks.congestion.bbr3 import Bbr3, Event, State
from stacks.lab.flow import ModelFlow
from stacks.model import Receiver, ReceiverConfig, Sender
from tests.stacks.congestion.bbr3.path import SECOND_NS, Batcher, CrossTraffic, Gate, Policer
from transports.link import ConstantRate, Delay, DropTail, Port
from transports.timeline import Timeline

PROBE_RTT_INTERVAL_NS = 5 * SECOND_NS
PLENTY = 1 << 50


@dataclass(frozen=True)
class Point:
    """Where a case is run. rtt_ns: of propagation, both ways. packet_bytes: C.SMSS; jumbo packets stand for trains."""

    rate_bps: int
    rtt_ns: int
    packet_bytes: int

    @property
    def bdp_bytes(self) -> int:
        return self.rate_bps * self.rtt_ns // (8 * SECOND_NS)

    @property
    def packet_ns(self) -> int:
        """How long the bottleneck takes for a packet."""
        return self.packet_bytes * 8 * SECOND_NS // self.rate_bps

    @property
    def is_long(self) -> bool:
        """Whether wait, refill and three rounds of probing take longer than the interval between two ProbeRTTs."""
        return 2 * SECOND_NS + 4 * self.rtt_ns > PROBE_RTT_INTERVAL_NS

    def __str__(self) -> str:
        rate = self.rate_bps
        for unit, size in (("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1000)):
            if rate >= size:
                return f"{rate / size:g}{unit}-{self.rtt_ns / 1_000_000:g}ms"
        return f"{rate}bit-{self.rtt_ns / 1_000_000:g}ms"


POINTS = (
    # Packets of 300 bytes, as slow links have; 1500 would be almost twice the path's product of rate and delay.
    Point(64_000, 100_000_000, 300),
    Point(20_000_000, 40_000_000, 1500),
    Point(10_000_000, 1_000_000_000, 1500),
    # Jumbo frames, so that a second is 139 000 packets.
    Point(10_000_000_000, 1_000_000, 9000),
)


@dataclass(frozen=True)
class Transition:
    """A change of state. inflight_bytes, variables: as they were when it was decided, before it is entered."""

    old: State
    new: State
    event: Event
    now: int
    inflight_bytes: int
    variables: dict[str, int]


class WatchedBbr3(Bbr3):
    """Lets a test look before and after each acknowledgement."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(flow)
        self.before_ack: Callable[[Ack, int], object] | None = None
        self.after_ack: Callable[[Ack, int], object] | None = None

    def handle_ack(self, ack: Ack, now: int) -> None:
        if self.before_ack is not None:
            self.before_ack(ack, now)
        super().handle_ack(ack, now)
        if self.after_ack is not None:
            self.after_ack(ack, now)


class Reached(Exception):  # noqa: N818
    """Ends a run of the timeline between two of its actions."""


class Rig:
    """See the module. buffer_bdp, buffer_packets: of the bottleneck, whichever is more."""

    def __init__(
        self,
        point: Point,
        *,
        buffer_bdp: float = 4.0,
        buffer_packets: int = 40,
        receiver: ReceiverConfig | None = None,
    ) -> None:
        self.point = point
        self.timeline = timeline = Timeline()
        self.gate, self.policer, self.batcher = Gate(timeline), Policer(timeline), Batcher(timeline)
        limit_bytes = max(int(point.bdp_bytes * buffer_bdp), buffer_packets * point.packet_bytes)
        self.queue = DropTail(limit_bytes=limit_bytes)
        self.port = Port(timeline, self.queue, ConstantRate(point.rate_bps), delay_ns=point.rtt_ns // 2)
        self.cross = CrossTraffic(timeline, self.port, size_bytes=point.packet_bytes)
        back = Delay(timeline, point.rtt_ns - point.rtt_ns // 2)
        self.delivery = Delivery(10 * point.packet_bytes)
        flow = Flow(
            line_rate_bps=point.rate_bps, packet_bytes=point.packet_bytes, delivery=self.delivery, rng=random.Random(0)
        )
        self.sender = Sender(WatchedBbr3, flow)
        bbr = self.sender.controller
        assert isinstance(bbr, WatchedBbr3)
        self.bbr = bbr
        self.transitions: list[Transition] = []
        bbr.on_transition = self._note_transition
        bbr.after_ack = self._after_ack
        self.on_ack: Callable[[Ack, int], object] | None = None
        self.acks = 0
        self._condition: Callable[[], bool] | None = None
        self._writing = 0
        self.flow = ModelFlow(
            timeline,
            self.sender,
            Receiver(receiver),
            forward=[self.gate.put, self.policer.put, self.port.put],
            backward=[back.put, self.batcher.put],
        )

    # The application

    def bulk(self) -> None:
        """Have more to send than could be, from now on."""
        self._writing += 1
        self.flow.write(PLENTY)

    def pause(self) -> None:
        """Have nothing more to send; what is not sent yet is dropped."""
        self._writing += 1
        self.sender.unsent_bytes = 0

    def write_every(self, interval_ns: int, packets: int) -> None:
        """Write so many packets now and again every interval."""
        self.pause()
        self._write((self._writing, interval_ns, packets))

    def limit_application(self, packets: int = 0) -> None:
        """Write so many packets (0: half a window, six at least), all of which arrive before it is time for more."""
        packets = packets or max(self.bbr.window_bytes // (4 * self.point.packet_bytes) * 2, 6)
        self.write_every((self.point.rtt_ns + packets * self.point.packet_ns) * 5 // 4, packets)

    def _write(self, plan: tuple[int, int, int]) -> None:
        number, interval_ns, packets = plan
        if number == self._writing:
            self.timeline.at(self.timeline.now + interval_ns, self._write, plan)
            self.flow.write(packets * self.point.packet_bytes)

    # Running

    def run(self, duration_ns: int) -> None:
        self.timeline.run(self.timeline.now + duration_ns)

    def until(self, condition: Callable[[], bool], *, rounds: int = 200) -> None:
        """Run to the first acknowledgement after which `condition` holds, within so many rounds of twice the RTT."""
        limit_ns = 2 * rounds * (self.point.rtt_ns + 10 * self.point.packet_ns)
        self._condition = condition
        try:
            self.timeline.run(self.timeline.now + limit_ns)
        except Reached:
            return
        finally:
            self._condition = None
        raise AssertionError(f"not reached in {limit_ns / 1e9} s; {self.history()}")

    def until_state(self, state: State, *, rounds: int = 200) -> Transition:
        """Run to the acknowledgement in which `state` is entered next; returns how."""
        count = len(self.transitions)

        def entered() -> bool:
            return any(step.new is state for step in self.transitions[count:])

        self.until(entered, rounds=rounds)
        return next(step for step in self.transitions[count:] if step.new is state)

    def idle(self, duration_ns: int) -> None:
        """Pause until everything has arrived, and for so long after; then have data again."""
        self.pause()
        self.drain()
        self.run(duration_ns)
        self.bulk()

    def drain(self) -> None:
        """Run until everything that was sent has arrived."""
        while not self.sender.is_done:
            self.run(self.point.rtt_ns)

    def wait_for_probe_rtt(self) -> Transition:
        """Run on to ProbeRTT; the application pauses while that is more than 20 ms and three round trips ahead."""
        due_ns = self.bbr.probe_rtt_min_stamp + PROBE_RTT_INTERVAL_NS
        spare_ns = due_ns - self.timeline.now - 20_000_000 - 3 * self.point.rtt_ns
        if spare_ns > 0:
            self.pause()
            self.run(spare_ns)
            self.bulk()
        # A round trip shorter than all before starts the interval again.
        return self.until_state(State.PROBE_RTT, rounds=200 + 3 * SECOND_NS // self.point.rtt_ns)

    def reach_up(self) -> None:
        """Run on to ProbeBW_UP, with all of ProbeRTTInterval still ahead where that matters.

        A bulk flow over 40 ms or more is due for ProbeRTT at some time in its first probes. Where it is, the
        application pauses for longer than the interval, after which a restart from idle counts as a ProbeRTT (5.4.1)
        and it is time to probe.
        """
        self.bulk()
        self.until_state(State.CRUISE, rounds=400)
        if self.point.rtt_ns > 5_000_000:
            self.idle(PROBE_RTT_INTERVAL_NS)
        self.until_state(State.UP)

    def inflight(self, variables: dict[str, int] | None = None, *, gain: int = 100) -> int:
        """Inflight(gain) by 5.6.4.2, of variables as they are or were; outside of ProbeBW_UP."""
        known = variables or self.bbr.variables()
        bdp_bytes = known["bw"] * known["min_rtt"] // (8 * SECOND_NS)
        return max(gain * bdp_bytes // 100, known["offload_budget"], 4 * self.point.packet_bytes)

    def headroom(self, variables: dict[str, int] | None = None) -> int:
        """InflightWithHeadroom by 5.3.3.6."""
        longterm = (variables or self.bbr.variables())["inflight_longterm"]
        if longterm < 0:
            return PLENTY
        packet_bytes = self.point.packet_bytes
        return max(longterm - max(packet_bytes, 15 * longterm // 100), 4 * packet_bytes)

    def history(self) -> str:
        """The last changes of state, for the message of a test that fails."""
        steps = [f"{step.now / 1e9:.4f} s {step.new.value} ({step.event.name})" for step in self.transitions[-6:]]
        return f"{'; '.join(steps)}; at {self.timeline.now / 1e9:.4f} s {self.bbr.state} {self.bbr.variables()}"

    def _note_transition(self, old: State, new: State, event: Event, now: int) -> None:
        self.transitions.append(Transition(old, new, event, now, self.delivery.inflight_bytes, self.bbr.variables()))

    def _after_ack(self, ack: Ack, now: int) -> None:
        self.acks += 1
        if self.on_ack is not None:
            self.on_ack(ack, now)
        if self._condition is not None and self._condition():
            self._condition = None
            self.timeline.at(now, _stop)


def _stop(_: object) -> None:
    raise Reached
