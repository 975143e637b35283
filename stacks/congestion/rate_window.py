"""A window for a controller that has only a rate: what the rate earns in a round trip without queues.

    window = line rate * T * rate / line rate = rate * T

With it, what a flow has in the network is bounded even before the first sign of congestion returns. The HPCC authors
compare with DCQCN and TIMELY so bounded (SIGCOMM 2019, section 5.1: DCQCN+win, TIMELY+win).
"""

from __future__ import annotations

from stacks.congestion.controller import Controller, ControllerFactory, Flow
from stacks.congestion.wrapped import WrappedController
from stacks.runtime import LocalError


class RateWindow(WrappedController):
    """Another controller, `inner`, with such a window. LocalError without `Flow.base_rtt_ns`."""

    def __init__(self, flow: Flow, inner: Controller) -> None:
        if flow.base_rtt_ns <= 0:
            raise LocalError("a window for a rate needs the round-trip time without queues (Flow.base_rtt_ns)")
        super().__init__(inner)
        self._line_rate_bps = flow.line_rate_bps
        self._base_rtt_ns = flow.base_rtt_ns
        self._packet_bytes = flow.packet_bytes
        self._follow()

    def _follow(self) -> None:
        inner = self.inner
        self.state = inner.state
        self.rate_bps = inner.rate_bps
        self.send_quantum_bytes = inner.send_quantum_bytes
        rate_bps = self._line_rate_bps if inner.rate_bps is None else inner.rate_bps
        window_bytes = rate_bps * self._base_rtt_ns // BIT_NS_PER_BYTE_S
        self.window_bytes = max(window_bytes, self._packet_bytes)


def with_window(factory: ControllerFactory) -> ControllerFactory:
    """The factory of the same controllers, each with such a window."""

    def make(flow: Flow) -> RateWindow:
        return RateWindow(flow, factory(flow))

    return make


BIT_NS_PER_BYTE_S = 8_000_000_000
