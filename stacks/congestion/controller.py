"""What a sender and a congestion controller say to each other: the seam between the stacks and every algorithm.

    flow starts           factory(Flow) -> Controller
    packets leave         handle_sent, before the connection counts them
    losses                handle_loss(Loss), once a recovery; handle_recovered when it is over
    acknowledgements      handle_lost_packet for each packet found lost, then handle_ack(Ack)
    a loss was none       handle_spurious_loss: undo
    a CNP                 handle_notification
    a deadline is due     handle_timeout, asked for by poll_deadline

The order within one acknowledgement: the stack updates its RttEstimator and `Delivery` for all newly acknowledged and
lost packets, tells `handle_recovered` if that ends a recovery, `handle_loss` if losses begin another,
`handle_lost_packet` of each lost one, `handle_spurious_loss` if it came to that, and `handle_ack` last. Where several
packets are found lost together, `SentPacket.lost_after_bytes` is the total as of each.

A controller answers with attributes that the sender reads before each send: `rate_bps`, which a `Pacer` enforces,
`send_quantum_bytes`, and `window_bytes`. A rate-based one sets the first, a window-based one the last, BBR all.

What happened is told in values, not in arguments, so that an algorithm that wants to know more gets it as another field
and the others never notice. Totals of the connection are in `flow.delivery`, which a controller only reads, but for
`application_limited()` (BBR's ProbeRTT).

A controller belongs to one path. A connection that moves to another (RFC 9000 9.4) makes a new one with a new `Flow`
and `Delivery`, resets its RttEstimator, and tells the old `Delivery` that what is in flight is `discarded`: what is
acknowledged of it later is nobody's sample. A packet size that changes on the same path is `handle_mtu`'s.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacks.congestion.delivery import Delivery, SentPacket


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What is known of a flow when it starts.

    line_rate_bps: bits per second of the sender's link, above which nothing leaves. packet_bytes: of a full packet, as
    `Ack` counts: with its headers, or everywhere without. rng: for algorithms that probe at random times, of this flow
    alone, or flows would probe in step; only `.random()` is drawn. delivery: the connection's totals, with its initial
    window. Either is None where the stack has none, which algorithms that need it refuse.
    start_ns: when the flow starts. base_rtt_ns: of the path without queues, where it is known (data centres), else 0.
    """

    line_rate_bps: int
    packet_bytes: int
    rng: random.Random | None = None
    delivery: Delivery | None = None
    start_ns: int = 0
    base_rtt_ns: int = 0


class Ack:
    """What one acknowledgement says: data that arrived, and the delivery-rate sample (RS. in draft-ietf-ccwg-bbr).

    acked_bytes, acked_packets: newly acknowledged; late_bytes of them had been found lost, and may have been counted in
    another copy as well. lost_bytes: newly found lost. inflight_bytes: what is still out. rtt_ns: of the newest packet,
    if it was timed, else None; ack_delay_ns of it the peer says it waited. ce_packets: newly reported as CE-marked.
    newest_number, newest_sent_ns: of the newest packet of this acknowledgement, -1 without one. What was sent after a
    moment is told by numbers, or by prior_delivered_bytes: many packets may leave in one nanosecond.

    The sample: delivery_rate_bps, 0 for none; is_app_limited: it says no more than what the application gave;
    delivered_bytes over interval_ns; prior_delivered_bytes, prior_delivered_ns: the connection's totals when that
    packet was sent (both -1: no sample); tx_in_flight_bytes: in flight then, with it; sample_lost_bytes: lost since.
    send_elapsed_ns, ack_elapsed_ns: the two candidates for the interval.

    telemetry: what switches wrote into the packet (INT), a sequence of hops, None without.
    """

    __slots__ = (
        "ack_delay_ns", "ack_elapsed_ns", "acked_bytes", "acked_packets", "ce_packets", "delivered_bytes",
        "delivery_rate_bps", "inflight_bytes", "interval_ns", "is_app_limited", "late_bytes", "lost_bytes",
        "newest_number", "newest_sent_ns", "prior_delivered_bytes", "prior_delivered_ns", "rtt_ns",
        "sample_lost_bytes", "send_elapsed_ns", "telemetry", "tx_in_flight_bytes",
    )  # fmt: skip

    def __init__(self, acked_bytes: int, inflight_bytes: int, *, rtt_ns: int | None = None) -> None:
        self.acked_bytes = acked_bytes
        self.inflight_bytes = inflight_bytes
        self.rtt_ns = rtt_ns
        self.acked_packets = 0
        self.lost_bytes = 0
        self.ce_packets = 0
        self.ack_delay_ns = self.late_bytes = 0
        self.newest_number = self.newest_sent_ns = -1
        self.delivery_rate_bps = 0
        self.is_app_limited = False
        self.delivered_bytes = 0
        self.interval_ns = 0
        self.prior_delivered_bytes = self.prior_delivered_ns = -1
        self.tx_in_flight_bytes = 0
        self.sample_lost_bytes = 0
        self.send_elapsed_ns = 0
        self.ack_elapsed_ns = 0
        self.telemetry: Sequence[Any] | None = None


