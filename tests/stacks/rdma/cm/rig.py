"""Two connection managers in virtual time, over a network of MADs that loses, duplicates and reorders on demand."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count

from stacks.rdma.cm import CmConfig, CmEvent, CmEventType, Connection, ConnectionManager, ConnectionParameters
from wire.ibcm import CmMessage, parse_mad, service_id

ACTIVE, PASSIVE = "192.0.2.1", "192.0.2.2"
SERVICE = service_id(4420)
MS = 1_000_000

Owner = Callable[[CmEvent], None]


class Rig:
    """An active and a passive manager with owners that connect and accept, until told otherwise.

    lose: asked for each MAD, in order of sending; loses it when true. log: the messages as sent, by kind.
    events: what each owner was told, by address.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        loss: float = 0,
        duplication: float = 0,
        jitter_ns: int = 0,
        config: CmConfig | None = None,
    ) -> None:
        self.now = 0
        self.active = ConnectionManager(ACTIVE, rng=random.Random(seed), config=config)
        self.passive = ConnectionManager(PASSIVE, rng=random.Random(seed + 1), config=config)
        self.passive.listen(SERVICE)
        self.events: dict[str, list[CmEvent]] = {ACTIVE: [], PASSIVE: []}
        self.owners: dict[str, Owner] = {ACTIVE: self.establish, PASSIVE: self.accept}
        self.log: list[str] = []
        self.lose: Callable[[str, CmMessage], bool] = lambda _source, _message: False
        self._rng = random.Random(seed + 2)
        self._loss, self._duplication, self._jitter_ns = loss, duplication, jitter_ns
        self._flying: list[tuple[int, int, str, str, bytes]] = []
        self._sequence = count()
        self._qpn = count(100)

    @property
    def managers(self) -> tuple[tuple[str, ConnectionManager], ...]:
        """Both, by address."""
        return (ACTIVE, self.active), (PASSIVE, self.passive)

    def parameters(self) -> ConnectionParameters:
        """A fresh queue pair's."""
        return ConnectionParameters(qpn=next(self._qpn))

    def connect(self, private_data: bytes = b"") -> Connection:
        """Ask for a connection from the active side."""
        return self.active.connect(PASSIVE, SERVICE, parameters=self.parameters(), private_data=private_data)

    def connected(self) -> tuple[Connection, Connection]:
        """Both ends of an established connection; nothing is left in the network, nor in the events."""
        active = self.connect()
        self.run(10 * MS)
        passive = self.requested()
        for events in self.events.values():
            events.clear()
        self.log.clear()
        return active, passive

    def requested(self) -> Connection:
        """The passive end of the latest connection."""
        requests = [event for event in self.events[PASSIVE] if event.kind is CmEventType.CONNECT_REQUEST]
        return requests[-1].connection

    def kinds(self, address: str) -> list[str]:
        """What one owner was told."""
        return [event.kind.name for event in self.events[address]]

    def accept(self, event: CmEvent) -> None:
        """An owner that accepts whatever is asked for."""
        if event.kind is CmEventType.CONNECT_REQUEST:
            self.passive.accept(event.connection, parameters=self.parameters())

    def establish(self, event: CmEvent) -> None:
        """An owner whose queue pair is ready at once."""
        if event.kind is CmEventType.CONNECT_RESPONSE:
            self.active.establish(event.connection)

    def run(self, duration_ns: int) -> None:
        """Let time pass; what is due exactly at the end still happens."""
        end = self.now + duration_ns
        self._settle()
        while (next_ns := self._next_ns()) is not None and next_ns <= end:
            self.now = max(self.now, next_ns)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, source, destination, mad = heapq.heappop(self._flying)
                dict(self.managers)[destination].handle_mad(source, memoryview(mad), self.now)
                self._settle()
            for _, manager in self.managers:
                manager.handle_timeout(self.now)
            self._settle()
        self.now = end

    def finish(self) -> None:
        """Run until nothing flies and nobody waits."""
        for _ in range(100):
            self.run(0)
            if self._next_ns() is None:
                return
            self.run(10_000 * MS)
        raise AssertionError("the managers never come to rest")

    def _next_ns(self) -> int | None:
        times = [manager.poll_deadline() for _, manager in self.managers]
        times += [self._flying[0][0]] if self._flying else []
        return min((time for time in times if time is not None), default=None)

    def _settle(self) -> None:
        is_busy = True
        while is_busy:
            is_busy = False
            for address, manager in self.managers:
                while (event := manager.poll_event()) is not None:
                    is_busy = True
                    self.events[address].append(event)
                    self.owners[address](event)
                while (item := manager.poll_mad(self.now)) is not None:
                    is_busy = True
                    self._fly(address, *item)

    def _fly(self, source: str, destination: str, mad: bytes) -> None:
        _, message = parse_mad(mad)
        self.log.append(type(message).__name__.removeprefix("Cm").upper())
        if self.lose(source, message) or self._rng.random() < self._loss:
            return
        copies = 2 if self._rng.random() < self._duplication else 1
        for _ in range(copies):
            arrival = self.now + MS + int(self._rng.random() * self._jitter_ns)
            heapq.heappush(self._flying, (arrival, next(self._sequence), source, destination, mad))


def first(kind: type[CmMessage], count: int = 1) -> Callable[[str, CmMessage], bool]:
    """Loses the first `count` messages of one kind."""
    left = count

    def lose(_source: str, message: CmMessage) -> bool:
        nonlocal left
        if isinstance(message, kind) and left:
            left -= 1
            return True
        return False

    return lose
