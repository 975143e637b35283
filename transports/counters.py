"""What a datagram transport counts."""

from __future__ import annotations


class DatagramStatistics:
    """Plain counters, written by the transport, free to read at any time.

    sent_datagrams, sent_bytes: payloads handed to the kernel or the simulated path.
    received_datagrams, received_bytes, received_bursts: what `receive` returned.
    full: sends refused for lack of room (tried again by the driver, not lost).
    dropped: datagrams that could not leave for another reason; to the core they are lost packets.
    too_big: those of them that exceed what the path takes in one piece (EMSGSIZE with DF).
    splits: transmits sent in several calls because one could not carry them.
    fallbacks: times that segmentation offload was switched off because the kernel refused it.
    unreachable: ICMP errors that came back for datagrams sent (nobody listens, no route).
    truncated, empty: datagrams received that were larger than the buffer, or had no payload; not delivered.
    """

    __slots__ = (
        "dropped",
        "empty",
        "fallbacks",
        "full",
        "received_bursts",
        "received_bytes",
        "received_datagrams",
        "sent_bytes",
        "sent_datagrams",
        "splits",
        "too_big",
        "truncated",
        "unreachable",
    )

    def __init__(self) -> None:
        self.dropped = 0
        self.empty = 0
        self.fallbacks = 0
        self.full = 0
        self.received_bursts = 0
        self.received_bytes = 0
        self.received_datagrams = 0
        self.sent_bytes = 0
        self.sent_datagrams = 0
        self.splits = 0
        self.too_big = 0
        self.truncated = 0
        self.unreachable = 0

    def snapshot(self) -> dict[str, int]:
        """All counters by name."""
        return {name: getattr(self, name) for name in self.__slots__}
