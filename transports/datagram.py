"""The datagram shape: what a core hands to a transport, and what a transport hands to a core.

A core's output is a `Transmit`: one destination, one or many equal datagrams in one go, so that segmentation
offload and pacing are properties of the output and not tricks of a socket. Its input is a `Burst`, the same in the
other direction. Both are slotted and mutable on purpose: they are made once per burst, on the data path.

Ownership: a `Transmit`'s views are borrowed until the driver calls the core's `sent`; a `Burst`'s view is borrowed
until `handle_burst` returns, after which the transport reuses the buffer behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

Buffer = bytes | bytearray | memoryview
Address = tuple[str, int]
"""Host in numeric text form (IPv4, or IPv6 without scope) and port."""

ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE = 0, 1, 2, 3


class Transmit:
    """One or several datagrams to one destination.

    views: the bytes, in order; their concatenation is cut every `segment_bytes` into datagrams, the last may be
        shorter. Borrowed until the driver says `sent`.
    segment_bytes: size of a datagram's payload in bytes; 0 means that everything is one datagram.
    source: local address to send from, or None for the transport's own.
    destination: where to.
    ecn: the two ECN bits of the IP header (RFC 3168), 0 to 3.
    not_before_ns: earliest departure, in the clock's nanoseconds; 0 means now.
    is_probe: a path MTU probe, which must not be fragmented and whose loss is not congestion.
    """

    __slots__ = ("destination", "ecn", "is_probe", "not_before_ns", "segment_bytes", "source", "views")

    def __init__(
        self,
        views: Sequence[Buffer],
        segment_bytes: int,
        source: Address | None,
        destination: Address,
        ecn: int = ECN_NOT_ECT,
        not_before_ns: int = 0,
        is_probe: bool = False,
    ) -> None:
        self.views = views
        self.segment_bytes = segment_bytes
        self.source = source
        self.destination = destination
        self.ecn = ecn
        self.not_before_ns = not_before_ns
        self.is_probe = is_probe


class Burst:
    """One or several datagrams from one source, received together.

    view: the payloads, back to back; borrowed until `handle_burst` returns.
    segment_bytes: size of each datagram but the last, which may be shorter; never 0.
    source, destination: the addresses on the packets.
    ecn: the ECN bits that all of them carry.
    received_ns: arrival, in the clock's nanoseconds.
    identification: the IPv4 Identification of the first datagram (the others count up) where the transport sees it
        (frames, a raw socket, a simulated link that says so); None where it does not, as on a UDP socket.
    staging: the buffer that `view` is the front of, where the transport uses one again and again, else None: slices of
        it may be kept, and have the bytes of every burst that comes with it.
    """

    __slots__ = ("destination", "ecn", "identification", "received_ns", "segment_bytes", "source", "staging", "view")

    def __init__(
        self,
        view: memoryview,
        segment_bytes: int,
        source: Address,
        destination: Address,
        ecn: int = ECN_NOT_ECT,
        received_ns: int = 0,
        identification: int | None = None,
        staging: memoryview | None = None,
    ) -> None:
        self.view = view
        self.segment_bytes = segment_bytes
        self.source = source
        self.destination = destination
        self.ecn = ecn
        self.received_ns = received_ns
        self.identification = identification
        self.staging = staging


class DatagramCore(Protocol):
    """What a driver needs of a core whose peers are reached by datagrams."""

    def handle_burst(self, burst: Burst, now: int) -> None:
        """Take one burst; never raises for what a peer sent. `now` in nanoseconds."""

    def handle_timeout(self, now: int) -> None:
        """Act on every deadline at or before `now`."""

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next thing to send, or None. Its views stay valid until `sent` is called with it."""

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due, in nanoseconds; None for never."""

    def sent(self, transmit: Transmit) -> None:
        """The transport is done with the views of `transmit` (sent, or dropped for good)."""


@runtime_checkable
class MulticastTransport(Protocol):
    """A transport that can receive what is sent to multicast groups as well; bursts say which in `destination`."""

    def join(self, group: str) -> None:
        """Receive it, in numeric text form, from now on; TransportError where that cannot be. Idempotent."""

    def leave(self, group: str) -> None:
        """The inverse of `join`."""

    def group_fileno(self) -> int | None:
        """What to wait for besides the transport's own file descriptor while there are groups, where there is any."""


@runtime_checkable
class DatagramTransport(Protocol):
    """Something that moves datagrams without blocking. Contract suite: tests/transports/datagram_contract.py."""

    @property
    def address(self) -> Address:
        """The bound local address."""

    def send(self, transmit: Transmit) -> bool:
        """Send all datagrams of `transmit`; False when there is no room now (nothing was sent, try it again later)."""

    def receive(self) -> Burst | None:
        """The next burst, or None when nothing is there. Valid until the next call of `receive`."""

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""

    async def wait_writable(self) -> None:
        """Return when `send` may succeed."""

    def close(self) -> None:
        """Release the socket or link end; idempotent."""
