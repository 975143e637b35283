"""A controller in a file of the user's own, whose mistakes are told with its file and class.

Whatever it raises, and whatever it answers that no sender could go by, ends in one LocalError that names it. A library
controller is trusted; one of these costs a check after each call.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

from stacks.congestion.controller import Ack, Controller, ControllerFactory, Flow, Loss
from stacks.congestion.delivery import SentPacket
from stacks.runtime.errors import LocalError, StackError

Made = TypeVar("Made")


class GuardedController(Controller):
    """Passes everything on to `inner`, and takes over what it answers when a sender can go by it.

    name: FILE.py:CLASS. inflight_max_bytes: with more than that in flight the flow ends with LocalError; what runs a
    flow lowers it to what its path could ever hold.
    """

    def __init__(self, name: str, factory: ControllerFactory, flow: Flow) -> None:
        self.name = name
        self.inflight_max_bytes = PACKETS_MAX * flow.packet_bytes
        self._packet_bytes = flow.packet_bytes
        self._delivery = flow.delivery
        inner = self._call(factory, flow)
        if not isinstance(inner, Controller):
            raise LocalError(
                f"{name} makes no controller but a {type(inner).__name__}; derive its class from Controller"
            )
        self.inner = inner
        self._take_over()

    def handle_sent(self, length_bytes: int, now: int) -> None:
        """As `Controller`'s, and so are the others."""
        self._call(self.inner.handle_sent, length_bytes, now)
        self._take_over()
        delivery = self._delivery
        if delivery is not None and delivery.inflight_bytes > self.inflight_max_bytes:
            raise LocalError(
                f"{self.name} has {delivery.inflight_bytes // self._packet_bytes:,} packets in flight, more than the "
                "path could ever hold; set window_bytes, in bytes, or rate_bps, in bits a second"
            )

    def handle_ack(self, ack: Ack, now: int) -> None:
        """As above."""
        self._call(self.inner.handle_ack, ack, now)
        self._take_over()

    def handle_lost_packet(self, packet: SentPacket, now: int) -> None:
        """As above."""
        self._call(self.inner.handle_lost_packet, packet, now)
        self._take_over()

    def handle_loss(self, loss: Loss, now: int) -> None:
        """As above."""
        self._call(self.inner.handle_loss, loss, now)
        self._take_over()

    def handle_recovered(self, now: int) -> None:
        """As above."""
        self._call(self.inner.handle_recovered, now)
        self._take_over()

    def handle_spurious_loss(self, now: int) -> None:
        """As above."""
        self._call(self.inner.handle_spurious_loss, now)
        self._take_over()

    def handle_notification(self, now: int) -> None:
        """As above."""
        self._call(self.inner.handle_notification, now)
        self._take_over()

    def handle_mtu(self, packet_bytes: int, now: int) -> None:
        """As above."""
        self._packet_bytes = packet_bytes
        self._call(self.inner.handle_mtu, packet_bytes, now)
        self._take_over()

    def handle_timeout(self, now: int) -> None:
        """As above; a deadline that stays due would be due for ever."""
        self._call(self.inner.handle_timeout, now)
        self._take_over()
        due_ns = self.poll_deadline()
        if due_ns is not None and due_ns <= now:
            raise LocalError(
                f"{self.name}: poll_deadline is still {due_ns} after handle_timeout({now}); it has to be later, or None"
            )

    def poll_deadline(self) -> int | None:
        """As above."""
        due_ns = self._call(self.inner.poll_deadline)
        if due_ns is not None and not isinstance(due_ns, int):
            raise LocalError(f"{self.name}: poll_deadline is whole nanoseconds or None, not {due_ns!r}")
        return due_ns

    def variables(self) -> dict[str, int]:
        """As above."""
        return self._call(self.inner.variables)

    def _call(self, what: Callable[..., Made], *arguments: object) -> Made:
        try:
            return what(*arguments)
        except StackError:
            raise
        except Exception as error:
            raise LocalError(self._blame(error)) from error

    def _blame(self, error: Exception) -> str:
        path = self.name.rpartition(":")[0]
        words = f"{type(error).__name__}: {error}"
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return f"{path}:{lines[-1]}: {words}" if lines else f"{self.name}: {words}"

    def _take_over(self) -> None:
        # Nearly always nothing or one of them has changed: compared by identity, since that costs least.
        inner = self.inner
        try:
            if inner.window_bytes is not self.window_bytes:
                self.window_bytes = self._above_0("window_bytes", inner.window_bytes)
            if inner.rate_bps is not self.rate_bps:
                self.rate_bps = self._above_0("rate_bps", inner.rate_bps)
            for name, kind, most in PLAIN:
                value = getattr(inner, name)
                if value is not getattr(self, name):
                    if not isinstance(value, kind) or (isinstance(value, int) and not 0 <= value <= most):
                        raise LocalError(f"{self.name}: {name} is {WORDS[name]}, not {value!r}")
                    setattr(self, name, value)
        except StackError:
            raise
        except Exception as error:
            raise LocalError(self._blame(error)) from error

    def _above_0(self, name: str, value: object) -> int | None:
        if value is None or (isinstance(value, int) and value > 0):
            return value
        remedy = "; int() makes one of a float, // divides to one" if isinstance(value, float) else ""
        raise LocalError(f"{self.name}: {name} is a whole number above 0, or None, not {value!r}{remedy}")


def guarded(name: str, factory: ControllerFactory) -> ControllerFactory:
    """The same factory with every mistake of its controllers told. name: FILE.py:CLASS, with the whole path."""

    def make(flow: Flow) -> Controller:
        return GuardedController(name, factory, flow)

    return make


PACKETS_MAX = 4_000_000
"""In flight of one flow, where nothing is known of its path: 10 Gbit/s over 5 s."""
NO_MOST = 1 << 62
PLAIN: tuple[tuple[str, type, int], ...] = (
    ("send_quantum_bytes", int, NO_MOST), ("state", str, 0), ("ecn", int, 2), ("wants_telemetry", bool, 1),
    ("cnp_interval_ns", int, NO_MOST),
)  # fmt: skip
"""Attributes with their types and the largest value of those that are integers."""
WORDS = {
    "send_quantum_bytes": "a whole number of bytes, 0 or more",
    "state": "a word",
    "ecn": "0, 1 or 2",
    "wants_telemetry": "True or False",
    "cnp_interval_ns": "a whole number of nanoseconds, 0 or more",
}
