"""What is served: its name, its size, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.nvme.host import HostNamespace
from wire.nbd import PORTABLE_BYTES_MAX, STRING_BYTES_MAX, NbdInfoBlockSize, TransmissionFlag
from wire.nvme.identify_codec import IdentifyController


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export.

    name: what clients ask for; the empty name always stands for it, too. description: for people.
    block_bytes, size_bytes: a power of two, and a multiple of that.
    preferred_bytes: from what size on a request, aligned to that, is carried out well; a power of two.
    is_read_only: every change is refused. can_trim: whether space can be given back. can_write_zeroes: whether blocks
    become zero without sending any; otherwise they are sent.
    """

    name: str = ""
    description: str = ""
    block_bytes: int
    size_bytes: int
    preferred_bytes: int = 4096
    is_read_only: bool = False
    can_trim: bool = True
    can_write_zeroes: bool = True

    def flags(self, *, is_structured: bool) -> int:
        """`TransmissionFlag`s for a client with or without structured replies.

        CAN_MULTI_CONN holds since there is one backend for all clients, whose flush covers the writes of all.
        """
        flags = (
            TransmissionFlag.HAS_FLAGS
            | TransmissionFlag.SEND_FLUSH
            | TransmissionFlag.SEND_FUA
            | TransmissionFlag.CAN_MULTI_CONN
        )
        if is_structured:
            flags |= TransmissionFlag.SEND_DF
        if self.is_read_only:
            return int(flags | TransmissionFlag.READ_ONLY)
        flags |= TransmissionFlag.SEND_WRITE_ZEROES
        if self.can_write_zeroes:
            # No data is sent and none stored, so it is faster than a write (doc/proto.md, NBD_CMD_WRITE_ZEROES).
            flags |= TransmissionFlag.SEND_FAST_ZERO
        if self.can_trim:
            flags |= TransmissionFlag.SEND_TRIM
        return int(flags)

    @property
    def block_sizes(self) -> NbdInfoBlockSize:
        """What requests are to keep to: any byte can be the first, since parts of blocks are read and written, too."""
        return NbdInfoBlockSize(minimum=1, preferred=self.preferred_bytes, maximum=PORTABLE_BYTES_MAX)

    def goes_by(self, name: bytes) -> bool:
        """Whether a client means this export."""
        return not name or name == self.name.encode()


def export_of(
    namespace: HostNamespace,
    identity: IdentifyController,
    *,
    name: str = "",
    description: str = "",
    is_read_only: bool = False,
) -> Export:
    """A connected namespace as an export. identity: of its controller, which says which commands there are."""
    block = namespace.block_bytes
    granularity = (namespace.data.npwg + 1) * block if namespace.data.nsfeat & OPTIMAL_SIZES else block
    if granularity & granularity - 1 or granularity > PREFERRED_BYTES_MAX:
        granularity = block
    return Export(
        name=name,
        description=description[:STRING_BYTES_MAX],
        block_bytes=block,
        size_bytes=namespace.size_bytes,
        preferred_bytes=max(4096, granularity),
        is_read_only=is_read_only or namespace.is_read_only,
        can_trim=bool(identity.oncs & ONCS_DATASET_MANAGEMENT),
        can_write_zeroes=bool(identity.oncs & ONCS_WRITE_ZEROES),
    )


ONCS_DATASET_MANAGEMENT, ONCS_WRITE_ZEROES = 1 << 2, 1 << 3
"""Bits of ONCS (NVMe Base 2.0 figure 275)."""
OPTIMAL_SIZES = 1 << 4
"""OPTPERF of NSFEAT: NPWG holds (NVM Command Set 1.0 4.1.5.1)."""
PREFERRED_BYTES_MAX = 1 << 20
