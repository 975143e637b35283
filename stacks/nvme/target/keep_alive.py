"""Keep-alive: which timeouts there are, and how long a host may be silent in each state of its controller.

    not enabled      two minutes until it is (again), then the association ends
    ready            KATO, counted in intervals: a whole one without an admin or I/O command is a timeout
    shutting down    as long as it takes

This is traffic-based keep-alive: an interval begins when the controller becomes ready, after each Keep Alive command
and each change of KATO, and when the one before had a command in it; so a dead host is noticed after one KATO at the
earliest, and after two at the latest. Fabrics commands do not count.

Follows NVM Express Base 2.0 3.6, 3.9 and 5.27.1.12.
"""

from __future__ import annotations

from stacks.nvme.target.controller_kind import DISCOVERY, ControllerKind
from stacks.nvme.target.controller_state import ControllerState
from stacks.nvme.target.errors import CommandError
from wire.nvme.status import StatusCode


def effective_kato(kato_ms: int) -> int:
    """The timeout that holds when a host asks for `kato_ms`: rounded up to the granularity, 0 for none.

    CommandError when that would be more than the field can say.
    """
    if kato_ms > KATO_MAX_MS:
        raise CommandError(StatusCode.KEEP_ALIVE_INVALID, f"a keep-alive timeout of {kato_ms} ms")
    return -(-kato_ms // KATO_GRANULARITY_MS) * KATO_GRANULARITY_MS


def silence_ns(kind: ControllerKind, state: ControllerState, kato_ms: int) -> int:
    """How long a host may be silent, in nanoseconds; 0 for as long as it likes."""
    if state is ControllerState.SHUTTING_DOWN:
        return 0
    if state is not ControllerState.READY:
        return ASSOCIATION_NS
    return kato_ms * 1_000_000 or (DISCOVERY_SILENCE_NS if kind is DISCOVERY else 0)


KATO_GRANULARITY_MS = 1000
"""KAS times 100 ms, and the smallest timeout."""

KATO_MAX_MS = 0xFFFFFFFF // KATO_GRANULARITY_MS * KATO_GRANULARITY_MS

DISCOVERY_SILENCE_NS = 120 * 10**9
"""A discovery controller whose host set no KATO ends after this long without a command (NVMe over Fabrics 1.1 4.2)."""

ASSOCIATION_NS = 120 * 10**9
"""How long an association outlives a reset or a shutdown, and a Connect that nothing follows (NVMe Base 2.0 3.6)."""
