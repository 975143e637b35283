"""What a program chooses about a connection."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from stacks.runtime import LocalError
from wire.nvme.opcodes import DISCOVERY_NQN


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How to connect.

    nqn: the subsystem; empty when a URL says which, or discovery is to find the only one.
    host_nqn: who we are. host_id: the same in 16 bytes, for reservations: whoever has it is one host, over all its
    connections. Empty for the one that goes with `host_nqn` (`host_identifier`).
    io_queues, queue_entries: how many I/O queues, and the size of each; the controller may have less of both.
    keep_alive_ms: KATO, 0 for none; command_timeout_ns: how long an answer may take, abort_timeout_ns: how long still
    after an Abort. connect_timeout_ns: how long until I/O goes.
    """

    nqn: str = ""
    host_nqn: str = "nqn.2026-11.io.baremetal:host"
    host_id: bytes = b""
    io_queues: int = 1
    queue_entries: int = 128
    keep_alive_ms: int = 5000
    command_timeout_ns: int = 30 * 10**9
    abort_timeout_ns: int = 10 * 10**9
    connect_timeout_ns: int = 20 * 10**9

    def __post_init__(self) -> None:
        """LocalError for what no Connect could say."""
        limits = (
            ("io_queues", self.io_queues, 1, 65534),
            ("queue_entries", self.queue_entries, 2, 65536),
            ("keep_alive_ms", self.keep_alive_ms, 0, (1 << 32) - 1),
            ("command_timeout_ns", self.command_timeout_ns, 1, None),
            ("abort_timeout_ns", self.abort_timeout_ns, 1, None),
            ("connect_timeout_ns", self.connect_timeout_ns, 1, None),
        )
        for name, value, least, most in limits:
            if value < least or (most is not None and value > most):
                upper = "" if most is None else f" to {most}"
                raise LocalError(f"HostConfig.{name} is {value}; it is {least}{upper or ' at least'}")
        for name, nqn in (("nqn", self.nqn), ("host_nqn", self.host_nqn)):
            if len(nqn.encode()) > NQN_BYTES_MAX:
                raise LocalError(f"HostConfig.{name} has {len(nqn.encode())} bytes; an NQN has {NQN_BYTES_MAX} at most")
        if not self.host_nqn:
            raise LocalError("HostConfig.host_nqn is empty; leave it out, or name this host")

    @property
    def host_identifier(self) -> bytes:
        """The 16 bytes of Connect; LocalError when `host_id` has another length.

        An NQN made of a UUID has that one, as hostnqn and hostid of nvme-cli go together; any other a UUID that is
        derived from it, so that hosts of different names are different hosts.
        """
        if not self.host_id:
            match = _UUID_NQN.fullmatch(self.host_nqn)
            return uuid.UUID(match[1]).bytes if match else uuid.uuid5(uuid.NAMESPACE_URL, self.host_nqn).bytes
        if len(self.host_id) != HOST_ID_BYTES:
            raise LocalError(f"HostConfig.host_id has {len(self.host_id)} bytes; it must have {HOST_ID_BYTES}")
        return self.host_id

    @property
    def is_discovery(self) -> bool:
        """Whether the discovery controller is what we want."""
        return self.nqn == DISCOVERY_NQN


ADMIN_QUEUE_ENTRIES = 32
HOST_ID_BYTES = 16
NQN_BYTES_MAX = 223
"""NVMe Base 2.0 4.5."""

_UUID_NQN = re.compile(r"nqn\.2014-08\.org\.nvmexpress:uuid:([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
