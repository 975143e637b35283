"""What a program chooses about a target's TCP port, and what the port counts."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.nvme.bindings.tcp.parameters import ALIGNMENT_MAX, HOST_DATA_BYTES_MIN, IN_CAPSULE_BYTES_MAX
from stacks.runtime import Counters, LocalError
from wire.nvme.kinds import TcpDigest


@dataclass(frozen=True, slots=True)
class TcpTargetConfig:
    """Sizes of a target's port.

    in_capsule_bytes: data that the capsule of an I/O command may carry, a multiple of 16, 32 KiB at most.
    host_data_bytes: MAXH2CDATA, data of one H2CData PDU, a multiple of 4, 4096 at least.
    alignment: CPDA, how data towards us is aligned, 0-based dwords; Linux hosts take 0 only.
    digests: `TcpDigest`s that a host may ask for.
    connections_max, connections_per_host: at a time, in all and from one address. pending_max, pending_per_host: how
    many of them may be without Connect.
    shelves: (bytes, count) of the staging buffers; the largest is the largest transfer. Memory that is not used is not
    there.
    patience_ns: how long a host may take to read what is there for it, to send data that it was asked for, or to go on
    with a PDU; pressed_ns: how long it may do nothing about the first two while another host waits for a buffer.
    shortcuts: take commands in runs where they come so; without, each goes through every step of its own.

    LocalError for a value out of its range.
    """

    in_capsule_bytes: int = 8192
    host_data_bytes: int = 1 << 20
    alignment: int = 0
    digests: int = 3
    connections_max: int = 512
    connections_per_host: int = 448
    pending_max: int = 128
    pending_per_host: int = 16
    shelves: tuple[tuple[int, int], ...] = ((8 << 10, 4096), (128 << 10, 256), (1 << 20, 32))
    patience_ns: int = 30 * 10**9
    pressed_ns: int = 2 * 10**9
    shortcuts: bool = True

    def __post_init__(self) -> None:
        if self.in_capsule_bytes % 16 or not 0 <= self.in_capsule_bytes <= IN_CAPSULE_BYTES_MAX:
            raise LocalError(f"in_capsule_bytes is {self.in_capsule_bytes}, not a multiple of 16 up to 32 KiB")
        if self.host_data_bytes % 4 or not HOST_DATA_BYTES_MIN <= self.host_data_bytes < 1 << 32:
            raise LocalError(f"host_data_bytes is {self.host_data_bytes}, not a multiple of 4 from 4096 on")
        if not 0 <= self.alignment <= ALIGNMENT_MAX:
            raise LocalError(f"alignment is {self.alignment}, not 0 to {ALIGNMENT_MAX}")
        if not 0 <= self.digests <= (TcpDigest.HEADER | TcpDigest.DATA):
            raise LocalError(f"digests are {self.digests}, which are no TcpDigests")


@dataclass(slots=True, eq=False)
class TcpTargetCounters(Counters):
    """What a port counts; no standard names these."""

    connections_accepted: int = 0
    connections_rejected: int = 0
    connections_lost: int = 0
    connections_stalled: int = 0
    connections_closed: int = 0
    capsules_received: int = 0
    responses_sent: int = 0
    header_digest_errors: int = 0
    data_digest_errors: int = 0
    terminations_sent: int = 0
    terminations_received: int = 0
