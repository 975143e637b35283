"""Cores small enough to see through, for tests of what carries them."""

from __future__ import annotations

from collections import deque

from transports.datagram import Address, Burst, Transmit


class ScriptedCore:
    """Sends what it is told, remembers what it gets, and perhaps sends it back."""

    def __init__(self, *, echoes: bool = False, logs: list[str] | None = None) -> None:
        self.echoes = echoes
        self.received: list[bytes] = []
        self.bursts: list[tuple[int, int, int]] = []
        """Datagrams, arrival and handling time of each burst."""
        self.identifications: list[int | None] = []
        self.timeouts: list[int] = []
        self.deadline: int | None = None
        self.queue: deque[Transmit] = deque()
        self.sent_transmits: list[Transmit] = []
        self.log = logs if logs is not None else []

    def post(self, *payloads: bytes, to: Address, segment_bytes: int = 0, not_before_ns: int = 0) -> Transmit:
        transmit = Transmit(payloads, segment_bytes, None, to, not_before_ns=not_before_ns)
        self.queue.append(transmit)
        return transmit

    def handle_burst(self, burst: Burst, now: int) -> None:
        self.log.append("burst")
        step = burst.segment_bytes
        datagrams = [bytes(burst.view[start : start + step]) for start in range(0, len(burst.view), step)]
        self.received += datagrams
        self.bursts.append((len(datagrams), burst.received_ns, now))
        self.identifications.append(burst.identification)
        if self.echoes:
            self.post(bytes(burst.view), to=burst.source, segment_bytes=step)

    def handle_timeout(self, now: int) -> None:
        self.log.append("timeout")
        self.timeouts.append(now)
        self.deadline = None

    def poll_transmit(self, now: int) -> Transmit | None:
        return self.queue.popleft() if self.queue else None

    def poll_deadline(self) -> int | None:
        return self.deadline

    def sent(self, transmit: Transmit) -> None:
        self.log.append("sent")
        self.sent_transmits.append(transmit)
