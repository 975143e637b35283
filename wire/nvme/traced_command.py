"""One NVMe command as a capture shows it, whatever transport carried it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.opcodes import AdminOpcode, FabricsType, IoOpcode


class TracedConnection(Protocol):
    """What carries the commands of one queue."""

    @property
    def qid(self) -> int:
        """Number of the queue, 0 for the admin queue."""


@dataclass(slots=True, eq=False)
class TracedCommand:
    """One command.

    frame: number of the packet that completed its capsule; capsule: entry and in-capsule data, as sent; data: what was
    transferred besides, in place; data_frames: the packets that carried it, or completed what did; to_host: its
    direction. completion: 16 bytes, empty while there is none; invalidated: the key that came with it, if one did.
    """

    queue: TracedConnection
    frame: int
    capsule: bytes
    data: bytearray = field(default_factory=bytearray)
    data_frames: list[int] = field(default_factory=list)
    to_host: bool = False
    completion: bytes = b""
    completion_frame: int = 0
    invalidated: int | None = None

    @property
    def entry(self) -> SubmissionEntry:
        """The submission entry."""
        return SubmissionEntry.decode(self.capsule)

    @property
    def in_capsule(self) -> bytes:
        """The data that came with the entry."""
        return self.capsule[SubmissionEntry.SIZE :]

    @property
    def name(self) -> str:
        """`CONNECT`, `IDENTIFY`, `READ`, ...: the name in its enum, or the opcode in hexadecimal."""
        opcode, fctype = self.capsule[0], self.capsule[4]
        if opcode == AdminOpcode.FABRICS:
            return FABRICS_NAMES.get(fctype, f"FABRICS {fctype:#04x}")
        return (IO_NAMES if self.queue.qid else ADMIN_NAMES).get(opcode, f"{opcode:#04x}")

    def place(self, frame: int, offset: int, payload: bytes) -> None:
        """Note data that a packet brought."""
        end = offset + len(payload)
        self.data.extend(bytes(max(0, end - len(self.data))))
        self.data[offset:end] = payload
        self.data_frames.append(frame)


FABRICS_NAMES = {kind.value: kind.name for kind in FabricsType}
ADMIN_NAMES = {opcode.value: opcode.name for opcode in AdminOpcode}
IO_NAMES = {opcode.value: opcode.name for opcode in IoOpcode}
