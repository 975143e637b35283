"""The server: any number of clients of one export, as an endpoint for a stream pump.

    handle_accepted -> NbdConnection -> Handshake, Transmission -> backend
    backend -> Answers -> NbdConnection.touch -> poll_active

One backend serves all clients, and each client's requests, memory and pace are his own.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.nbd.answers import Answers
from stacks.nvme.nbd.backend import Backend, Register
from stacks.nvme.nbd.changes import Changes
from stacks.nvme.nbd.client_state import ClientState
from stacks.nvme.nbd.configuration import NbdConfig, NbdCounters
from stacks.nvme.nbd.connection import NbdConnection
from stacks.nvme.nbd.export import Export
from stacks.nvme.nbd.replies import Replies
from stacks.nvme.nbd.request import HEAD_BYTES
from stacks.nvme.nbd.transmission import Transmission
from stacks.runtime import LocalError
from transports.datagram import Address
from transports.stream import StreamCore
from wire.nbd import PORTABLE_BYTES_MAX


class NbdServer:
    """A `StreamEndpoint`.

    backend: what is served, as `export`. register: registers memory of requests with what moves data below, if that
    spares a copy. LocalError for limits that cannot hold.
    """

    def __init__(
        self, backend: Backend, export: Export, *, config: NbdConfig | None = None, register: Register | None = None
    ) -> None:
        self.export = export
        self.config = config or NbdConfig()
        self.counters = NbdCounters()
        if self.config.client_bytes < 2 * export.block_bytes + PORTABLE_BYTES_MAX + HEAD_BYTES:
            raise LocalError(f"client_bytes is {self.config.client_bytes}, less than the largest request needs")
        self.is_stopping = False
        self._changes = Changes(backend, export, self.counters)
        self._register = register
        self._clients: dict[NbdConnection, None] = {}
        self._leaving: dict[NbdConnection, None] = {}
        self._shaking: dict[NbdConnection, None] = {}
        self._active: list[NbdConnection] = []
        self._now = 0

    @property
    def clients(self) -> Sequence[NbdConnection]:
        """Who is connected."""
        return list(self._clients)

    @property
    def is_drained(self) -> bool:
        """Whether nobody is connected, and nothing is under way for those who were."""
        return not self._clients and not any(client.under_way for client in self._leaving)

    def stop(self) -> None:
        """End: what is under way is finished and answered, then connections are closed, and nobody may come."""
        self.is_stopping = True
        for client in list(self._clients):
            client.stop()

    # The endpoint's verbs

    def tick(self, now: int) -> None:
        """Note the time."""
        self._now = now

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        """A server connects to nobody."""
        return ()

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:  # noqa: ARG002
        """A client came; None when there are enough, or the end is near."""
        self._now = now
        if self.is_stopping or len(self._clients) >= self.config.clients:
            self.counters.clients_refused += 1
            return None
        self.counters.clients_accepted += 1
        client = NbdConnection(self, remote, now + self.config.handshake_ns)
        self._clients[client] = self._shaking[client] = None
        return client

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        """Clients with something to send, to read on with, or to end."""
        self._now = now
        if not self._active:
            return ()
        active, self._active = self._active, []
        for client in active:
            client.go_on()
            # Not before: what it says in there of itself is no news.
            client.is_touched = False
        return active

    def handle_timeout(self, now: int) -> None:
        """Who is too slow to use the export is turned away."""
        self._now = now
        for client in list(self._shaking):
            if client.deadline_ns > now:
                break
            del self._shaking[client]
            if client.state is ClientState.HANDSHAKE:
                self.counters.clients_timed_out += 1
                client.time_out()

    def poll_deadline(self) -> int | None:
        """The earliest handshake's; at once while somebody is to be looked at."""
        if self._active:
            return self._now
        for client in self._shaking:
            return client.deadline_ns
        return None

    # What clients tell

    def touched(self, client: NbdConnection) -> None:
        """It is to be looked at."""
        self._active.append(client)

    def transmission(
        self, client: NbdConnection, replies: Replies, *, is_structured: bool
    ) -> tuple[Answers, Transmission]:
        """It begins to use the export."""
        self._shaking.pop(client, None)
        config, counters, changes = self.config, self.counters, self._changes
        answers = Answers(
            replies,
            client.touch,
            changes.claims,
            block_bytes=self.export.block_bytes,
            config=config,
            counters=counters,
            is_structured=is_structured,
            register=self._register,
        )
        return answers, Transmission(changes, answers, config=config, counters=counters)

    def over(self, client: NbdConnection) -> None:
        """Its connection is to be closed."""
        self._shaking.pop(client, None)
        self._clients.pop(client, None)
        for left in list(self._leaving):
            if not left.under_way:
                del self._leaving[left]
        if client.under_way:
            self._leaving[client] = None
