"""CUBIC (RFC 9438): the window is a cubic function of the time since the last congestion event, not of round trips.

    W_cubic(t) = C (t - K)^3 + W_max       K = cubic root of (W_max - cwnd_epoch) / C; C = 0.4 packets/s^3
    target     = W_cubic(t + RTT), from cwnd to 1.5 cwnd; for each window acknowledged cwnd goes there
    W_est     += alpha packets a window acknowledged: what Reno would have; cwnd = W_est while that is above W_cubic(t)
    alpha      = 9/17, and 1 once W_est is at cwnd_prior, the window before the event

    a congestion event            W_max = cwnd, or 0.85 cwnd if it is below the last W_max (fast convergence);
                                  ssthresh = 0.7 cwnd
    a timeout, or no event yet    K = 0 and W_max = cwnd at the beginning of congestion avoidance (4.8, 4.10)
    a spurious event              everything back (4.9)

`is_linux` does as net/ipv4/tcp_cubic.c where that differs and it shows: alpha stays 9/17 for ever, and fast convergence
compares windows in whole packets.

t is counted from the beginning of the present congestion avoidance, without times in which the application limited
the sender (4.2, 5.8). Everything is integers: bytes, microseconds, an integer cubic root.
"""

from __future__ import annotations

from typing import Any

from stacks.congestion.controller import Ack, Flow
from stacks.congestion.hystart import ABC_PACKETS
from stacks.congestion.windowed import WindowedController


class Cubic(WindowedController):
    """The window of one flow. hystart: leave the first slow start as RFC 9406 says. ecn, is_paced: see windowed.
    is_linux: see above.

    w_max_bytes: 0 before the first congestion event. k_us: K. epoch_ns: where t is 0. cwnd_prior_bytes, w_est_bytes:
    as above.
    """

    def __init__(
        self, flow: Flow, *, hystart: bool = True, ecn: int = 0, is_paced: bool = False, is_linux: bool = False
    ) -> None:
        super().__init__(
            flow,
            abc_packets=ABC_PACKETS,
            abc_timeout_packets=ABC_PACKETS,
            hystart=hystart,
            ecn=ecn,
            is_paced=is_paced,
        )
        # In 17ths, once W_est is at cwnd_prior; and in what fast convergence compares windows.
        self._late_alpha = ALPHA_17 if is_linux else 17
        self._grain_bytes = flow.packet_bytes if is_linux else 1
        self.w_max_bytes = 0
        self.k_us = 0
        self.epoch_ns = 0
        self.cwnd_prior_bytes = 0
        self.w_est_bytes = 0
        self._starts_flat = True
        self._growth_rest = self._est_rest = 0

    def reduced_bytes(self, window_bytes: int) -> int:
        """Seven tenths (4.6); W_max by fast convergence (4.7)."""
        self.cwnd_prior_bytes = window_bytes
        grain_bytes = self._grain_bytes
        is_below = window_bytes // grain_bytes < self.w_max_bytes // grain_bytes
        self.w_max_bytes = window_bytes * 17 // 20 if is_below else window_bytes
        self._starts_flat = False
        return window_bytes * 7 // 10

    def time_out(self) -> None:
        """The next congestion avoidance starts from where slow start ends (4.8)."""
        self._starts_flat = True

    def begin_avoidance(self, now: int) -> None:
        """A new epoch: t = 0."""
        window_bytes = self.window_bytes
        self.epoch_ns = now
        self.w_est_bytes = window_bytes
        self._growth_rest = self._est_rest = 0
        if self._starts_flat:
            self._starts_flat = False
            self.cwnd_prior_bytes = self.w_max_bytes = window_bytes
        self.k_us = cubic_root(max(self.w_max_bytes - window_bytes, 0) * UNIT // (C_TENTHS * self.packet_bytes))

    def pause(self, now: int) -> None:
        """Time in which the window does not grow for want of data is no part of t."""
        self.epoch_ns += now - self._acked_ns

    def grow(self, ack: Ack, now: int) -> None:
        """Towards the cubic function, or as Reno where that is more."""
        acked_bytes = ack.acked_bytes
        window_bytes = self.window_bytes
        t_us = (now - self.epoch_ns) // 1000
        scale = C_TENTHS * self.packet_bytes
        alpha = ALPHA_17 if self.w_est_bytes < self.cwnd_prior_bytes else self._late_alpha
        est = self._est_rest + alpha * self.packet_bytes * acked_bytes
        growth_bytes = est // (17 * window_bytes)
        self._est_rest = est - growth_bytes * 17 * window_bytes
        self.w_est_bytes += growth_bytes
        offset_us = t_us - self.k_us
        if self.w_max_bytes + scale * offset_us * offset_us * offset_us // UNIT < self.w_est_bytes:
            if self.w_est_bytes > window_bytes:
                self.window_bytes = self.w_est_bytes
            return
        delivery = self.delivery
        if delivery is not None:
            offset_us += delivery.srtt_ns // 1000
        target_bytes = self.w_max_bytes + scale * offset_us * offset_us * offset_us // UNIT
        if target_bytes <= window_bytes:
            return
        target_bytes = min(target_bytes, window_bytes * 3 // 2)
        growth = self._growth_rest + (target_bytes - window_bytes) * acked_bytes
        growth_bytes = growth // window_bytes
        self._growth_rest = growth - growth_bytes * window_bytes
        self.window_bytes = window_bytes + growth_bytes

    def saved(self) -> Any:
        """W_max, K, the epoch, cwnd_prior and W_est (4.9)."""
        return (
            self.w_max_bytes, self.k_us, self.epoch_ns, self.cwnd_prior_bytes, self.w_est_bytes, self._starts_flat
        )  # fmt: skip

    def restore(self, saved: Any) -> None:
        """As they were."""
        (
            self.w_max_bytes, self.k_us, self.epoch_ns, self.cwnd_prior_bytes, self.w_est_bytes, self._starts_flat
        ) = saved  # fmt: skip

    def variables(self) -> dict[str, int]:
        """PRR's and ssthresh as ever; W_max, K in microseconds, W_est."""
        return {**super().variables(), "W_max": self.w_max_bytes, "K_us": self.k_us, "W_est": self.w_est_bytes}


def cubic_root(value: int) -> int:
    """The largest integer whose cube is at most `value`, which is not negative; exact, by Newton's method."""
    if value < 1:
        return 0
    root = 1 << -(-value.bit_length() // 3)
    while True:
        better = (2 * root + value // (root * root)) // 3
        if better >= root:
            return root
        root = better


C_TENTHS = 4
"""C in tenths of a packet per cubic second."""
UNIT = 10 * 1_000_000**3
"""Tenths, and microseconds cubed."""
ALPHA_17 = 9
"""alpha in 17ths: 3 (1 - 0.7) / (1 + 0.7)."""
