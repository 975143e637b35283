"""Where a peer cannot pass a case in a role, with the reason: it lacks what the case is about, or breaks a rule.

Every such cell is played all the same, and what the judge said is the proof that the page shows; a cell that passes
although it stands here is told, so that the table cannot rot.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

CLIENT, SERVER = "client", "server"


class Kind(enum.Enum):
    """Why not."""

    LACKS = "lacks"
    """It has no such feature."""
    BREAKS = "breaks"
    """It has, and does what a specification forbids."""


@dataclass(frozen=True, slots=True)
class Unable:
    """reason: what is missing or wrong. is_always: else it passes now and then."""

    kind: Kind
    reason: str
    is_always: bool = True


def unable(peer: str, role: str, case: str) -> Unable | None:
    """Whether a peer cannot pass a case in a role, and why."""
    return UNABLE.get((peer, role, case))


def _lacks(reason: str) -> Unable:
    return Unable(Kind.LACKS, reason)


def _breaks(reason: str, *, is_always: bool = True) -> Unable:
    return Unable(Kind.BREAKS, reason, is_always)


NO_ECN = _lacks("neither marks packets nor sends ECN counts: its API passes datagrams without the IP header's bits")
DRAFT_V2 = _lacks("its version 2 is draft 0x709a50c4")
SLOW_QH3 = _breaks(
    "with a client that its first flight did not reach, its timer backs off beyond 30 s, or it raises "
    "'packet builder capacity exhausted' and sends nothing",
    is_always=False,
)
UNABLE = {
    ("aioquic", CLIENT, "ecn"): NO_ECN,
    ("aioquic", SERVER, "ecn"): NO_ECN,
    ("aioquic", SERVER, "connectionmigration"): _lacks("its servers announce no preferred address"),
    ("qh3", CLIENT, "ecn"): NO_ECN,
    ("qh3", SERVER, "ecn"): NO_ECN,
    ("qh3", CLIENT, "retry"): _breaks("its packet numbers begin anew after a Retry (RFC 9000 17.2.5.3)"),
    ("qh3", CLIENT, "connectionmigration"): _lacks("its clients read a preferred address and do not go there"),
    ("qh3", SERVER, "handshakeloss"): SLOW_QH3,
    ("qh3", SERVER, "handshakecorruption"): SLOW_QH3,
    ("qh3", SERVER, "connectionmigration"): _lacks("its servers announce no preferred address"),
    ("ngtcp2", CLIENT, "v2"): DRAFT_V2,
    ("ngtcp2", SERVER, "v2"): DRAFT_V2,
    ("ngtcp2", SERVER, "connectionmigration"): _breaks(
        "answers the probe of its preferred address without a PATH_CHALLENGE of its own"
    ),
    ("ngtcp2", SERVER, "rebind-port"): _breaks(
        "an ACK goes to the new path before the PATH_CHALLENGE", is_always=False
    ),
    ("ngtcp2", SERVER, "rebind-addr"): _breaks(
        "an ACK goes to the new path before the PATH_CHALLENGE", is_always=False
    ),
}
