"""NVMe Qualified Names, of subsystems and hosts.

Follows NVM Express Base 2.0 4.5. Lenient: a name that a host brings is taken as it is, since Linux takes any text.
"""

from __future__ import annotations

from collections.abc import Collection

from stacks.runtime import LocalError
from wire.nvme.opcodes import NQN_MAX_BYTES


def check_nqn(nqn: str) -> None:
    """Raise LocalError, saying why, for what is no NVMe Qualified Name."""
    if not nqn.startswith("nqn.") or len(nqn) < len("nqn.2014-08.a"):
        raise LocalError(f"{nqn!r} is no NQN; one looks like nqn.2026-11.io.baremetal:disk")
    if len(nqn.encode()) > NQN_MAX_BYTES:
        raise LocalError(f"NQN {nqn[:40]}... is longer than {NQN_MAX_BYTES} bytes")


def host_set(hosts: Collection[str] | None) -> frozenset[str] | None:
    """The hosts as a set, None for every host; LocalError when one of them has no NQN."""
    if hosts is None:
        return None
    for host_nqn in hosts:
        check_nqn(host_nqn)
    return frozenset(hosts)
