"""Fabrics commands: Connect makes a controller or joins one, Property Get and Set reach its registers, Disconnect ends
an I/O queue.

Follows NVMe over Fabrics 1.1 3 (NVMe Base 2.0 6); statuses as Linux nvmet gives them where the document leaves a
choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.controller import QUEUE_ENTRIES_MAX, Controller
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.features import IO_QUEUES_MAX
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.opcodes import CNTLID_DYNAMIC, ConnectAttribute, FabricsType
from wire.nvme.properties import PropertyOffset, PropertySize
from wire.nvme.status import StatusCode
from wire.nvme.text import padded_text

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def connect(queue: Queue, command: Command) -> None:
    """The first command of every queue; anything else on a fresh queue is an invalid opcode."""
    words = command.words
    if words[1] & 0xFF != FabricsType.CONNECT:
        raise CommandError(StatusCode.INVALID_OPCODE, "a queue starts with Connect", location=4)
    if words[10] & 0xFFFF:
        raise CommandError(StatusCode.CONNECT_INCOMPATIBLE_FORMAT, "RECFMT is not 0", location=40)
    queue.require_length(command, ConnectData.SIZE)
    queue.begin_connect()
    queue.receive_data(command, ConnectData.SIZE, _connect_with_data)


def _connect_with_data(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    assert command.view is not None
    try:
        data = ConnectData.decode(command.view)
        qid, entries = command.words[10] >> 16, (command.words[11] & 0xFFFF) + 1
        if queue.expected_qid not in (None, qid):
            raise _invalid("QID differs from the connection's", 42)
        if not 2 <= entries <= QUEUE_ENTRIES_MAX:
            raise _invalid(f"{entries} entries", 44)
        controller = _join(queue, data, qid) if qid else _create(queue, command, data)
    except CommandError as error:
        queue.connect_refused()
        queue.fail(command, error.code, dw0=error.dw0, location=error.location)
        return
    has_flow_control = not command.words[11] >> 16 & ConnectAttribute.DISABLE_SQ_FLOW_CONTROL.value
    queue.connected(controller, qid, entries=entries, has_flow_control=has_flow_control)
    command.dw0 = controller.cntlid
    queue.complete(command)


def _create(queue: Queue, command: Command, data: ConnectData) -> Controller:
    if data.cntlid != CNTLID_DYNAMIC:
        raise _invalid("CNTLID of an admin queue is not FFFF", 16, in_data=True)
    host_nqn, subsystem_nqn = padded_text(data.hostnqn), padded_text(data.subnqn)
    target = queue.port.target
    subsystem = target.subsystems.get(subsystem_nqn)
    if subsystem is None:
        raise _invalid(f"no subsystem {subsystem_nqn}", 256, in_data=True)
    if not host_nqn or b"\0" not in data.hostnqn:
        raise _invalid("no host NQN", 512, in_data=True)
    if not subsystem.admits(host_nqn):
        raise CommandError(
            StatusCode.CONNECT_INVALID_HOST, f"{host_nqn} may not connect", dw0=512 | IATTR_DATA, location=None
        )
    cntlid = subsystem.next_cntlid()
    if not cntlid:
        raise CommandError(StatusCode.CONNECT_CONTROLLER_BUSY, "no controller ID is free")
    controller = Controller(
        subsystem, queue.port, cntlid, host_nqn=host_nqn, host_id=data.hostid, kato_ms=command.words[12]
    )
    subsystem.controllers[cntlid] = controller
    subsystem.controllers_made += 1
    controller.admin_queue = queue
    return controller


def _join(queue: Queue, data: ConnectData, qid: int) -> Controller:
    subsystem = queue.port.target.subsystems.get(padded_text(data.subnqn))
    if subsystem is None:
        raise _invalid("no such subsystem", 256, in_data=True)
    controller = subsystem.controllers.get(data.cntlid)
    if controller is None or controller.port is not queue.port:
        raise _invalid(f"no controller {data.cntlid}", 16, in_data=True)
    if padded_text(data.hostnqn) != controller.host_nqn:
        raise _invalid("another host's controller", 512, in_data=True)
    if data.hostid != controller.host_id:
        raise _invalid("another host's controller", 0, in_data=True)
    if not controller.is_ready or subsystem.is_discovery:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the controller is not enabled")
    if qid > IO_QUEUES_MAX:
        raise _invalid(f"queue {qid}", 42)
    if qid in controller.io_queues:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, f"queue {qid} is connected already")
    controller.io_queues[qid] = queue
    return controller


def admin_fabrics(queue: Queue, command: Command) -> None:
    """A fabrics command on a connected admin queue."""
    kind = command.words[1] & 0xFF
    handler = _ADMIN_HANDLERS.get(kind)
    if handler is None:
        # A second Connect is out of sequence; the others (Disconnect, authentication) do not belong here.
        is_connect = kind == FabricsType.CONNECT
        code = StatusCode.COMMAND_SEQUENCE_ERROR if is_connect else StatusCode.INVALID_OPCODE
        raise CommandError(code, f"fabrics command {kind:#x} on an admin queue", location=4)
    handler(queue, command)


def io_fabrics(queue: Queue, command: Command) -> None:
    """A fabrics command on a connected I/O queue: Disconnect and nothing else."""
    kind = command.words[1] & 0xFF
    if kind == FabricsType.CONNECT:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the queue is connected already", location=4)
    if kind != FabricsType.DISCONNECT:
        raise CommandError(StatusCode.INVALID_OPCODE, f"fabrics command {kind:#x} on an I/O queue", location=4)
    if command.words[10] & 0xFFFF:
        raise CommandError(StatusCode.CONNECT_INCOMPATIBLE_FORMAT, "RECFMT is not 0", location=40)
    queue.complete(command)
    queue.ask_to_close()


def _property_get(queue: Queue, command: Command) -> None:
    assert queue.controller is not None
    value, size = queue.controller.property(command.words[11])
    _check_size(command, size)
    command.answer(value)
    queue.complete(command)


def _property_set(queue: Queue, command: Command) -> None:
    words, controller = command.words, queue.controller
    assert controller is not None
    if words[11] != PropertyOffset.CC:
        raise CommandError(StatusCode.INVALID_FIELD, f"property {words[11]:#x} cannot be set", location=44)
    _check_size(command, 4)
    controller.configure(words[12])
    queue.complete(command)


def _check_size(command: Command, size: int) -> None:
    attribute = PropertySize.EIGHT_BYTES if size == 8 else PropertySize.FOUR_BYTES
    if command.words[10] & 7 != attribute:
        raise CommandError(StatusCode.INVALID_FIELD, "the property has another size", location=40)


def _invalid(reason: str, offset: int, *, in_data: bool = False) -> CommandError:
    code = StatusCode.CONNECT_INVALID_PARAMETERS
    if in_data:
        return CommandError(code, reason, dw0=offset | IATTR_DATA)
    return CommandError(code, reason, dw0=offset, location=offset)


IATTR_DATA = 1 << 16
"""DW0 of a refused Connect: the offset is one in the data."""

_ADMIN_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    FabricsType.PROPERTY_GET.value: _property_get,
    FabricsType.PROPERTY_SET.value: _property_set,
}
