"""Connect: the first command of every queue, which makes a controller or joins one.

A dynamic controller for every admin queue, however many a host already has: one whose old association is lost and not
yet given up gets a new controller beside the old one. An I/O queue belongs to the port of its admin queue.

Follows NVMe over Fabrics 1.1 3.3 (NVMe Base 2.0 3.1.2, 6.3); statuses, and the parameter that each one names, as Linux
nvmet gives them where the document leaves a choice.

DEVIATION: a KATO of 0 is taken from a host of an I/O controller, though NVMe Base 2.0 3.9.1 would have it refused where
the transport asks for keep-alive: Linux and nvme-cli use it, and nvmet and SPDK take it.
DEVIATION: the end of an I/O queue's connection does not end the association of a host that did not set bit 3 of CATTR.
Linux never sets it, closes its I/O queues first, and shuts the controller down after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.controller import Controller
from stacks.nvme.target.controller_kind import QUEUE_ENTRIES_MAX
from stacks.nvme.target.errors import CommandError
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.opcodes import CNTLID_DYNAMIC, NQN_MAX_BYTES, ConnectAttribute, FabricsType
from wire.nvme.status import StatusCode
from wire.nvme.text import padded_text

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


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
            raise _invalid("QID differs from the connection's", _QID)
        if not 2 <= entries <= QUEUE_ENTRIES_MAX:
            raise _invalid(f"{entries} entries", _SQSIZE)
        subsystem = _subsystem_of(queue, data)
        controller = _join(queue, subsystem, data, qid) if qid else _create(queue, subsystem, data, command)
    except CommandError as error:
        queue.connect_refused()
        queue.fail(command, error.code, dw0=error.dw0, location=error.location)
        return
    has_flow_control = not command.words[11] >> 16 & ConnectAttribute.DISABLE_SQ_FLOW_CONTROL.value
    queue.connected(controller, qid, entries=entries, has_flow_control=has_flow_control)
    command.dw0 = controller.cntlid
    queue.complete(command)


def _subsystem_of(queue: Queue, data: ConnectData) -> Subsystem:
    port = queue.port
    subsystem = port.target.find_subsystem(padded_text(data.subnqn))
    if subsystem is None or not port.reaches(subsystem):
        raise _invalid("no such subsystem at this port", _SUBNQN, in_data=True)
    return subsystem


def _create(queue: Queue, subsystem: Subsystem, data: ConnectData, command: Command) -> Controller:
    if data.cntlid != CNTLID_DYNAMIC:
        # FFFE asks for any static controller, and there are none.
        raise _invalid("CNTLID of an admin queue is not FFFF", _CNTLID, in_data=True)
    host_nqn = _host_nqn(data)
    if not subsystem.admits(host_nqn):
        raise CommandError(StatusCode.CONNECT_INVALID_HOST, f"{host_nqn} may not connect", dw0=_HOSTNQN | IATTR_DATA)
    cntlid = subsystem.next_cntlid()
    if not cntlid:
        raise CommandError(StatusCode.CONNECT_CONTROLLER_BUSY, "no controller is free")
    controller = Controller(
        subsystem, queue.port, cntlid, host_nqn=host_nqn, host_id=data.hostid, kato_ms=command.words[12]
    )
    controller.admin_queue = queue
    queue.port.target.begin_controller(controller)
    return controller


def _join(queue: Queue, subsystem: Subsystem, data: ConnectData, qid: int) -> Controller:
    controller = subsystem.controllers.get(data.cntlid)
    if controller is None or controller.port is not queue.port:
        raise _invalid(f"no controller {data.cntlid}", _CNTLID, in_data=True)
    if _host_nqn(data) != controller.host_nqn:
        raise _invalid("another host's controller", _HOSTNQN, in_data=True)
    if data.hostid not in (controller.host_id, _NO_HOST_ID):
        raise _invalid("another host's controller", _HOSTID, in_data=True)
    if qid > controller.kind.io_queues_max:
        raise _invalid(f"queue {qid}", _QID)
    if not controller.is_ready:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the controller is not enabled")
    if qid in controller.io_queues:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, f"queue {qid} is connected already")
    controller.io_queues[qid] = queue
    return controller


def _host_nqn(data: ConnectData) -> str:
    # The text of a host's name decides what it may do, so it must be one text and no other.
    name, end, _ = data.hostnqn.partition(b"\0")
    try:
        text = name.decode().rstrip(" ")
    except UnicodeDecodeError:
        text = ""
    if not text or not end or len(name) > NQN_MAX_BYTES:
        raise _invalid("no host NQN", _HOSTNQN, in_data=True)
    return text


def _invalid(reason: str, offset: int, *, in_data: bool = False) -> CommandError:
    code = StatusCode.CONNECT_INVALID_PARAMETERS
    if in_data:
        return CommandError(code, reason, dw0=offset | IATTR_DATA)
    return CommandError(code, reason, dw0=offset, location=offset)


IATTR_DATA = 1 << 16
"""DW0 of a refused Connect: the offset is one in the data."""

_QID, _SQSIZE = 42, 44
"""Offsets in the submission entry."""

_HOSTID, _CNTLID, _SUBNQN, _HOSTNQN = 0, 16, 256, 512
"""Offsets in the data."""

_NO_HOST_ID = bytes(16)
"""On an I/O queue: as on the admin queue (NVMe Base 2.0 6.3)."""