class Loss:
    """Data that did not arrive; told once a recovery.

    lost_bytes: what will be sent again, as far as it is known. is_timeout: nobody reported it, a timer found it.
    is_persistent: everything over several timeouts was lost (RFC 9002 7.6, `PersistentCongestion`). is_mark: CE, of a
    stack that starts recoveries from classic ECN marks itself; `Ack.ce_packets` is told all the same.
    """

    __slots__ = ("is_mark", "is_persistent", "is_timeout", "lost_bytes")

    def __init__(
        self, lost_bytes: int, *, is_timeout: bool, is_persistent: bool = False, is_mark: bool = False
    ) -> None:
        self.lost_bytes = lost_bytes
        self.is_timeout = is_timeout
        self.is_persistent = is_persistent
        self.is_mark = is_mark


class Controller:
    """Base of every algorithm; what it does not care about, it does not override. Times are integer nanoseconds.

    rate_bps: bits per second at which to send, None for as fast as the link. window_bytes: how much may be
    unacknowledged, None for no limit of its own. send_quantum_bytes: what may leave at once when paced. These are read
    often: they are plain attributes, not properties. state: the phase that the algorithm is in, in the words of its
    document. ecn: the codepoint that its packets carry (RFC 3168, RFC 9331): 0 for none, 2 ECT(0), 1 ECT(1).
    wants_telemetry: its packets ask every switch for telemetry (`Ack.telemetry`, `stacks.congestion.telemetry`).
    cnp_interval_ns: its receiver says by CNPs that marks arrive, one in this time at most; 0 for no CNPs.
    """

    rate_bps: int | None = None
    window_bytes: int | None = None
    send_quantum_bytes: int = 0
    state: str = ""
    ecn: int = 0
    wants_telemetry: bool = False
    cnp_interval_ns: int = 0

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """`length_bytes` are about to leave, payload and headers, the first time or again."""

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Data arrived."""

    def handle_lost_packet(self, packet: SentPacket, now: int) -> None:
        """One packet was found lost; the connection's totals have it already."""

    def handle_loss(self, loss: Loss, now: int) -> None:
        """Data was lost: a recovery begins, or a timer found it."""

    def handle_recovered(self, now: int) -> None:
        """A packet sent after the beginning of the recovery was acknowledged: it is over."""

    def handle_spurious_loss(self, now: int) -> None:
        """Everything that the present or last recovery was about has arrived after all: undo it."""

    def handle_notification(self, now: int) -> None:
        """The receiver, or the network, says that a queue builds up: a CNP."""

    def handle_mtu(self, packet_bytes: int, now: int) -> None:
        """A full packet has another size from here, on the same path (RFC 8899).

        What is counted in packets follows; the window stays as many bytes as it was. An algorithm without this goes on
        in packets of the size that `Flow` named.
        """

    def handle_timeout(self, now: int) -> None:
        """Act on every deadline at or before `now`, in their order: calling it late has the same outcome."""

    def poll_deadline(self) -> int | None:
        """When the controller will next change its mind by itself, in nanoseconds; None for never."""
        return None

    def variables(self) -> dict[str, int]:
        """What the algorithm would show of itself beside rate, window and state, under its document's names."""
        return {}


ControllerFactory = Callable[[Flow], Controller]
"""Makes the controller of one flow: a class, or a function that fills in parameters."""
