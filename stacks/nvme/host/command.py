"""A command of an initiator, from submission to completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.host.errors import CommandFailed
from wire.nvme.opcodes import FLAGS_SGL, AdminOpcode, FabricsType, Fuse
from wire.nvme.status import is_do_not_retry

if TYPE_CHECKING:
    from stacks.nvme.buffers import Buffer
    from stacks.nvme.host.queue import HostQueue


class Region:
    """Memory of a program that a binding has registered, so that data moves without a copy.

    view: all of it; address, key: how the fabric names it. owner: who registered it, None where that means nothing.
    others: the same memory as others have registered it.
    """

    __slots__ = ("address", "key", "others", "owner", "view")

    def __init__(self, view: memoryview, address: int, key: int, *, owner: object = None) -> None:
        self.view = view
        self.address = address
        self.key = key
        self.owner = owner
        self.others: tuple[Region, ...] = ()

    def of(self, owner: object) -> Region | None:
        """The region as `owner` has it; None when it has not registered this memory."""
        return next((each for each in (self, *self.others) if each.owner is owner), None)


class HostCommand:
    """One command. `done` is called with it when it is over, whatever the outcome.

    opcode, flags, nsid, cdw10 to cdw15: what goes into the submission entry; a fabrics command has FCTYPE for nsid.
    partner: of the first command of a fused pair, the second (`fuse`); None otherwise.
    data: the memory that data comes from or goes to, or None; borrowed until `done`.
    is_read: data goes from the controller to the host.
    region, offset: where `data` lies in registered memory; without a region the binding copies through its own.
    status: a `StatusCode` when done, 0 for success; status_word: all of it, with DNR and CRD; dw0, dw1: of the
    completion entry.
    Set on the way: queue, cid, buffer (staging memory of the binding), submitted_ns; tries: how often it was sent again
    because of what a controller answered.
    """

    __slots__ = (
        "buffer",
        "cdw10",
        "cdw11",
        "cdw12",
        "cdw13",
        "cdw14",
        "cdw15",
        "cid",
        "data",
        "done",
        "dw0",
        "dw1",
        "flags",
        "is_read",
        "nsid",
        "offset",
        "opcode",
        "partner",
        "queue",
        "region",
        "status",
        "status_word",
        "submitted_ns",
        "tries",
    )

    def __init__(
        self,
        opcode: int,
        nsid: int = 0,
        *,
        cdw10: int = 0,
        cdw11: int = 0,
        cdw12: int = 0,
        data: memoryview | None = None,
        is_read: bool = False,
        done: Callable[[HostCommand], None] | None = None,
    ) -> None:
        self.opcode = opcode
        self.flags = FLAGS_SGL
        self.nsid = nsid
        self.cdw10 = cdw10
        self.cdw11 = cdw11
        self.cdw12 = cdw12
        self.cdw13 = self.cdw14 = self.cdw15 = 0
        self.data = data
        self.is_read = is_read
        self.done = done
        self.region: Region | None = None
        self.offset = 0
        self.status = self.status_word = 0
        self.dw0 = self.dw1 = 0
        self.partner: HostCommand | None = None
        self.cid = -1
        self.queue: HostQueue | None = None
        self.buffer: Buffer | None = None
        self.submitted_ns = 0
        self.tries = 0

    @property
    def is_fused(self) -> bool:
        """Whether it is one of a fused pair. None of these is ever sent again: alone it would be another command, and a
        pair that was perhaps done would fail to compare.
        """
        return self.flags != FLAGS_SGL

    def fits(self) -> bool:
        """Whether every field fits into its place in a submission entry."""
        words = (self.nsid, self.cdw10, self.cdw11, self.cdw12, self.cdw13, self.cdw14, self.cdw15)
        return 0 <= self.opcode <= 0xFF and all(0 <= word <= 0xFFFFFFFF for word in words)

    def renew(self) -> None:
        """Make it as it was before it was submitted, to be sent again."""
        self.cid = -1
        self.status = self.status_word = 0
        self.dw0 = self.dw1 = 0

    def check(self, what: str, *, is_io: bool = False) -> None:
        """Raise CommandFailed when the status is not success; what: what was tried, for the message."""
        if self.status:
            is_final = is_do_not_retry(self.status_word)
            raise CommandFailed(what, self.status, dw0=self.dw0, is_io=is_io, is_final=is_final)


def fuse(first: HostCommand, second: HostCommand) -> None:
    """Make a fused pair of two commands; they are submitted together (`HostQueue.submit_pair`)."""
    first.flags |= Fuse.FIRST.value
    second.flags |= Fuse.SECOND.value
    first.partner = second


def property_get(offset: int, *, size: int = 4) -> HostCommand:
    """Property Get; the value is in DW0, and DW1 when it has 8 bytes."""
    return HostCommand(AdminOpcode.FABRICS.value, FabricsType.PROPERTY_GET, cdw10=int(size == 8), cdw11=offset)


def property_set(offset: int, value: int) -> HostCommand:
    """Property Set of a property of 4 bytes."""
    return HostCommand(AdminOpcode.FABRICS.value, FabricsType.PROPERTY_SET, cdw11=offset, cdw12=value)


def identify(cns: int, into: memoryview, *, nsid: int = 0, csi: int = 0) -> HostCommand:
    """Identify, 4096 bytes into `into`."""
    return HostCommand(AdminOpcode.IDENTIFY.value, nsid, cdw10=cns, cdw11=csi << 24, data=into, is_read=True)


def get_log_page(
    page: int,
    into: memoryview,
    *,
    offset: int = 0,
    nsid: int = 0,
    retain: bool = False,
    parameter: int = 0,
    csi: int = 0,
) -> HostCommand:
    """Get Log Page, as many bytes as `into` holds, a multiple of 4.

    retain: RAE, the event stays masked; parameter: LSP, seven bits that mean something to some pages.
    """
    dwords = len(into) // 4 - 1
    command = HostCommand(AdminOpcode.GET_LOG_PAGE.value, nsid, data=into, is_read=True)
    command.cdw10 = page | parameter << 8 | retain << 15 | (dwords & 0xFFFF) << 16
    command.cdw11 = dwords >> 16
    command.cdw12, command.cdw13 = offset & 0xFFFFFFFF, offset >> 32
    command.cdw14 = csi << 24
    return command


def set_features(
    fid: int, value: int, *, nsid: int = 0, data: memoryview | None = None, is_saved: bool = False
) -> HostCommand:
    """Set Features with a value in CDW11. data: what goes beside it; is_saved: SV, keep it through resets."""
    return HostCommand(AdminOpcode.SET_FEATURES.value, nsid, cdw10=fid | is_saved << 31, cdw11=value, data=data)


def get_features(
    fid: int, *, select: int = 0, value: int = 0, nsid: int = 0, into: memoryview | None = None
) -> HostCommand:
    """Get Features; the value is in DW0. value: CDW11, which some features need; into: where data beside it goes."""
    command = HostCommand(AdminOpcode.GET_FEATURES.value, nsid, cdw10=fid | select << 8, cdw11=value)
    command.data, command.is_read = into, into is not None
    return command


def abort(command: HostCommand) -> HostCommand:
    """Abort a command that is under way on a queue."""
    assert command.queue is not None
    return HostCommand(AdminOpcode.ABORT.value, cdw10=command.queue.qid | command.cid << 16)
