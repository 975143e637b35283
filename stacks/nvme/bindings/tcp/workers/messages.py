"""What the owner of a target and its workers tell each other over a channel (`wire.nvme.worker_layout`).

worker -> owner                                     owner -> worker
COMMAND   a command, with the data of its capsule   RESPONSE  its completion, with the data for the host
REFUSED   one that the binding cannot take          FETCH     have its data sent by the host
DATA      the data that was asked for               CLOSE     end the connection behind what was answered
FAILED    it came damaged                           GIVE_UP   end it at once
MOVED     some of it has come
STOPPED   the connection takes no more commands
ENDED     it is no more; the data says why
"""

from __future__ import annotations

import enum

from wire.nvme.worker_codec import WorkerCommand, WorkerMessage


class Kind(enum.IntEnum):
    """Kinds of messages."""

    COMMAND = 1
    REFUSED = 2
    DATA = 3
    FAILED = 4
    MOVED = 5
    STOPPED = 6
    ENDED = 7
    RESPONSE = 8
    FETCH = 9
    CLOSE = 10
    GIVE_UP = 11


MESSAGE_BYTES, COMMAND_BYTES = WorkerMessage.SIZE, WorkerCommand.SIZE
WITH_ENTRY = frozenset((Kind.COMMAND.value, Kind.REFUSED.value))
"""Kinds that are a `WorkerCommand`."""
