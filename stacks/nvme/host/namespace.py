"""A namespace as an initiator sees it: its size, and I/O of any length on it.

I/O larger than one command may move is split here; a `Transfer` gathers the pieces. Everything is started at once, the
queues keep the order and the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stacks.nvme.host import reservations
from stacks.nvme.host.command import HostCommand, Region, fuse
from stacks.nvme.host.copying import copy_batches, copy_command
from stacks.nvme.host.identity import NamespaceIdentity
from stacks.nvme.host.route import Route
from stacks.nvme.host.transfer import Done, Transfer
from stacks.runtime import LocalError
from wire.nvme.commands_codec import DatasetRange
from wire.nvme.identify_codec import IdentifyNamespace
from wire.nvme.opcodes import DatasetAttribute, IoOpcode
from wire.nvme.reservations import AcquireAction, PersistenceChange, RegisterAction, ReleaseAction, ReservationType


class HostNamespace:
    """A namespace.

    nsid: its number; block_bytes, block_count: its size; is_read_only: whether it says that it is write protected;
    identity: what tells it from others.
    compare_and_write_blocks: how many blocks `compare_and_write` takes at most, 0 where the controller has no pairs.
    Its operations start I/O and return at once; views are borrowed until `done`. Each raises LocalError for a range
    outside the namespace, data that is no whole number of blocks, or when there is no connection.
    """

    def __init__(self, host: Route, nsid: int) -> None:
        self.nsid = nsid
        self.block_bytes = 0
        self.block_count = 0
        self.is_read_only = False
        self.compare_and_write_blocks = 0
        self.data = IdentifyNamespace()
        self.identity = NamespaceIdentity()
        self._host = host
        self._largest_bytes = 0

    def describe(self, data: IdentifyNamespace, *, block_bytes: int) -> None:
        """Take over what Identify said."""
        self.data = data
        self.block_bytes = block_bytes
        self.block_count = data.nsze
        self._largest_bytes = min(self._host.max_transfer_bytes // block_bytes, BLOCKS_MAX) * block_bytes
        self.is_read_only = bool(data.nsattr & 1)

    def follow(self, route: Route) -> None:
        """Send commands another way from now on."""
        self._host = route

    @property
    def size_bytes(self) -> int:
        """Capacity in bytes."""
        return self.block_bytes * self.block_count

    def read(
        self, block: int, into: memoryview, *, region: Region | None = None, offset: int = 0, done: Done = None
    ) -> Transfer:
        """Read blocks from `block` on into `into`. region, offset: where that lies in registered memory."""
        return self._move(_READ, block, into, region=region, offset=offset, control=0, done=done)

    def write(
        self,
        block: int,
        data: memoryview,
        *,
        is_fua: bool = False,
        region: Region | None = None,
        offset: int = 0,
        done: Done = None,
    ) -> Transfer:
        """Write blocks. is_fua: they are on the medium when it is done."""
        control = FUA if is_fua else 0
        return self._move(_WRITE, block, data, region=region, offset=offset, control=control, done=done)

    def compare(self, block: int, data: memoryview, *, done: Done = None) -> Transfer:
        """Compare blocks with `data`; the status is COMPARE_FAILURE when they differ."""
        return self._move(_COMPARE, block, data, region=None, offset=0, control=0, done=done)

    def compare_and_write(
        self, block: int, expected: memoryview, data: memoryview, *, is_fua: bool = False, done: Done = None
    ) -> Transfer:
        """Write blocks if they hold `expected`, and let nothing come between; COMPARE_FAILURE, and they stay as they
        are, when they do not.

        expected, data: of the same length, at most `compare_and_write_blocks` blocks.
        """
        limit = self.compare_and_write_blocks
        if not limit:
            raise LocalError("the controller has no fused compare and write")
        self._check_data(len(data))
        blocks = len(data) // self.block_bytes
        if len(expected) != len(data) or blocks > limit:
            raise LocalError(f"compare and write takes two equal lengths of at most {limit} blocks")
        self._check_range(block, blocks)
        first = self._piece(_COMPARE, block, expected, region=None, offset=0, control=0)
        second = self._piece(_WRITE, block, data, region=None, offset=0, control=FUA if is_fua else 0)
        fuse(first, second)
        transfer = Transfer("compare and write", done)
        transfer.left = 2
        first.done = second.done = transfer.piece_done
        self._host.submit_pair(first)
        return transfer

    def flush(self, *, done: Done = None) -> Transfer:
        """Bring every write that is done onto the medium."""
        return self._send([HostCommand(IoOpcode.FLUSH.value, self.nsid)], "flush", done)

    def write_zeroes(self, block: int, blocks: int, *, done: Done = None) -> Transfer:
        """Make blocks read as zeroes, without sending any."""
        return self._send_ranged(IoOpcode.WRITE_ZEROES, block, blocks, control=DEALLOCATE, done=done)

    def verify(self, block: int, blocks: int, *, done: Done = None) -> Transfer:
        """Have the controller read blocks, to learn whether they can be read."""
        return self._send_ranged(IoOpcode.VERIFY, block, blocks, control=0, done=done)

    def write_uncorrectable(self, block: int, blocks: int, *, done: Done = None) -> Transfer:
        """Make blocks unreadable until they are written again."""
        return self._send_ranged(IoOpcode.WRITE_UNCORRECTABLE, block, blocks, control=0, done=done)

    def copy(
        self, block: int, ranges: Sequence[tuple[int, int]], *, is_fua: bool = False, done: Done = None
    ) -> Transfer:
        """Copy (block, blocks) ranges to `block` on, one behind the other, without moving any data over the fabric.

        What the controller does not do at once is split into several commands, which run side by side.
        """
        if not self.data.mssrl or not self.data.mcl:
            raise LocalError("the controller does not copy")
        if not ranges:
            raise LocalError("copy: no ranges")
        for source, blocks in ranges:
            self._check_range(source, blocks)
        self._check_range(block, sum(blocks for _, blocks in ranges))
        commands = []
        for batch in copy_batches(ranges, self.data):
            commands.append(copy_command(self.nsid, block, batch, control=FUA if is_fua else 0))
            block += sum(blocks for _, blocks in batch)
        return self._send(commands, "copy", done)

    def deallocate(self, ranges: Sequence[tuple[int, int]], *, done: Done = None) -> Transfer:
        """Give back the space of (block, blocks) ranges, at most 256 of them, each of less than 2^32 blocks."""
        if not 1 <= len(ranges) <= RANGES_MAX:
            raise LocalError(f"deallocate: {len(ranges)} ranges, but 1 to {RANGES_MAX} can be given")
        for block, blocks in ranges:
            self._check_range(block, blocks)
            if blocks > RANGE_BLOCKS_MAX:
                raise LocalError(f"deallocate: a range has {blocks} blocks; {RANGE_BLOCKS_MAX} is the most")
        data = b"".join(DatasetRange(slba=block, blocks=blocks).encode() for block, blocks in ranges)
        command = HostCommand(IoOpcode.DATASET_MANAGEMENT.value, self.nsid, data=memoryview(data))
        command.cdw10 = len(ranges) - 1
        command.cdw11 = DatasetAttribute.DEALLOCATE.value
        return self._send([command], "deallocate", done)

    def reservation_register(
        self,
        new_key: int = 0,
        *,
        key: int = 0,
        action: RegisterAction = RegisterAction.REGISTER,
        ignores_key: bool = False,
        persistence: PersistenceChange = PersistenceChange.KEEP,
        done: Done = None,
    ) -> Transfer:
        """Register this host's key with the namespace, replace it, or unregister.

        new_key: what to register, not 0. key: what is registered, for replacing and unregistering, unless
        `ignores_key`. persistence: whether reservations of the namespace outlive a loss of power.
        """
        command = reservations.register(
            self.nsid, key=key, new_key=new_key, action=action, ignores_key=ignores_key, persistence=persistence
        )
        return self._send([command], "reservation register", done)

    def reservation_acquire(
        self,
        key: int,
        kind: ReservationType,
        *,
        action: AcquireAction = AcquireAction.ACQUIRE,
        preempted_key: int = 0,
        done: Done = None,
    ) -> Transfer:
        """Reserve the namespace, or preempt whoever registered `preempted_key`. key: what this host has registered."""
        command = reservations.acquire(self.nsid, key=key, preempted_key=preempted_key, kind=kind, action=action)
        return self._send([command], "reservation acquire", done)

    def reservation_release(
        self, key: int, kind: int = 0, *, action: ReleaseAction = ReleaseAction.RELEASE, done: Done = None
    ) -> Transfer:
        """Release the reservation, which is of `kind`, or clear it and all registrations. key: what this host has
        registered.
        """
        command = reservations.release(self.nsid, key=key, kind=kind, action=action)
        return self._send([command], "reservation release", done)

    def reservation_report(self, *, done: Done = None) -> reservations.ReportTransfer:
        """Read who is registered and what is reserved; it is in `report` when done."""
        return reservations.ReportTransfer(self._host, self.nsid, done)

    def _move(
        self,
        opcode: int,
        block: int,
        data: memoryview,
        *,
        region: Region | None,
        offset: int,
        control: int,
        done: Done,
    ) -> Transfer:
        length, size = len(data), self.block_bytes
        if not length or length % size or block < 0 or block + length // size > self.block_count:
            self._check_data(length)
            self._check_range(block, length // size)
        limit = self._largest_bytes
        if length <= limit:
            # The usual case, without the steps between.
            transfer = Transfer(_NAMES[opcode], done)
            transfer.left = 1
            command = self._piece(opcode, block, data, region=region, offset=offset, control=control)
            command.done = transfer.piece_done
            self._host.submit_io(command)
            return transfer
        commands = [
            self._piece(
                opcode,
                block + at // size,
                data[at : at + limit],
                region=region,
                offset=offset + at,
                control=control,
            )
            for at in range(0, length, limit)
        ]
        return self._send(commands, _NAMES[opcode], done)

    def _piece(
        self, opcode: int, block: int, data: memoryview, *, region: Region | None, offset: int, control: int
    ) -> HostCommand:
        command = HostCommand(
            opcode,
            self.nsid,
            cdw10=block & 0xFFFFFFFF,
            cdw11=block >> 32,
            cdw12=len(data) // self.block_bytes - 1 | control,
            data=data,
            is_read=opcode == _READ,
        )
        command.region = region
        command.offset = offset
        return command

    def _send_ranged(self, opcode: IoOpcode, block: int, blocks: int, *, control: int, done: Done) -> Transfer:
        self._check_range(block, blocks)
        commands = []
        while blocks:
            count = min(blocks, BLOCKS_MAX)
            commands.append(self._ranged(opcode.value, block, count, control=control))
            block, blocks = block + count, blocks - count
        return self._send(commands, opcode.name.lower().replace("_", " "), done)

    def _ranged(self, opcode: int, block: int, blocks: int, *, control: int) -> HostCommand:
        return HostCommand(
            opcode,
            self.nsid,
            cdw10=block & 0xFFFFFFFF,
            cdw11=block >> 32,
            cdw12=blocks - 1 | control,
        )

    def _send(self, commands: Sequence[HostCommand], what: str, done: Done) -> Transfer:
        transfer = Transfer(what, done)
        transfer.left = len(commands)
        piece_done = transfer.piece_done
        for command in commands:
            command.done = piece_done
            self._host.submit_io(command)
        return transfer

    def _check_data(self, length: int) -> None:
        if not length or length % self.block_bytes:
            raise LocalError(f"{length} bytes are no whole number of {self.block_bytes}-byte blocks")

    def _check_range(self, block: int, blocks: int) -> None:
        if block < 0 or blocks < 1 or block + blocks > self.block_count:
            raise LocalError(f"blocks {block} to {block + blocks - 1} are not in a namespace of {self.block_count}")


def pick(namespaces: Mapping[int, HostNamespace], hidden: Mapping[int, str], nsid: int, nqn: str) -> HostNamespace:
    """A namespace by number, or (0) the only one; LocalError when there is none, or more than one.

    hidden: namespaces that cannot be used, with the reason; nqn: whose they are, for the message.
    """
    if nsid in namespaces:
        return namespaces[nsid]
    if not nsid and len(namespaces) == 1:
        return next(iter(namespaces.values()))
    numbers = ", ".join(map(str, sorted(namespaces)))
    has = f"namespaces {numbers}" if len(namespaces) > 1 else f"namespace {numbers}" if numbers else "none"
    if nsid in hidden:
        raise LocalError(f"{nqn}: namespace {nsid} cannot be used, {hidden[nsid]}")
    if nsid:
        raise LocalError(f"{nqn} has no namespace {nsid}; it has {has}")
    raise LocalError(f"{nqn} has {has}; say which, as in .../{nqn}/1")


FUA = 1 << 30
DEALLOCATE = 1 << 25
"""Bits of CDW12 in commands with an LBA range."""

BLOCKS_MAX = 1 << 16
RANGES_MAX = 256
RANGE_BLOCKS_MAX = (1 << 32) - 1

_READ, _WRITE, _COMPARE = IoOpcode.READ.value, IoOpcode.WRITE.value, IoOpcode.COMPARE.value
_NAMES = {_READ: "read", _WRITE: "write", _COMPARE: "compare"}
