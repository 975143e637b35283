"""How fast a link is: when the last bit of a packet has left, if its first may leave now."""

from __future__ import annotations

from typing import Protocol

from transports.errors import TransportError


class Rate(Protocol):
    """What a port asks for each packet; called once a packet, in the order in which they leave."""

    def finish_ns(self, size_bytes: int, start_ns: int) -> int:
        """When a packet of `size_bytes` whose turn comes at `start_ns` has left the link."""


class ConstantRate:
    """A link of so many bits per second; exact in the long run, since what a nanosecond does not hold is carried over.

    TransportError for a rate below 1.
    """

    def __init__(self, rate_bps: int) -> None:
        if rate_bps < 1:
            raise TransportError(f"a link's rate is above 0 bit/s, not {rate_bps}")
        self.rate_bps = rate_bps
        self._free_ns = 0
        self._rest = 0

    def finish_ns(self, size_bytes: int, start_ns: int) -> int:
        """`size_bytes` at the rate; rounded up to a nanosecond, back to back less what was rounded before."""
        owed = size_bytes * BIT_NS_PER_BYTE_S
        if start_ns == self._free_ns:
            owed -= self._rest
        duration_ns = -(-owed // self.rate_bps)
        self._rest = duration_ns * self.rate_bps - owed
        self._free_ns = finish_ns = start_ns + duration_ns
        return finish_ns


class UnlimitedRate:
    """A link on which packets take no time."""

    __slots__ = ()

    def finish_ns(self, size_bytes: int, start_ns: int) -> int:  # noqa: ARG002
        """At once."""
        return start_ns


BIT_NS_PER_BYTE_S = 8_000_000_000
