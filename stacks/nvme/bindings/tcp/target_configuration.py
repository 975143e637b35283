"""What a program chooses about a target's TCP port, and what the port counts."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.runtime import Counters


@dataclass(frozen=True, slots=True)
class TcpTargetConfig:
    """Sizes of a target's port.

    in_capsule_bytes: data that the capsule of an I/O command may carry, a multiple of 16, 32 KiB at most.
    host_data_bytes: MAXH2CDATA, data of one H2CData PDU, a multiple of 4, 4096 at least.
    alignment: CPDA, how data towards us is aligned, 0-based dwords; Linux hosts take 0 only.
    digests: `TcpDigest`s that a host may ask for.
    connections_max: at a time. pending_max, pending_per_host: how many of them, in all and from one address, may be
    without Connect.
    shelves: (bytes, count) of the staging buffers; the largest is the largest transfer. Memory that is not used is not
    there.
    """

    in_capsule_bytes: int = 8192
    host_data_bytes: int = 1 << 20
    alignment: int = 0
    digests: int = 3
    connections_max: int = 512
    pending_max: int = 128
    pending_per_host: int = 16
    shelves: tuple[tuple[int, int], ...] = ((8 << 10, 4096), (128 << 10, 256), (1 << 20, 32))


@dataclass(slots=True, eq=False)
class TcpTargetCounters(Counters):
    """What a port counts; no standard names these."""

    connections_accepted: int = 0
    connections_rejected: int = 0
    connections_lost: int = 0
    connections_closed: int = 0
    capsules_received: int = 0
    responses_sent: int = 0
    header_digest_errors: int = 0
    data_digest_errors: int = 0
    terminations_sent: int = 0
    terminations_received: int = 0
