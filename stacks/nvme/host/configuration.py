"""What a program chooses about a connection."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.nvme.opcodes import DISCOVERY_NQN


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How to connect.

    nqn: the subsystem; empty when a URL says which, or discovery is to find the only one.
    host_nqn, host_id: who we are (16 bytes).
    io_queues, queue_entries: how many I/O queues, and the size of each; the controller may have less of both.
    keep_alive_ms: KATO, 0 for none; command_timeout_ns: how long an answer may take, abort_timeout_ns: how long still
    after an Abort. connect_timeout_ns: how long until I/O goes.
    """

    nqn: str = ""
    host_nqn: str = "nqn.2026-11.io.baremetal:host"
    host_id: bytes = field(default=b"baremetal host 1")
    io_queues: int = 1
    queue_entries: int = 128
    keep_alive_ms: int = 5000
    command_timeout_ns: int = 30 * 10**9
    abort_timeout_ns: int = 10 * 10**9
    connect_timeout_ns: int = 20 * 10**9

    @property
    def is_discovery(self) -> bool:
        """Whether the discovery controller is what we want."""
        return self.nqn == DISCOVERY_NQN


ADMIN_QUEUE_ENTRIES = 32
