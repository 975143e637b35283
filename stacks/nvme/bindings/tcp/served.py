"""What a target's port needs of a connection: one of its own, or one whose bytes another process moves."""

from __future__ import annotations

from typing import Protocol

from stacks.nvme.bindings.tcp.patience import Debt
from stacks.nvme.target.command import Command
from stacks.nvme.target.queue import Queue
from transports.datagram import Address
from transports.stream import StreamCore


class ServedConnection(Protocol):
    """A connection of a host. queue: its queue; is_gone: it takes no more commands, and needs no answers."""

    queue: Queue
    remote: Address
    is_gone: bool
    deadline_ns: int | None

    @property
    def core(self) -> StreamCore:
        """What has something to send when the connection has."""

    @property
    def is_connected(self) -> bool:
        """Whether Connect has succeeded."""

    @property
    def can_end(self) -> bool:
        """Whether every command has its answer, and the answers are on their way."""

    def debt(self, now: int) -> Debt | None:
        """What the host owes: to take what is there, or to send what it was asked for."""

    def fetch(self, command: ServedCommand) -> None:
        """Ask the host for the data of a command."""

    def answer(self, command: ServedCommand) -> None:
        """Send a command's data, if it has any for the host, and its completion."""

    def stop(self) -> None:
        """No more commands: those with the core or a store end silently."""

    def finish(self, deadline_ns: int) -> None:
        """Tell the host that nothing follows, and wait for it to close until `deadline_ns`."""

    def give_up(self) -> None:
        """End the connection at once."""

    def drop(self) -> None:
        """The connection is gone: what was to be sent is not."""


class ServedCommand(Command):
    """A command of a connection. connection: where it came from; tag: its number there, and its TTAG.

    fetched_ns: when its data was asked for.
    """

    __slots__ = ("connection", "fetched_ns", "tag")

    def __init__(self, connection: ServedConnection, tag: int) -> None:
        super().__init__()
        self.connection = connection
        self.tag = tag
        self.fetched_ns = 0
