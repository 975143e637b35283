"""Acknowledgements made by hand, for tests that drive a controller without a network."""

from __future__ import annotations

import random

from stacks.congestion import Ack, Controller, Delivery, Flow, Loss

PACKET = 1000
MS = 1_000_000
SECOND = 1_000_000_000


def flow(*, initial_packets: int = 10, with_delivery: bool = False, seed: int = 1) -> Flow:
    return Flow(
        line_rate_bps=10**9,
        packet_bytes=PACKET,
        delivery=Delivery(initial_packets * PACKET) if with_delivery else None,
        rng=random.Random(seed),
    )


def ack(
    controller: Controller,
    packets: float,
    now: int,
    *,
    rtt_ns: int | None = None,
    newest_sent_ns: int = -1,
    ce_packets: int = 0,
    inflight_packets: int = 0,
) -> None:
    """`packets` arrived; of a controller without delivery totals the window counts as what limits."""
    told = Ack(int(packets * PACKET), inflight_packets * PACKET, rtt_ns=rtt_ns)
    told.acked_packets = int(packets)
    told.newest_sent_ns = newest_sent_ns
    told.ce_packets = ce_packets
    controller.handle_ack(told, now)


def lose(controller: Controller, now: int, *, is_timeout: bool = False, is_persistent: bool = False) -> None:
    controller.handle_loss(Loss(PACKET, is_timeout=is_timeout, is_persistent=is_persistent), now)


def lose_and_recover(controller: Controller, now: int) -> None:
    lose(controller, now)
    controller.handle_recovered(now)


def rounds(controller: Controller, count: int, start_ns: int, rtt_ns: int) -> int:
    """So many round trips, in each of which a window is acknowledged, two packets at a time; when they are over."""
    now = start_ns
    for _ in range(count):
        assert controller.window_bytes is not None
        pairs = max(controller.window_bytes // (2 * PACKET), 1)
        for index in range(pairs):
            ack(controller, 2, now + rtt_ns * (index + 1) // pairs, newest_sent_ns=now, rtt_ns=rtt_ns)
        now += rtt_ns
    return now
