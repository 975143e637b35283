"""A command of a target's connection, with what it takes to move its data and its answer over TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.parameters import DIGEST_BYTES
from stacks.nvme.bindings.tcp.served import ServedCommand

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.target_connection import TcpTargetConnection


class TcpTargetCommand(ServedCommand):
    """A command; used again for each capsule that it stands for.

    headers: room for the headers of its data and its completion; completion: the part of it for a completion without
    a digest.
    received_bytes: data of the host that has come so far; is_damaged: its digest was wrong.
    pins: of the buffer that its in-capsule data lies in.
    """

    __slots__ = ("completion", "headers", "is_damaged", "pins", "received_bytes")

    def __init__(self, connection: TcpTargetConnection, tag: int) -> None:
        super().__init__(connection, tag)
        self.headers = memoryview(bytearray(COMPLETION_END))
        self.completion = self.headers[DATA_HEADER_BYTES:-DIGEST_BYTES]
        self.received_bytes = 0
        self.is_damaged = False
        self.pins: list[int] | None = None


DATA_HEADER_BYTES = 128 + DIGEST_BYTES
"""Of a C2HData PDU with digest and the most padding that a host can ask for."""
COMPLETION_END = DATA_HEADER_BYTES + 24 + DIGEST_BYTES
