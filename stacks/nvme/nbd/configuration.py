"""What a server allows its clients, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.runtime import Counters


@dataclass(frozen=True, slots=True)
class NbdConfig:
    """Limits, each of which holds for one client whatever the others do.

    clients: how many there may be; who comes then is turned away. client_bytes: memory for the data of one client's
    requests, more than the largest request. client_requests: how many of his are under way, their replies
    included. Who has used up either is not read from until something is done; nobody else waits for him.
    handshake_ns: how long a client may take until he uses the export.
    """

    clients: int = 32
    client_bytes: int = 40 << 20
    client_requests: int = 256
    handshake_ns: int = 10 * 10**9


@dataclass(slots=True, eq=False)
class NbdCounters(Counters):
    """What became of requests; bytes are of data.

    errors: replies that say one; unaligned: changes of parts of blocks; waits: requests that could not begin at once.
    """

    clients_accepted: int = 0
    clients_refused: int = 0
    clients_timed_out: int = 0
    protocol_errors: int = 0
    reads: int = 0
    writes: int = 0
    flushes: int = 0
    trims: int = 0
    write_zeroes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    unaligned: int = 0
    errors: int = 0
    waits: int = 0
