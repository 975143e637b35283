"""What a sender and a congestion controller say to each other: the seam between the stacks and every algorithm.

    flow starts           factory(Flow) -> Controller
    packets leave         handle_sent
    acknowledgements      handle_ack(Ack)
    losses                handle_loss(Loss)
    a CNP, an ECN echo    handle_notification
    a deadline is due     handle_timeout, asked for by poll_deadline

A controller answers with two attributes that the sender reads before each send: `rate_bps`, which a `Pacer` enforces,
and `window_bytes`. A rate-based one sets the first, a window-based one the second, BBR both.

What happened is told in values, not in arguments, so that an algorithm that wants to know more (delivery-rate samples,
rounds, application limits, counts of ECN marks) gets it as another field and the others never notice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What is known of a flow when it starts.

    line_rate_bps: bits per second of the sender's link, above which nothing leaves. packet_bytes: payload of a full
    packet. rng: for algorithms that probe at random times; only `.random()` is drawn.
    """

    line_rate_bps: int
    packet_bytes: int
    rng: random.Random = field(default_factory=lambda: random.Random(0))


class Ack:
    """Data that arrived.

    acked_bytes: newly acknowledged. inflight_bytes: what is still out. rtt_ns: of a packet that was sent once, where
    the sender timed one, else None.
    """

    __slots__ = ("acked_bytes", "inflight_bytes", "rtt_ns")

    def __init__(self, acked_bytes: int, inflight_bytes: int, *, rtt_ns: int | None = None) -> None:
        self.acked_bytes = acked_bytes
        self.inflight_bytes = inflight_bytes
        self.rtt_ns = rtt_ns


class Loss:
    """Data that did not arrive; told once a recovery.

    lost_bytes: what will be sent again, as far as it is known. is_timeout: nobody reported it, a timer found it.
    """

    __slots__ = ("is_timeout", "lost_bytes")

    def __init__(self, lost_bytes: int, *, is_timeout: bool) -> None:
        self.lost_bytes = lost_bytes
        self.is_timeout = is_timeout


class Controller:
    """Base of every algorithm; what it does not care about, it does not override. Times are integer nanoseconds.

    rate_bps: bits per second at which to send, None for as fast as the link. window_bytes: how much may be
    unacknowledged, None for no limit of its own. Both are read often: they are plain attributes, not properties.
    """

    rate_bps: int | None = None
    window_bytes: int | None = None

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """`length_bytes` left, payload and headers, the first time or again."""

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Data arrived."""

    def handle_loss(self, loss: Loss, now: int) -> None:
        """Data was lost."""

    def handle_notification(self, now: int) -> None:
        """The receiver, or the network, says that a queue builds up: a CNP."""

    def handle_timeout(self, now: int) -> None:
        """Act on every deadline at or before `now`, in their order: calling it late has the same outcome."""

    def poll_deadline(self) -> int | None:
        """When the controller will next change its mind by itself, in nanoseconds; None for never."""
        return None


ControllerFactory = Callable[[Flow], Controller]
"""Makes the controller of one flow: a class, or a function that fills in parameters."""
