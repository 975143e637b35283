"""Which commands each type of controller has: the tables in which its queues look opcodes up.

Log page 05h is made from them, so what is added here is reported there.

Follows NVM Express Base 2.0 3.1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.nvme.target.admin import ADMIN_HANDLERS
from stacks.nvme.target.command import Command
from stacks.nvme.target.io_commands import IO_HANDLERS
from wire.nvme.kinds import ControllerType

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue

Handlers = Mapping[int, "Callable[[Queue, Command], None]"]


@dataclass(frozen=True, slots=True)
class HandlerTables:
    """Handlers by opcode: of the admin queue, and of I/O queues."""

    admin: Handlers
    io: Handlers


NO_TABLES = HandlerTables({}, {})
"""Of a queue that is not connected."""

TABLES: dict[ControllerType, HandlerTables] = {
    ControllerType.IO: HandlerTables(ADMIN_HANDLERS, IO_HANDLERS),
    ControllerType.DISCOVERY: HandlerTables(ADMIN_HANDLERS, {}),
    ControllerType.ADMINISTRATIVE: HandlerTables(ADMIN_HANDLERS, {}),
}
